import { describe, expect, test } from "vitest"
import { Path } from "./test-path.ts"

const SEEDS = [1, 2, 3, 4, 5, 6]
const M = 1_000_000
const OFTEN = { lengthMs: 80, everyMs: 200 }

/** Mean target from 8 to 25 s, bit/s. */
function meanTarget(unwatched: boolean, seed: number, capacity: number, wants?: number): number {
  const path = new Path({ capacity, rttMs: 50, bufferMs: 200, seed })
  const flow = path.flow({ unwatched, senderStalls: OFTEN, receiverStalls: OFTEN, ...(wants === undefined ? {} : { wants }) })
  path.run(25_000)
  const targets = flow.targets.slice(8_000)
  return targets.reduce((sum, target) => sum + target, 0) / targets.length
}

describe("threads that are kept from running a third of the time", () => {
  test("do not cost a free path its rate", () => {
    for (const seed of SEEDS) {
      expect(meanTarget(true, seed, 10 * M, 0.6 * M)).toBeLessThan(0.75 * M)
      expect(meanTarget(false, seed, 10 * M, 0.6 * M)).toBeGreaterThan(0.8 * M)
    }
  })

  test("do not starve a full one, nor let its queue grow", () => {
    for (const seed of SEEDS) {
      expect(meanTarget(true, seed, 3 * M)).toBeLessThan(1.5 * M)
      expect(meanTarget(false, seed, 3 * M)).toBeGreaterThan(2 * M)
      const path = new Path({ capacity: 3 * M, rttMs: 50, bufferMs: 200, seed })
      path.flow({ senderStalls: OFTEN, receiverStalls: OFTEN })
      path.run(25_000)
      expect(path.queue95(8_000, 25_000)).toBeLessThan(55)
    }
  })

  test("do not hide that the path became narrower", () => {
    for (const seed of SEEDS) {
      const path = new Path({ capacity: 3 * M, rttMs: 50, bufferMs: 200, seed })
      const flow = path.flow({ senderStalls: OFTEN, receiverStalls: OFTEN })
      path.run(12_000)
      path.capacity = 1 * M
      path.run(20_000)
      // Without stalls 300 ms (L5); here the look at a queue may be put off for a quarter of a second, and reports wait for us.
      expect(flow.targets.slice(12_000, 13_000).some((target) => target <= 1.1 * M)).toBe(true)
      expect(path.queue95(15_000, 20_000)).toBeLessThan(100)
    }
  })
})

test("a thread that was away takes the silence for its own", () => {
  const path = new Path({ capacity: 3 * M, rttMs: 50, bufferMs: 200 })
  const flow = path.flow()
  path.run(10_000)
  const before = flow.rate.target
  // The timer turns before the reports that waited are taken in hand.
  flow.rate.sent(10_000, 1_000)
  flow.rate.tick(10_800)
  expect(flow.rate.target).toBe(before)
  expect(flow.rate.suspectedDead).toBe(false)
  for (let now = 10_805; now < 11_400; now += 5) flow.rate.tick(now)
  expect(flow.rate.target).toBeLessThan(0.8 * before)
})
