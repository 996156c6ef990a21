import { expect, test } from "vitest"
import { LossSpread } from "./loss-spread.ts"

test("a run of losses is told bit by bit, and all of it in the end", () => {
  const spread = new LossSpread()
  let told = spread.feed(40, false, 0)
  expect(told).toBeLessThan(5)
  for (let now = 50; now < 30_000; now += 50) told += spread.feed(0, false, now)
  expect(told).toBeCloseTo(40, 1)
})

test("with a queue in the path everything is told at once", () => {
  const spread = new LossSpread()
  const first = spread.feed(40, false, 0)
  expect(first + spread.feed(2, true, 50)).toBeCloseTo(42)
})
