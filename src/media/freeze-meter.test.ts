/** Freezes: what counts as one, and what does not. */
import { describe, expect, it } from "vitest"
import { FreezeMeter } from "./freeze-meter.ts"

/** Shows `count` pictures every `everyMs` from `fromMs` on; returns the time of the last. */
function play(meter: FreezeMeter, fromMs: number, everyMs: number, count: number): number {
  for (let n = 0; n < count; n++) meter.shown(fromMs + n * everyMs, (fromMs + n * everyMs) * 1_000)
  return fromMs + (count - 1) * everyMs
}

describe("FreezeMeter", () => {
  it("counts nothing while pictures come evenly", () => {
    const meter = new FreezeMeter()
    const end = play(meter, 0, 33, 300)
    expect(meter.read(end + 100)).toEqual({ count: 0, totalMs: 0, openMs: 0, last: undefined })
  })

  it("counts a gap above 200 ms at 30 pictures a second, with the captured time that passed", () => {
    const meter = new FreezeMeter()
    const end = play(meter, 0, 33, 60)
    meter.shown(end + 250, (end + 40) * 1_000)
    expect(meter.read(end + 260)).toEqual({ count: 1, totalMs: 250, openMs: 0, last: { ms: 250, capturedMs: 40 } })
    meter.shown(end + 250 + 199, (end + 80) * 1_000)
    expect(meter.read(end + 450).count).toBe(1)
  })

  it("takes a slow picture for what it is: at 5 a second only more than 600 ms is a freeze", () => {
    const meter = new FreezeMeter()
    const end = play(meter, 0, 200, 40)
    meter.shown(end + 550, (end + 550) * 1_000)
    expect(meter.read(end + 560).count).toBe(0)
    meter.shown(end + 550 + 700, (end + 1_250) * 1_000)
    expect(meter.read(end + 1_260).count).toBe(1)
  })

  it("shows a freeze that is still going on, and counts it once", () => {
    const meter = new FreezeMeter()
    const end = play(meter, 0, 33, 60)
    expect(meter.read(end + 150).openMs).toBe(0)
    expect(meter.read(end + 1_500).openMs).toBe(1_500)
    meter.shown(end + 2_000, (end + 2_000) * 1_000)
    expect(meter.read(end + 2_000)).toMatchObject({ count: 1, totalMs: 2_000, openMs: 0 })
  })

  it("leaves pauses on purpose out", () => {
    const meter = new FreezeMeter()
    const end = play(meter, 0, 33, 60)
    meter.pause()
    expect(meter.read(end + 5_000).openMs).toBe(0)
    const again = play(meter, end + 5_000, 33, 60)
    expect(meter.read(again)).toMatchObject({ count: 0, totalMs: 0 })
  })
})
