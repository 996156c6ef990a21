/** The impairment rig measured against its own settings, on a made-up clock. */
import { expect, test } from "@playwright/test"
import { Path, type PathSettings } from "./path.ts"

const PACKET = 1_000

interface Outcome {
  path: Path<number>
  /** Arrival minus departure per packet. */
  delays: Map<number, number>
}

/** Sends packets of 1,000 bytes at `rate` bit/s for `seconds`, and looks every millisecond. */
function run(
  settings: Partial<PathSettings>,
  rate: number,
  seconds: number,
  at?: (ms: number, path: Path<number>) => void,
): Outcome {
  const path = new Path<number>(7, settings)
  const sentAt: number[] = []
  const delays = new Map<number, number>()
  const every = (PACKET * 8_000) / rate
  for (let now = 0; now <= seconds * 1_000 + 2_000; now += 1) {
    at?.(now, path)
    while (sentAt.length * every <= now && sentAt.length * every < seconds * 1_000) {
      path.offer(sentAt.length, PACKET, now)
      sentAt.push(now)
    }
    for (const number of path.take(now)) delays.set(number, now - (sentAt[number] ?? Number.NaN))
  }
  expect(path.nextAt()).toBeUndefined()
  return { path, delays }
}

test("a clean path delivers everything after the delay", () => {
  const { path, delays } = run({ delayMs: 25 }, 1e6, 5)
  expect(delays.size).toBe(path.counters.offeredPackets)
  expect(new Set(delays.values())).toEqual(new Set([25]))
})

test("independent and bursty losses have the share and the runs that were asked for", () => {
  for (const burst of [1, 4]) {
    const { path, delays } = run({ loss: 0.05, burst }, 8e6, 100)
    const { offeredPackets, lostPackets } = path.counters
    expect(lostPackets / offeredPackets).toBeGreaterThan(0.045)
    expect(lostPackets / offeredPackets).toBeLessThan(0.055)
    let runs = 0
    for (let number = 1; number < offeredPackets; number++) if (!delays.has(number) && delays.has(number - 1)) runs++
    expect(lostPackets / runs).toBeGreaterThan(burst * 0.9)
    expect(lostPackets / runs).toBeLessThan(burst * 1.15)
  }
})

test("the same seed loses the same packets", () => {
  const lost = () => [...run({ loss: 0.1, burst: 2, jitterMs: 9 }, 1e6, 5).delays]
  expect(lost()).toEqual(lost())
})

test("the bottleneck passes its capacity and no packet waits longer than the queue holds", () => {
  const { path } = run({ capacity: 1e6, queueMs: 100 }, 2e6, 10)
  expect((path.counters.deliveredBytes * 8) / 10).toBeGreaterThan(0.99e6)
  expect((path.counters.deliveredBytes * 8) / 10).toBeLessThan(1.02e6)
  expect(path.counters.droppedPackets).toBeGreaterThan(1_000)
  expect(path.waits.quantile(1)).toBeLessThanOrEqual(100)
  expect(path.waits.quantile(0.5)).toBeGreaterThan(80)
})

test("a queue limited in bytes holds no more than that", () => {
  const { path } = run({ capacity: 1e6, queueMs: 10_000, queueBytes: 5_000 }, 2e6, 5)
  expect(path.waits.quantile(1)).toBeLessThanOrEqual(40)
})

test("jitter keeps the order and stays within its bound", () => {
  const { delays } = run({ delayMs: 20, jitterMs: 30 }, 4e6, 5)
  expect([...delays.keys()]).toEqual([...delays.keys()].sort((a, b) => a - b))
  expect(Math.min(...delays.values())).toBeGreaterThanOrEqual(20)
  expect(Math.max(...delays.values())).toBeLessThanOrEqual(51)
})

test("capacity that halves takes effect at once, also for what is waiting", () => {
  const { path } = run({ capacity: 2e6, queueMs: 100 }, 4e6, 4, (ms, changing) => {
    if (ms === 2_000) changing.change({ capacity: 1e6 }, ms)
  })
  const passed = (from: number, to: number) =>
    slices.filter(({ at }) => at >= from && at < to).reduce((bits, { passedBytes }) => bits + passedBytes * 8, 0)
  const slices = path.takeSlices()
  expect(passed(1_000, 2_000)).toBeGreaterThan(1.95e6)
  expect(passed(2_000, 3_000)).toBeLessThan(1.05e6)
  expect(passed(2_000, 3_000)).toBeGreaterThan(0.95e6)
})
