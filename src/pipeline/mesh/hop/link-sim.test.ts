import { describe, expect, test } from "vitest"
import { ReplayWindow } from "../../../seal/outer/index.ts"
import { seeded } from "../../../wire/seeded.ts"
import { HopSim } from "./test-hop.ts"

const SEEDS = Array.from({ length: 10 }, (_, index) => index + 1)

test("one of three lanes blocked for two seconds delays no frame that the others carry (L9)", async () => {
  for (const seed of SEEDS) {
    const sim = new HopSim({ seed, lanes: 3 })
    await sim.run(4_000)
    const usual = Math.max(...sim.frames.slice(60, -3).map((frame) => frame.completeAt! - frame.madeAt))
    const before = sim.stats().rate
    const from = sim.now
    const lane = sim.there.get(2 + (seed % 3))!
    lane.blocked = true
    let most = 0
    for (let step = 0; step < 20; step++) {
      await sim.run(100)
      most = Math.max(most, sim.stats().queueMs)
      expect(lane.bufferedAmount).toBeLessThan(9_200 + 1_200)
    }
    const during = sim.frames.filter((frame) => frame.madeAt >= from && frame.madeAt < sim.now - 200)
    const blockedId = 2 + (seed % 3)
    const elsewhere = during.filter((frame) => [...frame.sentOn.values()].filter((id) => id !== blockedId).length >= frame.k)
    expect(elsewhere.length).toBeGreaterThan(45)
    for (const { madeAt, completeAt } of elsewhere) expect(completeAt! - madeAt).toBeLessThan(usual + 50)
    // What the blocked lane does is none of the path's queue.
    expect(most).toBeLessThan(8)
    expect(sim.stats().rate).toBeGreaterThan(0.95 * before)
    lane.release()
    await sim.run(2_000)
    expect(sim.stats().lanes.map(({ use }) => use)).toEqual(["ok", "ok", "ok", "ok"])
  }
})

test("1 400 messages a second that overtake each other by up to 200 ms are no replays for a window of 4 096 (L11)", () => {
  let small = 0
  for (const seed of SEEDS) {
    const random = seeded(seed)
    const order = Array.from({ length: 14_000 }, (_, seq) => ({ seq, at: seq / 1.4 + 200 * random() })).sort(
      (a, b) => a.at - b.at,
    )
    const [window, narrow] = [new ReplayWindow(4_096), new ReplayWindow(64)]
    for (const { seq } of order) {
      expect(window.admit(seq)).toBe("Fresh")
      if (narrow.admit(seq) !== "Fresh") small += 1
    }
  }
  expect(small).toBeGreaterThan(10_000)
})

describe("1.2 Mbit/s over four lanes and what is opened when asked for, rtt 50, loss of 5 % (L12)", () => {
  test.each([
    ["in runs of four", 4, 0.975],
    ["at random", 1, 0.995],
  ])("%s", async (_, burst, share) => {
    let all = 0
    for (const seed of SEEDS) {
      const sim = new HopSim({ seed, loss: 0.05, burst, lanes: 4, openAfterMs: 500 })
      await sim.run(24_000)
      const inTime = sim.within(150, 4_000, 23_500)
      expect(inTime).toBeGreaterThanOrEqual(share)
      all += inTime / SEEDS.length
      const { rtxSent, sent } = sim.stats()
      expect(rtxSent / sent).toBeLessThan(0.08)
    }
    expect(all).toBeGreaterThan(share)
  })
})

test("a lane that died is replaced; until then its share is lost once", async () => {
  for (const seed of SEEDS) {
    const sim = new HopSim({ seed, lanes: 3, loss: 0.01, openAfterMs: 500 })
    await sim.run(4_000)
    const from = sim.now
    sim.there.get(3)!.dead = true
    await sim.run(6_000)
    expect(sim.wishes.some(({ action, at }) => action === "replace" && at < from + 4_500)).toBe(true)
    expect(sim.stats().laneDeaths).toBe(1)
    // Doubt begins 150 ms after the last sign of life: from then on next to nothing is sent there.
    expect(sim.within(150, from, from + 700)).toBeGreaterThan(0.8)
    expect(sim.within(150, from + 250, sim.now - 300)).toBeGreaterThan(0.97)
  }
})

test("a second of silence: the rate falls step by step, and no burst follows (L8)", async () => {
  for (const seed of SEEDS) {
    const sim = new HopSim({ seed, lanes: 3, bottleneck: { rate: 4_000_000, buffer: 100_000 } })
    await sim.run(6_000)
    const before = sim.stats().rate
    sim.mute = true
    await sim.run(2_000)
    expect(sim.stats().rate).toBeLessThan(0.5 * before)
    expect(sim.alarms).toContain("path-silent")
    const count = sim.arrived
    sim.mute = false
    await sim.run(200)
    // Not more than the target of before would have let through.
    expect(sim.arrived - count).toBeLessThan((1.2 * before * 0.2) / 8 / 1_213 + 3)
    await sim.run(4_000)
    expect(sim.stats().rate).toBeGreaterThan(0.6 * before)
  }
})
