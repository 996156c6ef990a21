/** A call over a bad path: every packet goes through the impairment proxy, which loses one in twenty and takes 25 ms each way. */
import { expect, test } from "@playwright/test"
import { type Person, type Stage, setStage, toneOf } from "./browsers.ts"
import { ImpairmentProxy, type ProxyPeer } from "./network/proxy.ts"
import { impair, provePath } from "./network/rig.ts"
import { eventually, heardTones, seenPictures } from "./observe.ts"
import { callPath, inRoom } from "./room-page.ts"

declare global {
  var gone: string[]
}

const CODES = { ada: 11, bob: 22 }
const BAD = { loss: 0.05, delayMs: 25 }
/** Time in which the picture has to have changed many times. */
const WATCH_MS = 5_000
const NEW_PICTURES = 20
/** Well after the way through the server has ended beside the direct link (10 s). */
const SETTLED_MS = 13_000

test.describe.configure({ mode: "serial", timeout: 60_000 })

test.describe("a call at 5 % loss and 50 ms round trip", () => {
  let stage: Stage
  let proxy: ImpairmentProxy
  let ada: Person & { peer: ProxyPeer }
  let bob: Person & { peer: ProxyPeer }
  let begunAt = 0

  test.beforeAll(async () => {
    stage = await setStage()
    proxy = new ImpairmentProxy()
    const path = callPath("bad-network")
    const enter = async (name: "ada" | "bob", seed: number) => {
      const person = await stage.open(name, CODES[name], "/script-tag/")
      const peer = await proxy.addPeer(seed, BAD)
      await impair(person.page, peer)
      await person.page.goto(stage.url + path(name))
      await inRoom(person.page)
      await person.page.evaluate(() => {
        const gone: string[] = []
        globalThis.gone = gone
        globalThis.holomesh.room?.on("participantLeft", ({ participant }) => gone.push(participant.name))
      })
      return { ...person, peer }
    }
    ada = await enter("ada", 1)
    bob = await enter("bob", 2)
    begunAt = Date.now()
  })
  test.afterAll(async () => {
    await stage.close()
    await proxy.close()
  })

  test("pictures keep moving on both sides", async () => {
    for (const [person, code] of [
      [ada, CODES.bob],
      [bob, CODES.ada],
    ] as const) {
      await eventually(
        `${person.name} sees camera ${code}`,
        () => seenPictures(person.page),
        (seen) => seen.some((tile) => tile.code === code && tile.frame !== undefined),
      )
      const pictures = new Set<number>()
      const end = Date.now() + WATCH_MS
      while (Date.now() < end) {
        for (const tile of await seenPictures(person.page)) {
          if (tile.code === code && tile.frame !== undefined) pictures.add(tile.frame)
        }
        await person.page.waitForTimeout(50)
      }
      expect(pictures.size, `pictures of ${code} that ${person.name} saw in ${WATCH_MS} ms`).toBeGreaterThan(NEW_PICTURES)
    }
  })

  test("the tones are heard", async () => {
    for (const [person, code] of [
      [ada, CODES.bob],
      [bob, CODES.ada],
    ] as const) {
      await eventually(
        `${person.name} hears ${toneOf(code)} Hz`,
        () => heardTones(person.page),
        (heard) => heard.some((tone) => Math.abs(tone.hertz - toneOf(code)) < 25 && tone.level > -60),
      )
    }
  })

  test("nobody is thought gone when the way through the server has ended", async () => {
    await ada.page.waitForTimeout(Math.max(0, begunAt + SETTLED_MS - Date.now()))
    for (const person of [ada, bob]) expect(await person.page.evaluate(() => globalThis.gone)).toEqual([])
  })

  test("nothing went past the proxy, and it lost what it was told to lose", async () => {
    for (const [person, other] of [
      [ada, bob],
      [bob, ada],
    ] as const) {
      const proof = await provePath(person.page, proxy, person.peer, [other.peer])
      // Control, audio and at least one video lane.
      expect(proof.connections).toBeGreaterThanOrEqual(3)
      expect(proof.direct).toBe(0)
      // The page's figures are a moment old, and packets on the way to the proxy are in one of them only.
      expect(Math.abs(proof.proxyBytes - proof.pageBytes) / proof.proxyBytes).toBeLessThan(0.03)
      const { offeredPackets, lostPackets } = person.peer.uplink.counters
      expect(offeredPackets).toBeGreaterThan(1_000)
      expect(lostPackets / offeredPackets).toBeGreaterThan(0.035)
      expect(lostPackets / offeredPackets).toBeLessThan(0.065)
    }
  })

  test("a blocked path stops every picture: there is no other", async () => {
    ada.peer.change({ loss: 1 })
    bob.peer.change({ loss: 1 })
    await ada.page.waitForTimeout(1_500)
    const frameOf = async () => (await seenPictures(ada.page)).find((tile) => tile.code === CODES.bob)?.frame
    const before = await frameOf()
    await ada.page.waitForTimeout(1_000)
    expect(await frameOf()).toBe(before)
  })
})
