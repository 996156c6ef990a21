import { expect, it } from "vitest"
import { percentile, Samples } from "./samples.ts"

it("percentiles are of the nearest rank", () => {
  const samples = new Samples()
  for (let i = 1_000; i >= 1; i--) samples.add(i)
  expect(samples.summary()).toEqual({ count: 1_000, mean: 500.5, p50: 500, p95: 950, p99: 990, max: 1_000 })
  expect(percentile([7], 0.99)).toBe(7)
  expect(new Samples().summary()).toEqual({ count: 0, mean: 0, p50: 0, p95: 0, p99: 0, max: 0 })
})
