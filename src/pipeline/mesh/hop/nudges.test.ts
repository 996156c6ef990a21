import { describe, expect, test } from "vitest"
import { Nudges } from "./nudges.ts"
import { TestEncoder } from "./test-encoder.ts"
import { HopSim } from "./test-hop.ts"

/** When lane 2 gets padding after one message at 0 ms. */
function paddedAt(loss: number, lost = false): number[] {
  const nudges = new Nudges()
  nudges.sent(2, loss, 0)
  if (lost) nudges.lost(2, loss, 60)
  return Array.from({ length: 100 }, (_, now) => now).flatMap((now) => nudges.due(now).map(() => now))
}

describe("padding after a message", () => {
  test("once or twice where much is lost, else only where something is missing", () => {
    expect(paddedAt(0)).toEqual([])
    expect(paddedAt(0.02)).toEqual([])
    expect(paddedAt(0.05)).toEqual([5])
    expect(paddedAt(0.1)).toEqual([5, 10])
    expect(paddedAt(0.02, true)).toEqual([60, 65])
    expect(paddedAt(0.1, true)).toEqual([5, 10])
  })

  test("waits until a lane is quiet for a moment", () => {
    const nudges = new Nudges()
    for (let now = 0; now < 20; now += 4) {
      nudges.sent(2, 0.05, now)
      expect(nudges.due(now)).toEqual([])
    }
    expect(nudges.due(21)).toEqual([2])
    expect(nudges.due(60)).toEqual([])
  })
})

test("a call over associations that lose 10 % in runs of four: frames in time, no lane stands still for its timer", async () => {
  for (const seed of [1, 2]) {
    const encoder = new TestEncoder(1_200_000)
    const { frame } = encoder
    const sim = new HopSim({ seed, loss: 0.1, burst: 4, lanes: 2, openAfterMs: 700, voice: true, associations: true, frame })
    await sim.run(26_000)
    // Without what is done about it between 89 and 96 %, with eight keyframes.
    expect(sim.within(140, 6_000, 25_500)).toBeGreaterThan(0.985)
    expect(encoder.keyframes).toBeLessThan(6)
    const timeouts = sim.ends.reduce((sum, { timeouts }) => sum + timeouts, 0)
    expect(timeouts).toBeLessThan(6)
  }
}, 30_000)
