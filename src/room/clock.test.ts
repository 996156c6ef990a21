import { afterEach, describe, expect, test, vi } from "vitest"
import { monotonicNow, WallClock } from "./clock.ts"

afterEach(() => void vi.restoreAllMocks())

describe("the clock for timers", () => {
  test("makes good for a sleep in which the timers stood still, and never runs backwards", () => {
    const before = monotonicNow()
    const wall = vi.spyOn(Date, "now")
    wall.mockReturnValue(before + 3_600_000)
    const awake = monotonicNow()
    expect(awake - before).toBeGreaterThanOrEqual(3_600_000)
    expect(awake - before).toBeLessThan(3_601_000)
    // Somebody corrects the wall clock: the past stays past.
    wall.mockReturnValue(before - 86_400_000)
    expect(monotonicNow()).toBeGreaterThanOrEqual(awake)
  })

  test("does not follow small corrections", () => {
    const before = monotonicNow()
    vi.spyOn(Date, "now").mockReturnValue(before + 1_500)
    expect(monotonicNow() - before).toBeLessThan(1_000)
  })
})

describe("the clock that others see", () => {
  test("follows the server when the own one is wrong, and not the length of the way", () => {
    vi.spyOn(Date, "now").mockReturnValue(1_000_000)
    const clock = new WallClock()
    expect(clock.now()).toBe(1_000_000)
    clock.heardServer(-7_200_000)
    expect(clock.now()).toBe(1_000_000 - 7_200_000)
    clock.heardServer(300)
    expect(clock.now()).toBe(1_000_000)
    expect(clock.heardServer(Number.NaN)).toBe(false)
    expect(clock.now()).toBe(1_000_000)
  })

  test("a person is told above half a minute; what no clock can show is not believed", () => {
    vi.spyOn(Date, "now").mockReturnValue(1_000_000)
    const clock = new WallClock()
    expect([30_000, -30_000, 30_001, -600_000, 0, -600_000].map((skew) => clock.heardServer(skew))).toEqual([
      false,
      false,
      true,
      false,
      false,
      true,
    ])
    expect(clock.heardServer(Number(2n ** 64n - 1n))).toBe(false)
    expect(clock.offsetMs).toBe(0)
  })
})
