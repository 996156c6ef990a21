import { describe, expect, it } from "vitest"
import { EncoderLoad, type LoadAdvice } from "./encoder-load.ts"

/** Runs 30 fps through an encoder that needs `msFor(point)` per frame; a frame that comes while two wait is dropped. */
function machine(detail = false) {
  const load = new EncoderLoad(30, detail)
  let nowMs = 0
  const run = (seconds: number, fullMs: number) => {
    const advice: Exclude<LoadAdvice, undefined>[] = []
    let backlogMs = 0
    for (const end = nowMs + seconds * 1_000; nowMs < end; ) {
      const { scale, rate } = load.point
      const interval = 1_000 / (30 * rate)
      nowMs += interval
      backlogMs = Math.max(0, backlogMs - interval)
      const said = load.update(nowMs)
      if (said !== undefined) advice.push(said)
      const ms = fullMs * scale ** 2
      if (backlogMs > 2 * ms) load.dropped()
      else {
        backlogMs += ms
        load.encoded(backlogMs)
      }
    }
    return advice
  }
  return { load, run }
}

describe("EncoderLoad", () => {
  it("leaves an encoder alone that keeps up", () => {
    const { load, run } = machine()
    expect(run(60, 12)).toEqual([])
    expect(load.level).toBe(0)
  })

  it("gives up resolution, then frames, then asks for another codec, not too often", () => {
    const { load, run } = machine()
    expect(run(3, 400)).toEqual(["changed"])
    expect(load.point).toEqual({ scale: 0.75, rate: 1 })
    run(3, 400)
    expect(load.point).toEqual({ scale: 0.5, rate: 1 })
    run(3, 400)
    expect(load.point).toEqual({ scale: 0.5, rate: 0.5 })
    const later = run(30, 400)
    expect(later.length).toBeGreaterThanOrEqual(2)
    expect(later.length).toBeLessThanOrEqual(4)
    expect(new Set(later)).toEqual(new Set(["codec"]))
  })

  it("takes frames from a screen before it takes pixels", () => {
    const { load, run } = machine(true)
    run(60, 70)
    expect(load.point.scale).toBe(1)
    expect(load.point.rate).toBeCloseTo(1 / 3)
    run(30, 1_000)
    expect(load.point.scale).toBe(0.5)
    expect(load.point.rate).toBeCloseTo(1 / 3)
  })

  it("comes back step by step when the machine is free again, after a hold", () => {
    const { load, run } = machine()
    run(10, 400)
    expect(load.level).toBe(3)
    expect(run(9, 8)).toEqual([])
    run(60, 8)
    expect(load.level).toBe(0)
  })

  it("tries less and less often where going up was wrong", () => {
    const { load, run } = machine()
    const downs: number[] = []
    let before = 0
    for (let second = 0; second < 400; second++) {
      // A machine that looks fast while the picture is small, as with a hardware limit.
      run(1, load.level === 0 ? 60 : 5)
      if (before === 0 && load.level > 0) downs.push(second)
      before = load.level
    }
    // With a hold that stays the same there would be some thirty.
    expect(downs.length).toBeGreaterThanOrEqual(3)
    expect(downs.length).toBeLessThanOrEqual(6)
    expect(downs.at(-1)! - downs.at(-2)!).toBeGreaterThan(40)
  })

  it("judges nothing by a time in which almost nothing was encoded", () => {
    const load = new EncoderLoad(30, false)
    load.update(0)
    load.encoded(900)
    expect(load.update(2_500)).toBeUndefined()
    load.encoded(900)
    load.restart()
    expect(load.update(60_000)).toBeUndefined()
    expect(load.level).toBe(0)
  })
})
