import { expect, test } from "vitest"
import { SUBSCRIBE_BURST, SUBSCRIBE_PER_SECOND, SubscribeBudget } from "./subscribe-budget.ts"

const granted = (budget: SubscribeBudget, peer: string, tries: number, now: number) => {
  let count = 0
  for (let i = 0; i < tries; i++) if (budget.take(peer, now)) count++
  return count
}

test("a burst is answered, then as many as come back with time; others are not touched", () => {
  const budget = new SubscribeBudget()
  expect(granted(budget, "greedy", 10_000, 0)).toBe(SUBSCRIBE_BURST)
  expect(granted(budget, "modest", 5, 0)).toBe(5)
  expect(granted(budget, "greedy", 100, 10_000)).toBe(10 * SUBSCRIBE_PER_SECOND)
  // Asking in vain does not make it worse.
  expect(granted(budget, "greedy", 100, 20_000)).toBe(10 * SUBSCRIBE_PER_SECOND)
  expect(granted(budget, "greedy", 10_000, 10 ** 9)).toBe(SUBSCRIBE_BURST)
})

test("watches a bounded number of members, and forgets those first that owe nothing", () => {
  const budget = new SubscribeBudget()
  granted(budget, "greedy", SUBSCRIBE_BURST, 60_000)
  for (let i = 0; i < 5_000; i++) budget.take(`m${i}`, 60_000 + i)
  expect(budget.size).toBeLessThanOrEqual(1_024)
  expect(granted(budget, "greedy", 100, 65_000)).toBe(5 * SUBSCRIBE_PER_SECOND)
})
