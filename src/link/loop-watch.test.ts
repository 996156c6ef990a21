import { expect, test } from "vitest"
import { LoopWatch } from "./loop-watch.ts"
import { ReportBuilder } from "./report-builder.ts"

test("turns in time say nothing, a long gap says that we were away", () => {
  const loop = new LoopWatch()
  expect(loop.tick(0)).toBe(0)
  for (let now = 5; now <= 100; now += 5) expect(loop.tick(now)).toBe(0)
  expect(loop.late(124)).toBe(false)
  // A message is taken in hand before the timer gets its turn.
  expect(loop.late(180)).toBe(true)
  expect(loop.tick(181)).toBe(81)
  expect(loop.late(190)).toBe(false)
  loop.tick(200)
  loop.tick(220)
  expect(loop.longest(220, 50)).toBe(81)
  for (let now = 225; now <= 300; now += 5) loop.tick(now)
  expect(loop.longest(300, 50)).toBe(0)
  expect(loop.longest(340, 50)).toBe(40)
})

test("messages taken in hand late count, their delay does not, for a quarter of a second at most", () => {
  const reports = new ReportBuilder()
  let seq = 0
  const receive = (at: number, heldUp: boolean) => reports.receive(2, seq++, 0, at * 1_000, 100, heldUp)
  const report = (at: number) => reports.build(at * 1_000)!.entries[0]!
  receive(10, false)
  receive(60, true)
  expect(report(60)).toMatchObject({ received: 2, bytes: 200, highest: 1, count: 1, minDelayUs: 10_000 })
  for (let at = 110; at <= 310; at += 50) {
    receive(at, true)
    expect(report(at)).toMatchObject({ count: 0 })
  }
  // Held up all the time: a doubtful delay is better than none.
  receive(360, true)
  expect(report(360)).toMatchObject({ received: 8, count: 1, minDelayUs: 360_000 })
  receive(410, false)
  report(410)
  receive(460, true)
  expect(report(460)).toMatchObject({ count: 0 })
})
