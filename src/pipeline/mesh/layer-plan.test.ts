import { describe, expect, it } from "vitest"
import { FLOOR_BITRATE, LayerPlan } from "./layer-plan.ts"

/** For the sake of the slow one the encoder is not slowed below its floor while there is a fast one. */
const fast = { peer: "fast", bps: 5 * FLOOR_BITRATE, settled: true }
const slow = { peer: "slow", bps: 0.6 * FLOOR_BITRATE, settled: true }
const BASE_SHARE = 0.6

/** What the subscriber gets after it looked the same for two seconds. */
function fitAfter(takes: number, plan = new LayerPlan()): string {
  for (let now = 0; now <= 2_000; now += 50) plan.plan([fast, slow], BASE_SHARE, now, takes)
  return plan.of("slow")
}

describe("who gets the upper layers", () => {
  it("is judged by the target while the encoder fills it, or while nothing is known", () => {
    expect(fitAfter(FLOOR_BITRATE)).toBe("base")
    expect(fitAfter(0)).toBe("base")
  })

  it("is judged by what a quiet picture takes: a link below the least target carries it whole", () => {
    expect(fitAfter(0.3 * FLOOR_BITRATE)).toBe("all")
  })

  it("follows a picture that begins to move, and one that comes to rest", () => {
    const plan = new LayerPlan()
    expect(fitAfter(0.1 * FLOOR_BITRATE, plan)).toBe("all")
    const later = (from: number, takes: number) => {
      for (let now = from; now < from + 2_000; now += 50) plan.plan([fast, slow], BASE_SHARE, now, takes)
      return plan.of("slow")
    }
    expect(later(2_050, 0.55 * FLOOR_BITRATE)).toBe("base")
    expect(later(4_100, 0.1 * FLOOR_BITRATE)).toBe("all")
  })
})
