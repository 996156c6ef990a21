import { describe, expect, test } from "vitest"
import { MIN_RATE, RateController, silentRate } from "./rate-controller.ts"
import { Path } from "./test-path.ts"
import { NodeUplink } from "./uplink.ts"

const SEEDS = Array.from({ length: 10 }, (_, index) => index + 1)
const M = 1_000_000
/** Message bytes with what lies under them are all of the capacity that can be had. */
const ramp = (path: Path, share = 0.85) => path.reached(share * path.capacity, 0)

describe("one link alone (L1-L3)", () => {
  test.each([
    [1 * M, 50, 200],
    [3 * M, 50, 200],
    [10 * M, 50, 200],
    [3 * M, 20, 200],
    [3 * M, 100, 200],
  ])("%d bit/s, rtt %d ms, buffer %d ms: full within 2.5 s, short queue", (capacity, rttMs, bufferMs) => {
    for (const seed of SEEDS) {
      const path = new Path({ capacity, rttMs, bufferMs, seed })
      path.flow()
      path.run(26_000)
      expect(ramp(path)).toBeLessThan(2_500)
      expect(path.throughput(8_000, 26_000) / capacity).toBeGreaterThan(0.9)
      expect(path.queue95(8_000, 26_000)).toBeLessThan(55)
    }
  })

  test("a shallow buffer of 30 ms is used without swinging", () => {
    const path = new Path({ capacity: 3 * M, rttMs: 50, bufferMs: 30 })
    path.flow()
    path.run(26_000)
    expect(path.throughput(8_000, 26_000) / path.capacity).toBeGreaterThan(0.9)
    for (let at = 8_000; at < 26_000; at += 1_000) {
      expect(path.throughput(at, at + 1_000) / path.capacity).toBeGreaterThan(0.6)
    }
  })
})

test.each([
  [0.02, 1],
  [0.05, 1],
  [0.05, 4],
])("loss of %d in runs of %d does not collapse (L4)", (loss, burst) => {
  for (const seed of SEEDS) {
    const path = new Path({ capacity: 3 * M, rttMs: 50, bufferMs: 200, loss, burst, seed })
    const flow = path.flow()
    path.run(26_000)
    expect(path.throughput(8_000, 26_000) / ((1 - loss) * path.capacity)).toBeGreaterThan(burst > 1 ? 0.75 : 0.85)
    for (let at = 8_000; at < 26_000; at += 1_000) {
      expect(path.throughput(at, at + 1_000) / ((1 - loss) * path.capacity)).toBeGreaterThan(0.5)
    }
    expect(flow.rate.losses.loss).toBeGreaterThan(loss / 3)
  }
})

test("what the path loses by itself is not taken for what it can not carry", () => {
  for (const seed of SEEDS) {
    const path = new Path({ capacity: 3 * M, rttMs: 50, bufferMs: 200, loss: 0.1, seed })
    path.flow()
    path.run(40_000)
    expect(path.throughput(8_000, 40_000) / (0.9 * path.capacity)).toBeGreaterThan(0.935)
    expect(path.queue95(8_000, 40_000)).toBeLessThan(35)
  }
})

test("half of the capacity goes and comes back (L5, L6)", () => {
  for (const seed of SEEDS) {
    const path = new Path({ capacity: 3 * M, rttMs: 50, bufferMs: 200, seed })
    const flow = path.flow()
    path.run(12_000)
    path.capacity = 1.5 * M
    path.run(22_000)
    path.capacity = 3 * M
    path.run(32_000)
    expect(flow.targets.slice(12_000, 12_300).some((target) => target <= 1.6 * M)).toBe(true)
    expect(path.queue95(13_500, 22_000)).toBeLessThan(60)
    expect(path.reached(0.85 * 3 * M, 22_000)).toBeLessThan(5_000)
  }
})

test.each([
  [3 * M, 0.7 * M, 100],
  [3 * M, 0.7 * M, 200],
  [3 * M, 0.5 * M, 100],
  [3 * M, 0.5 * M, 200],
  [10 * M, 2 * M, 200],
  [10 * M, 1 * M, 100],
])("from %d to %d bit/s with a buffer of %d ms: the full queue is known as our own and drained", (capacity, left, bufferMs) => {
  for (const seed of SEEDS) {
    const path = new Path({ capacity, rttMs: 50, bufferMs, seed })
    const flow = path.flow()
    path.run(12_000)
    path.capacity = left
    path.run(30_000)
    expect(flow.rate.mode).toBe("steady")
    expect(path.queue95(20_000, 30_000)).toBeLessThan(60)
    // The shortest delay of the last minute is that of the fast path, where a message took less time: growth is careful.
    expect(path.throughput(20_000, 30_000) / left).toBeGreaterThan(0.65)
  }
})

test("beside a reliable transfer neither starves, and three seconds after it the path is used again (L7)", () => {
  for (const seed of SEEDS) {
    const path = new Path({ capacity: 3 * M, rttMs: 50, bufferMs: 200, seed })
    const flow = path.flow()
    const other = path.compete(8_000, 28_000)
    path.run(36_000)
    const share = (who: unknown) => path.throughput(10_000, 28_000, who) / path.capacity
    expect(share(flow)).toBeGreaterThan(0.2)
    expect(share(other)).toBeGreaterThan(0.2)
    // Until it is known whose queue it is, it does not give way to next to nothing, from where the way back would be long.
    expect(Math.min(...flow.targets.slice(8_000, 9_000))).toBeGreaterThan(0.55 * M)
    expect(path.throughput(30_000, 31_000, flow) / path.capacity).toBeGreaterThan(0.85)
    expect(path.queue95(31_000, 36_000)).toBeLessThan(55)
  }
})

describe("several links of one node through one uplink (L7b)", () => {
  test("eight that want 1.2 Mbit/s each get it out of 10", () => {
    for (const seed of SEEDS) {
      const path = new Path({ capacity: 10 * M, rttMs: 50, bufferMs: 200, seed })
      const flows = Array.from({ length: 8 }, (_, index) => path.flow({ startMs: 1_000 * index, wants: 1.2 * M }))
      path.run(30_000)
      for (const flow of flows) expect(path.throughput(20_000, 30_000, flow)).toBeGreaterThan(1.15 * M)
      expect(path.queue95(20_000, 30_000)).toBeLessThan(20)
    }
  })

  test.each([
    ["without knowing of each other", undefined, 0.5, 2],
    ["with an uplink that shows itself", () => new NodeUplink(), 0.6, 1.6],
    ["with a known uplink", () => new NodeUplink(5.7 * M), 0.93, 0.97],
  ])("four greedy ones share 6 %s", (_, uplink, least, most) => {
    for (const seed of SEEDS) {
      const path = new Path({ capacity: 6 * M, rttMs: 50, bufferMs: 200, seed })
      path.uplink = uplink?.()
      const flows = Array.from({ length: 4 }, (_, index) => path.flow({ startMs: 3_000 * index }))
      path.run(55_000)
      for (const flow of flows) {
        const share = path.throughput(40_000, 55_000, flow) / (1.5 * M)
        expect(share).toBeGreaterThan(least)
        expect(share).toBeLessThan(most)
      }
    }
  })
})

describe("silence (L8)", () => {
  test("cuts step by step, never below the least rate, and no burst follows", () => {
    const path = new Path({ capacity: 3 * M, rttMs: 50, bufferMs: 200 })
    const flow = path.flow()
    path.run(10_000)
    const before = flow.rate.target
    flow.silent = true
    path.run(12_000)
    const steps = [...new Set(flow.targets.slice(10_200, 12_000))]
    expect(steps.length).toBeGreaterThan(4)
    expect(flow.rate.suspectedDead).toBe(true)
    expect(flow.rate.target).toBeLessThan(0.2 * before)
    expect(flow.rate.target).toBeGreaterThanOrEqual(MIN_RATE)
    flow.silent = false
    path.run(12_100)
    expect(flow.rate.suspectedDead).toBe(false)
    expect(Math.max(...flow.targets.slice(12_050))).toBeLessThan(before)
    path.run(20_000)
    expect(path.queue95(12_000, 20_000)).toBeLessThan(55)
  })

  test("an idle link is not silent", () => {
    const path = new Path({ capacity: 3 * M, rttMs: 50, bufferMs: 200 })
    const flow = path.flow({ wants: 0 })
    path.run(5_000)
    expect(flow.rate.suspectedDead).toBe(false)
    expect(flow.rate.target).toBe(600_000)
  })

  test.each([
    [299, 600_000],
    [300, 420_000],
    [600, 294_000],
  ])("%d ms of it", (silentMs, rate) => expect(silentRate(600_000, 50, silentMs)).toBeCloseTo(rate))
})

test("clock offset, drift and wrap change nothing (L10)", () => {
  const run = (clockUs: number, clockPpm: number) => {
    const path = new Path({ capacity: 3 * M, rttMs: 50, bufferMs: 200 })
    path.flow({ clockUs, clockPpm })
    path.run(26_000)
    return path.throughput(8_000, 26_000)
  }
  const plain = run(0, 0)
  for (const [offset, ppm] of [
    [123_456_789, 100],
    [2_000_000_000, -100],
    [2 ** 32 - 10_000_000, 100],
    [2 ** 31 - 10_000_000, -100],
  ] as const) {
    expect(Math.abs(run(offset, ppm) / plain - 1)).toBeLessThan(0.05)
  }
})

test("an encoder that makes half as much again as it is told does not fill the path", () => {
  for (const capacity of [1 * M, 3 * M]) {
    for (const seed of SEEDS) {
      const path = new Path({ capacity, rttMs: 50, bufferMs: 200, seed })
      const flow = path.flow({ overshoot: 1.5 })
      path.run(26_000)
      expect(flow.rate.mode).toBe("steady")
      expect(path.throughput(8_000, 26_000) / capacity).toBeGreaterThan(0.85)
      expect(path.queue95(8_000, 26_000)).toBeLessThan(80)
    }
  }
})

test("an application that sends less does not make the rate grow", () => {
  const path = new Path({ capacity: 10 * M, rttMs: 50, bufferMs: 200 })
  const flow = path.flow({ wants: 500_000 })
  path.run(20_000)
  expect(flow.rate.target).toBeLessThan(900_000)
  expect(path.throughput(5_000, 20_000)).toBeGreaterThan(480_000)
})

test("another path starts over with half", () => {
  const path = new Path({ capacity: 3 * M, rttMs: 50, bufferMs: 200 })
  const flow = path.flow()
  path.run(10_000)
  const before = flow.rate.target
  flow.rate.pathChanged()
  expect(flow.rate.target).toBeCloseTo(before / 2)
  expect(flow.rate.mode).toBe("startup")
  path.run(14_000)
  expect(path.throughput(12_000, 14_000) / path.capacity).toBeGreaterThan(0.85)
})

test("a rate out of bounds can not be asked for", () => {
  const controller = new RateController()
  controller.startAt(1)
  expect(controller.rate).toBe(MIN_RATE)
  controller.startAt(1e12)
  expect(controller.rate).toBe(20_000_000)
})
