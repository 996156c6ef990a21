/** Statistics are told, or it is said why not: nobody waits for a worker that has gone. */
import { afterEach, beforeEach, expect, it, vi } from "vitest"
import { RoomReport } from "./room-report.ts"
import type { RoomState } from "./types.ts"

type Parts = ConstructorParameters<typeof RoomReport>

/** A room whose publish worker never answers. */
function room() {
  const silent = { stats: () => new Promise<never>(() => {}) }
  const answering = { stats: () => Promise.resolve([]) }
  const at = { state: "connected" as RoomState }
  const host = {
    get state() {
      return at.state
    },
    events: { on: () => () => {} },
    driver: {},
    hub: { transportStats: () => Promise.resolve([]) },
    people: {},
    server: {},
    quality: {},
    control: { stats: () => ({}) },
    nat: {},
    direct: {},
  }
  const parts = { address: { name: "r" }, workers: { mesh: answering, publish: silent, receive: answering } }
  return { at, report: new RoomReport(host as unknown as Parts[0], parts as unknown as Parts[1]) }
}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

it("a room that has ended says so, also to who asked before", async () => {
  const { at, report } = room()
  const early = expect(report.stats()).rejects.toMatchObject({ code: "RoomClosed" })
  await vi.advanceTimersByTimeAsync(1_000)
  at.state = "left"
  await vi.advanceTimersByTimeAsync(500)
  await early
  const late = expect(report.diagnostics()).rejects.toMatchObject({ code: "RoomClosed" })
  await vi.advanceTimersByTimeAsync(500)
  await late
})

it("a worker that hangs is told as such", async () => {
  const { report } = room()
  const ended = expect(report.stats()).rejects.toMatchObject({ code: "WorkerFailed" })
  await vi.advanceTimersByTimeAsync(20_000)
  await ended
  expect(vi.getTimerCount()).toBe(0)
})
