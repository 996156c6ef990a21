/** A small mesh whose publishers leave for good: nothing is lost, it settles, and the same seed gives the same report. */
import { beforeAll, expect, test } from "vitest"
import { initFountainFromPackage } from "../../src/fountain/node.ts"
import { RETENTION_DEFAULTS, simulateRetention } from "./retention.ts"

beforeAll(initFountainFromPackage)

const small = {
  ...RETENTION_DEFAULTS,
  peers: 12,
  contents: 2,
  publishers: 1,
  minutes: 10,
  quiet: 12,
  publishersLeaveAt: 4,
  churnPerHour: 2,
}

test("peers come and go, the publisher leaves, and everything is still there", async () => {
  const report = await simulateRetention(small)
  expect(report.left).toBeGreaterThan(0)
  expect(report.lost).toBe(0)
  expect(report.leastDistinct).toBeGreaterThanOrEqual(20)
  expect(report.samples.at(-1)!.distinct).toBe(26)
  expect(report.quietMovesPerPeer).toBe(0)
  expect(report.settleSeconds).toBeLessThan(600)
  expect(report.revocationSeconds).toBeLessThan(60)
}, 300_000)

test("the same seed gives the same report, byte for byte", async () => {
  const tiny = { ...small, peers: 6, contents: 1, minutes: 3, quiet: 1 }
  const [first, second, other] = [
    await simulateRetention(tiny),
    await simulateRetention(tiny),
    await simulateRetention({ ...tiny, seed: 2 }),
  ]
  expect(JSON.stringify(second)).toBe(JSON.stringify(first))
  expect(JSON.stringify(other)).not.toBe(JSON.stringify(first))
}, 300_000)
