/** What goes wrong in real calls: reloads, killed browsers, refused cameras, unplugged devices, garbage, a server that is not there. */
import { expect, test } from "@playwright/test"
import { type Person, type Stage, setStage } from "./browsers.ts"
import { eventually, seenPictures } from "./observe.ts"
import { callPath, inRoom, readStats, sendChat, waitForMembers } from "./room-page.ts"

test.describe.configure({ mode: "serial" })

/** Runs in the page before everything else: lets the test write into the control channels. */
function keepControlChannels(): void {
  const kept = new Set<RTCDataChannel>()
  const send = RTCDataChannel.prototype.send as (this: RTCDataChannel, data: unknown) => void
  RTCDataChannel.prototype.send = function (this: RTCDataChannel, data: unknown) {
    if (this.label === "ctl") kept.add(this)
    send.call(this, data)
  } as RTCDataChannel["send"]
  Object.assign(globalThis, { controlChannels: kept })
}

async function sees(person: Person, code: number): Promise<void> {
  await eventually(
    `${person.name} sees ${code}`,
    () => seenPictures(person.page),
    (seen) => seen.some((tile) => tile.code === code),
  )
}

test.describe("hardship", () => {
  let stage: Stage
  const path = callPath("hard-times")
  let ada: Person
  let bob: Person

  test.beforeAll(async () => {
    stage = await setStage()
    ada = await stage.open("ada", 11, path("ada"))
    await inRoom(ada.page)
    bob = await stage.open("bob", 22, path("bob"), { init: keepControlChannels })
    await sees(ada, 22)
    await sees(bob, 11)
  })
  test.afterAll(async () => stage.close())

  test("a reload comes back as the same participant, once", async () => {
    const idOf = (person: Person) => person.page.evaluate(() => globalThis.holomesh.room?.local.id)
    const before = await idOf(bob)
    await bob.page.reload()
    await inRoom(bob.page)
    expect(await idOf(bob)).toBe(before)
    await waitForMembers(ada.page, 2)
    await sees(ada, 22)
    await sees(bob, 11)
    expect(await seenPictures(ada.page)).toHaveLength(1)
  })

  test("a member that sends garbage is dropped and counted; the call goes on", async () => {
    await bob.page.evaluate(() => {
      const channels = (globalThis as unknown as { controlChannels: Set<RTCDataChannel> }).controlChannels
      for (const channel of channels) {
        if (channel.readyState !== "open") continue
        // A JSON frame that is none, an unknown frame type, a message without its members, and an unknown message.
        channel.send(new Uint8Array([1, 0x70, 0, 0, 0xff, 0xfe, 0x7b]))
        channel.send(new Uint8Array([1, 0x66, 0, 0, 1, 2, 3]))
        for (const text of [
          '{"t":"av.subscribe"}',
          '{"t":"no.such.thing"}',
          '{"t":"av.mls","room_id":"x","kind":"commit","bytes":""}',
        ]) {
          const body = new TextEncoder().encode(text)
          const frame = new Uint8Array(4 + body.length)
          frame.set([1, 0x70, 0, 0])
          frame.set(body, 4)
          channel.send(frame)
        }
      }
    })
    await eventually(
      "ada counts it",
      () => readStats(ada.page),
      (stats) => Object.values(stats.stages.control).reduce((sum, count) => sum + count, 0) >= 2,
    )
    await sendChat(bob.page, "sorry for the noise")
    await expect(ada.page.getByText("sorry for the noise")).toBeAttached()
    await sees(ada, 22)
  })

  test("a device that is unplugged is announced, and another one takes its place", async () => {
    const seenBefore = (await seenPictures(ada.page)).find((tile) => tile.code === 22)?.frame
    const lost = await bob.page.evaluate(async () => {
      const room = globalThis.holomesh.room
      const camera = room?.publications.find((publication) => publication.kind === "video")
      if (room === undefined || camera?.track === undefined) throw new Error("no camera published")
      const told = new Promise<string>((resolve) => room.on("deviceLost", ({ publication }) => resolve(publication.id)))
      camera.track.stop()
      camera.track.dispatchEvent(new Event("ended"))
      const id = await told
      const fresh = await navigator.mediaDevices.getUserMedia({ video: true })
      const track = fresh.getVideoTracks()[0]
      if (track !== undefined) await camera.replaceTrack(track)
      return id
    })
    expect(lost).toBe("cam")
    await eventually(
      "bob's picture moves again",
      () => seenPictures(ada.page),
      (seen) => seen.some((tile) => tile.code === 22 && tile.frame !== undefined && tile.frame !== seenBefore),
    )
    expect((await readStats(bob.page)).send.filter((stream) => stream.kind === "video")).toHaveLength(1)
  })

  test("muting stops the picture for the others, unmuting brings it back", async () => {
    const setMuted = (muted: boolean) =>
      bob.page.evaluate(async (wanted) => {
        const camera = globalThis.holomesh.room?.publications.find((publication) => publication.kind === "video")
        await (wanted ? camera?.mute() : camera?.unmute())
      }, muted)
    await setMuted(true)
    await ada.page.waitForFunction(() =>
      [...(globalThis.holomesh.room?.participants.values() ?? [])].some((participant) =>
        participant.subscriptions.some((subscription) => subscription.kind === "video" && subscription.muted),
      ),
    )
    const frames = async () => (await readStats(ada.page)).receive.find((stream) => stream.kind === "video")?.frames ?? 0
    // What was on its way may still come: a machine that has much to do takes its time.
    const [still = 0] = await eventually(
      "the last picture has come",
      async () => {
        const before = await frames()
        await ada.page.waitForTimeout(500)
        return [before, await frames()]
      },
      ([before, after]) => before === after,
    )
    await ada.page.waitForTimeout(1_000)
    expect(await frames()).toBe(still)
    await setMuted(false)
    await sees(ada, 22)
    await eventually("frames arrive again", frames, (count) => count > still)
  })

  test("somebody without camera and microphone joins all the same, and is told why", async () => {
    const cleo = await stage.open("cleo", 33, path("cleo"), { refuseDevices: true })
    await inRoom(cleo.page)
    await sees(cleo, 11)
    await cleo.page.getByRole("button", { name: "Microphone" }).click()
    await expect(cleo.page.getByText(/not allowed to use/).first()).toBeVisible()
    await waitForMembers(ada.page, 3)
    await cleo.page.close()
    await waitForMembers(ada.page, 2)
  })

  test("a killed browser is gone after a while, and its tile with it", async () => {
    const dan = await stage.open("dan", 44, path("dan"))
    await inRoom(dan.page)
    await sees(ada, 44)
    dan.kill()
    await waitForMembers(ada.page, 2, 40_000)
    await waitForMembers(bob.page, 2, 10_000)
    await eventually(
      "dan's tile is gone",
      () => seenPictures(ada.page),
      (seen) => seen.length === 1,
    )
    await sees(ada, 22)
  })

  test("a link without its secret is explained instead of opening a room for everybody", async () => {
    await bob.page.goto(`${stage.url}/?room=hard-times&name=bob&autojoin=1`)
    await expect(bob.page.getByText(/link/i).first()).toBeVisible()
    expect(await bob.page.evaluate(() => globalThis.holomesh?.room?.state ?? "none")).toBe("none")
  })

  test("a server that is not there: a typed error with a sentence", async () => {
    const eve = await stage.open("eve", 55, "/script-tag/")
    await stage.server.close()
    const refusal = await eve.page.evaluate(async () => {
      const { joinRoom, describeError } = globalThis.holomesh as unknown as typeof import("../src/index.ts")
      try {
        await joinRoom(`${location.origin}/nowhere#k=${"A".repeat(43)}`)
        return []
      } catch (error) {
        return [(error as Error).name, describeError(error)]
      }
    })
    expect(refusal).toEqual(["ServerUnreachable", "The meeting server cannot be reached. Check your connection and try again."])
  })
})
