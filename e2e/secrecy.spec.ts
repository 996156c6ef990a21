/** What the server and the links carry, and who gets no key: nothing readable, nobody uninvited, nobody removed. */
import { expect, test } from "@playwright/test"
import { type Person, type Stage, setStage } from "./browsers.ts"
import { eventually, seenPictures } from "./observe.ts"
import { callPath, inRoom, newSecret, readStats, sendChat, waitForMembers } from "./room-page.ts"

const CHAT = "the bicycle is behind the green shed"
const NAMES = { ada: "Ada-Lovelace-4711", bob: "Bob-Babbage-0815" }

/** Bytes in front of the sealed part of a media message: lane 8, link frame 9, chunk header 52. */
const SEALED_FROM = 69

/** Runs in the page before everything else: keeps what data channels and the socket are given. */
function recordTraffic(): void {
  const kept: { label: string; bytes: Uint8Array }[] = []
  const copy = (data: unknown): Uint8Array =>
    typeof data === "string"
      ? new TextEncoder().encode(data)
      : ArrayBuffer.isView(data)
        ? new Uint8Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) as ArrayBuffer)
        : new Uint8Array((data as ArrayBuffer).slice(0))
  const send = RTCDataChannel.prototype.send as (this: RTCDataChannel, data: unknown) => void
  RTCDataChannel.prototype.send = function (this: RTCDataChannel, data: unknown) {
    if (kept.length < 20_000) kept.push({ label: this.label, bytes: copy(data) })
    send.call(this, data)
  } as RTCDataChannel["send"]
  const socketSend = WebSocket.prototype.send as (this: WebSocket, data: unknown) => void
  WebSocket.prototype.send = function (this: WebSocket, data: unknown) {
    kept.push({ label: "socket", bytes: copy(data) })
    socketSend.call(this, data)
  } as WebSocket["send"]
  const listen = WebSocket.prototype.addEventListener
  WebSocket.prototype.addEventListener = function (this: WebSocket, type: string, ...rest: unknown[]) {
    if (type === "message") {
      listen.call(this, "message", (event: Event) => {
        kept.push({ label: "socket", bytes: copy((event as MessageEvent).data) })
      })
    }
    return (listen as (...all: unknown[]) => void).call(this, type, ...rest)
  } as WebSocket["addEventListener"]
  Object.assign(globalThis, { recordedTraffic: kept })
}

/** Which of the needles occur in what was recorded under a label, and how much there was. */
async function search(person: Person, label: string, needles: string[]): Promise<{ found: string[]; bytes: number }> {
  return person.page.evaluate(
    ({ label, needles }) => {
      const kept = (globalThis as unknown as { recordedTraffic: { label: string; bytes: Uint8Array }[] }).recordedTraffic
      const all = kept.filter((entry) => entry.label === label)
      const texts = all.map((entry) => String.fromCharCode(...entry.bytes))
      const encoded = (needle: string) => [needle, btoa(needle).replace(/=+$/, "").slice(0, -2)]
      const found = needles.filter((needle) => encoded(needle).some((form) => texts.some((text) => text.includes(form))))
      return { found, bytes: all.reduce((sum, entry) => sum + entry.bytes.length, 0) }
    },
    { label, needles },
  )
}

/** Highest share of one byte value at each of the first 48 sealed positions of the media messages. */
async function mostCommonByteShares(person: Person): Promise<{ messages: number; shares: number[] }> {
  return person.page.evaluate((from) => {
    const kept = (globalThis as unknown as { recordedTraffic: { label: string; bytes: Uint8Array }[] }).recordedTraffic
    const media = kept.filter((entry) => entry.bytes[0] === 0x10 && entry.bytes.length >= from + 48).map((entry) => entry.bytes)
    const shares = Array.from({ length: 48 }, (_, offset) => {
      const counts = new Map<number, number>()
      for (const bytes of media) counts.set(bytes[from + offset] ?? 0, (counts.get(bytes[from + offset] ?? 0) ?? 0) + 1)
      return Math.max(...counts.values()) / media.length
    })
    return { messages: media.length, shares }
  }, SEALED_FROM)
}

test.describe.configure({ mode: "serial" })

test.describe("secrecy", () => {
  let stage: Stage
  const secret = newSecret()
  const path = callPath("board-room", "/", secret)
  const people: Person[] = []

  test.beforeAll(async () => {
    stage = await setStage()
    const options = { init: recordTraffic }
    people.push(await stage.open("ada", 11, path(NAMES.ada, "&forward=1"), options))
    await inRoom(people[0]!.page)
    people.push(await stage.open("bob", 22, path(NAMES.bob, "&forward=1"), options))
    for (const person of people) await waitForMembers(person.page, 2)
  })
  test.afterAll(async () => stage.close())

  test("the forwarding fallback plays, and the statistics say so", async () => {
    const [ada] = people as [Person]
    await eventually(
      "ada sees bob",
      () => seenPictures(ada.page),
      (seen) => seen.some((tile) => tile.code === 22),
    )
    const stats = await readStats(ada.page)
    const media = stats.links.flatMap((link) => link.lanes.filter((lane) => lane.role !== "control"))
    expect(media.map((lane) => lane.path)).toEqual(media.map(() => "forwarded"))
    expect(media.length).toBeGreaterThan(0)
  })

  test("no name, chat text, secret or media can be read on the socket or on a link", async () => {
    const [ada, bob] = people as [Person, Person]
    await sendChat(ada.page, CHAT)
    await expect(bob.page.getByText(CHAT)).toBeAttached()
    for (const person of people) {
      const socket = await search(person, "socket", [CHAT, NAMES.ada, NAMES.bob, secret])
      expect(socket.bytes).toBeGreaterThan(500)
      expect(socket.found).toEqual([])
      const control = await search(person, "ctl", [CHAT, secret])
      expect(control.bytes).toBeGreaterThan(5_000)
      expect(control.found).toEqual([])
      const { shares } = await eventually(
        "500 media messages",
        () => mostCommonByteShares(person),
        ({ messages }) => messages >= 500,
      )
      // A readable payload starts with constant bytes (version, kind, frame number): their share would be near 1.
      expect(Math.max(...shares)).toBeLessThan(0.08)
    }
  })

  test("somebody without the invitation secret is refused in words and gets no key", async () => {
    const membersAt = (person: Person) => person.page.evaluate(() => [...(globalThis.holomesh.room?.participants.keys() ?? [])])
    const before = await membersAt(people[0]!)
    const intruder = await stage.open("eve", 55, callPath("board-room", "/", newSecret())("eve"))
    await expect(intruder.page.getByText("This link is not valid for this room. Ask for a new one.")).toBeVisible({
      timeout: 30_000,
    })
    expect(await intruder.page.evaluate(() => globalThis.holomesh?.room?.state ?? "none")).not.toBe("connected")
    expect(await intruder.page.locator("[data-participant]").count()).toBe(0)
    // The epoch may have moved meanwhile (members renew their own leaf), but nobody came in.
    expect(await membersAt(people[0]!)).toEqual(before)
    expect((await readStats(people[0]!.page)).room.members).toBe(2)
  })

  test("a removed member is shown the door and cannot follow into the next epoch", async () => {
    const [ada, bob] = people as [Person, Person]
    const before = (await readStats(ada.page)).room.epoch
    await ada.page.evaluate(async () => {
      const room = globalThis.holomesh.room
      const other = [...(room?.participants.keys() ?? [])][0]
      if (room === undefined || other === undefined) throw new Error("nobody to remove")
      await room.remove(other)
    })
    await waitForMembers(ada.page, 1)
    expect((await readStats(ada.page)).room.epoch).toBeGreaterThan(before)
    await expect(bob.page.getByText("You were removed from this room.")).toBeVisible({ timeout: 15_000 })
    await eventually(
      "ada's page shows nobody else",
      () => seenPictures(ada.page),
      (seen) => seen.length === 0,
    )
  })
})
