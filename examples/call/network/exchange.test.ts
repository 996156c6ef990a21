import type { Room, RoomStats } from "holomesh"
import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { Scope } from "../scope.ts"
import { createExchange } from "./exchange.ts"
import { parseReport } from "./report.ts"

interface Data {
  from: { id: string }
  topic: string
  bytes: Uint8Array
}

/** Pages that hear each other at once. */
class TestRoom {
  readonly pages: { id: string; sent: Data[]; hear(data: Data): void }[] = []

  join(id: string, relayOnly = false) {
    const handlers: ((data: Data) => void)[] = []
    const gone: ((event: { participant: { id: string } }) => void)[] = []
    const scope = new Scope()
    const participants = new Map<string, unknown>()
    const stats = { at: 0, send: [], receive: [], relay: { promisedBitrate: 0, streams: [] } }
    const page = { id, scope, sent: [] as Data[], hear: (data: Data) => handlers.forEach((handle) => void handle(data)) }
    for (const other of this.pages) participants.set(other.id, {})
    const room = {
      local: { id },
      participants,
      on: (event: string, handler: never) => {
        if (event === "data") handlers.push(handler)
        else gone.push(handler)
        return () => undefined
      },
      stats: async () => ({ ...stats, at: Date.now() }) as unknown as RoomStats,
      sendData: async (topic: string, bytes: Uint8Array) => {
        const data = { from: { id }, topic, bytes }
        page.sent.push(data)
        for (const other of this.pages) if (other !== page) other.hear(data)
      },
    } as unknown as Room
    const exchange = createExchange(room, scope, () => ({ relayOnly }))
    this.pages.push(page)
    return {
      ...page,
      exchange,
      participants,
      leave: (who: string) => gone.forEach((handle) => void handle({ participant: { id: who } })),
    }
  }
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

function three() {
  const room = new TestRoom()
  const ada = room.join("ada")
  const bob = room.join("bob")
  const rob = room.join("rob", true)
  for (const page of [ada, bob, rob]) for (const id of ["ada", "bob", "rob"]) if (id !== page.id) page.participants.set(id, {})
  return { ada, bob, rob }
}

test("nobody says anything while nobody looks", async () => {
  const { ada, bob, rob } = three()
  await vi.advanceTimersByTimeAsync(30_000)
  expect([ada, bob, rob].map(({ sent }) => sent.length)).toEqual([0, 0, 0])
})

test("who looks hears everybody; several who look ask once; everybody answers once per round", async () => {
  const { ada, bob, rob } = three()
  ada.exchange.watch(true)
  bob.exchange.watch(true)
  await vi.advanceTimersByTimeAsync(2_000)
  const { reports } = await ada.exchange.read()
  expect([...reports.keys()].sort()).toEqual(["ada", "bob", "rob"])
  expect(reports.get("rob")?.report.relayOnly).toBe(true)
  expect(reports.get("ada")?.ageMs).toBe(0)
  await vi.advanceTimersByTimeAsync(38_000)
  const asked = [...ada.sent, ...bob.sent].filter(({ topic }) => topic.endsWith("?")).length
  expect(asked).toBeGreaterThanOrEqual(8)
  expect(asked).toBeLessThanOrEqual(11)
  expect(rob.sent.length).toBeLessThanOrEqual(11)
  expect(rob.sent.every(({ bytes }) => parseReport(bytes) !== undefined)).toBe(true)
  ada.exchange.watch(false)
  bob.exchange.watch(false)
  const count = rob.sent.length
  await vi.advanceTimersByTimeAsync(20_000)
  expect(rob.sent.length - count).toBeLessThanOrEqual(1)
})

test("whoever asks without end gets an answer now and then", async () => {
  const { rob } = three()
  for (let turn = 0; turn < 200; turn++) {
    rob.hear({ from: { id: "ada" }, topic: "demo/network?", bytes: new Uint8Array(0) })
    await vi.advanceTimersByTimeAsync(50)
  }
  expect(rob.sent.length).toBeGreaterThanOrEqual(3)
  expect(rob.sent.length).toBeLessThanOrEqual(6)
})

test("strangers and rubbish are not listened to, and those who left are forgotten", async () => {
  const { ada, bob } = three()
  ada.exchange.watch(true)
  await vi.advanceTimersByTimeAsync(2_000)
  const report = bob.sent.find(({ topic }) => topic === "demo/network")!
  ada.hear({ ...report, from: { id: "nobody" } })
  ada.hear({ ...report, from: { id: "rob" }, bytes: new Uint8Array([1, 2, 3]) })
  expect([...(await ada.exchange.read()).reports.keys()].sort()).toEqual(["ada", "bob", "rob"])
  ada.leave("bob")
  expect([...(await ada.exchange.read()).reports.keys()].sort()).toEqual(["ada", "rob"])
})
