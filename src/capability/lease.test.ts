/** AUTH-R13: how long an announcement counts, whichever of the two intervals rules it. */
import { expect, test } from "vitest"
import { effectiveInterval, stampedTtl } from "./lease.ts"

test.each([
  ["the loop", 150_000, 10_000, 300],
  ["the throttle", 10_000, 40_000, 80],
  ["both alike", 30_000, 30_000, 60],
  ["neither: at least a second", 0, 0, 2],
  ["a loop of days: at most one day", 500_000_000, 0, 86_400],
  ["no loop", Number.POSITIVE_INFINITY, 10_000, 300],
])("AUTH-R13: %s", (_, reannounceMs, minAnnounceMs, seconds) => {
  expect(stampedTtl(effectiveInterval(reannounceMs), minAnnounceMs)).toBe(seconds)
})
