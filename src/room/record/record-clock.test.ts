import { expect, test } from "vitest"
import { RecordClock } from "./record-clock.ts"

const BLOCK = 20

test("blocks that come in turn follow each other without a gap, however unpunctual they are", () => {
  const clock = new RecordClock(BLOCK, 1_000)
  let at = 1_020
  for (let i = 0; i < 500; i++) {
    const late = (i * 7) % 90
    expect(clock.block(at + late)).toEqual({ startMs: i * BLOCK, silenceMs: 0 })
    at += BLOCK
  }
})

test("time goes on between blocks and never back", () => {
  const clock = new RecordClock(BLOCK, 0)
  let last = 0
  for (const at of [5, 20, 33, 33, 60, 200]) {
    if (at % 20 === 0) clock.block(at)
    expect(clock.now(at)).toBeGreaterThanOrEqual(last)
    last = clock.now(at)
  }
  expect(clock.now(1_000)).toBe(clock.now(200) + 800)
})

test("a pause of the sound becomes silence, so that what follows is where it belongs", () => {
  const clock = new RecordClock(BLOCK, 0)
  clock.block(20)
  const { startMs, silenceMs } = clock.block(3_000)
  expect({ startMs, silenceMs }).toEqual({ startMs: 2_980, silenceMs: 2_960 })
  expect(clock.now(3_000)).toBe(3_000)
})

test("without any sound, silence is filled in behind the time, once", () => {
  const clock = new RecordClock(BLOCK, 0)
  expect(clock.fill(400)).toMatchObject({ silenceMs: 0 })
  expect(clock.fill(1_000)).toEqual({ startMs: 0, silenceMs: 750 })
  expect(clock.now(1_000)).toBe(1_000)
  expect(clock.fill(1_000)).toMatchObject({ silenceMs: 0 })
  expect(clock.fill(2_000)).toEqual({ startMs: 750, silenceMs: 1_000 })
  // Sound that begins now goes behind it.
  expect(clock.block(2_010).startMs).toBeCloseTo(1_750, 6)
})
