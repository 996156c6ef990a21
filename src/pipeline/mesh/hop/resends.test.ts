import { describe, expect, test } from "vitest"
import { LaneAssigner } from "../../../link/lane-assigner.ts"
import { Resends } from "./resends.ts"
import type { HopSealer, Outgoing } from "./sender.ts"

const sealer = {} as HopSealer
const LANES = [2, 3, 4].map((laneId) => ({ laneId, buffered: 0 }))
const RUNS = { loss: 0.1, rttMs: 50, run: 2.5, losses: 50 }
const RATE = 2_000_000

function item(frame: number, more: Partial<Outgoing> = {}): Outgoing {
  const layer = { spatial: 0, temporal: 1, quality: 0 }
  return { innerChunk: new Uint8Array(100), sealer, streamKey: "s", frame, nSource: 4, layer, madeAt: 0, ...more }
}

/** Four messages of one frame went out on lane 2 at 0 ms. */
function sent(more: Partial<Outgoing> = {}): Resends {
  const resends = new Resends(new LaneAssigner())
  for (let seq = 0; seq < 4; seq++) resends.sent(2, seq, 1_135, 0, item(7, more))
  return resends
}

describe("what goes out again", () => {
  test("where losses come in runs, twice, the second time 10 ms later", () => {
    const resends = sent()
    const again = resends.answer(2, [1, 2], { now: 60, rate: RATE, lanes: LANES, losses: RUNS, queued: false })
    expect(again.map(({ lostOn, copy }) => [lostOn, copy])).toEqual([
      [2, undefined],
      [2, undefined],
    ])
    expect(resends.copies(69, RATE)).toEqual([])
    expect(resends.copies(70, RATE).map(({ copy, frame }) => [copy, frame])).toEqual([
      [true, 7],
      [true, 7],
    ])
    expect(resends.copies(90, RATE)).toEqual([])
  })

  test.each([
    ["alone", { ...RUNS, run: 1 }],
    ["seldom", { ...RUNS, loss: 0.05 }],
    ["too few to tell", { ...RUNS, losses: 10 }],
  ])("once where losses come %s", (_, losses) => {
    const resends = sent()
    expect(resends.answer(2, [1], { now: 60, rate: RATE, lanes: LANES, losses, queued: false })).toHaveLength(1)
    expect(resends.copies(100, RATE)).toEqual([])
  })

  test("once where a queue stands in the path", () => {
    const resends = sent()
    resends.answer(2, [1], { now: 60, rate: RATE, lanes: LANES, losses: RUNS, queued: true })
    expect(resends.copies(100, RATE)).toEqual([])
  })

  test("without room the copies are gone", () => {
    const resends = sent()
    resends.answer(2, [1], { now: 60, rate: RATE, lanes: LANES, losses: RUNS, queued: false })
    expect(resends.copies(70, 0)).toEqual([])
    expect(resends.copies(75, RATE)).toEqual([])
  })

  test("no copy that comes too late, none of a subscription that ended", () => {
    const late = sent()
    late.answer(2, [1], { now: 125, rate: RATE, lanes: LANES, losses: RUNS, queued: false })
    expect(late.copies(135, RATE)).toEqual([])
    const base = sent({ layer: { spatial: 0, temporal: 0, quality: 0 } })
    base.answer(2, [1], { now: 125, rate: RATE, lanes: LANES, losses: RUNS, queued: false })
    base.answer(2, [2], { now: 130, rate: RATE, lanes: LANES, losses: RUNS, queued: false })
    expect(base.copies(135, RATE)).toHaveLength(1)
    base.forget(sealer)
    expect(base.copies(140, RATE)).toEqual([])
  })

  test("copies leave a fifth of the budget for what is asked for", () => {
    // 20 % of the rate over a second: four messages; 80 % of that: three.
    const rate = (4.5 * 1_213 * 8) / 0.2
    const resends = sent()
    const again = resends.answer(2, [0, 1], { now: 60, rate, lanes: LANES, losses: RUNS, queued: false })
    expect(again).toHaveLength(2)
    expect(resends.copies(70, rate)).toHaveLength(1)
    expect(resends.answer(2, [2], { now: 80, rate, lanes: LANES, losses: RUNS, queued: false })).toHaveLength(1)
    expect(resends.answer(2, [3], { now: 80, rate, lanes: LANES, losses: RUNS, queued: false })).toHaveLength(0)
  })

  test("what the budget does not cover is not looked at again at once: the request comes more than once", () => {
    const resends = sent()
    const poor = { rate: 1_000, lanes: LANES, losses: { ...RUNS, run: 1 }, queued: false }
    expect(resends.missing(2, [1], 60, 50)).toEqual([1])
    expect(resends.answer(2, [1], { now: 60, ...poor })).toEqual([])
    expect(resends.missing(2, [1], 76, 50)).toEqual([])
    expect(resends.missing(2, [1], 92, 50)).toEqual([1])
  })

  test("a copy that is lost counts, and is not answered", () => {
    const resends = sent()
    const [again] = resends.answer(2, [1], { now: 60, rate: RATE, lanes: LANES, losses: RUNS, queued: false })
    resends.sent(3, 0, 1_135, 60, again!)
    resends.sent(4, 0, 1_135, 70, { ...again!, copy: true })
    expect(resends.missing(3, [0], 110, 50)).toEqual([0])
    expect(resends.missing(4, [0], 120, 50)).toEqual([0])
    expect(resends.answer(4, [0], { now: 120, rate: RATE, lanes: LANES, losses: RUNS, queued: false })).toEqual([])
  })
})
