import { expect, it } from "vitest"
import { PARENT_MISSED_MS, PARENT_MISSED_SOON_MS } from "./constants.ts"
import { ParentPauses } from "./parent-pauses.ts"

/** Heard every `ms` for so long. */
function hear(pauses: ParentPauses, ms: number, from: number, forMs: number): number {
  let now = from
  for (; now < from + forMs; now += ms) pauses.add(ms, now)
  return now
}

it("a parent is missed soon when it was never quiet, and late as long as nobody knows", () => {
  const pauses = new ParentPauses()
  expect(pauses.missedAfter).toBe(PARENT_MISSED_MS)
  let now = hear(pauses, 30, 0, 2_000)
  expect(pauses.missedAfter).toBe(PARENT_MISSED_MS)
  now = hear(pauses, 30, now, 3_000)
  expect(pauses.missedAfter).toBe(PARENT_MISSED_SOON_MS)
  now = hear(pauses, 120, now, 10_000)
  expect(pauses.missedAfter).toBe(340)
  // Keep-alives only: it may have nothing to say.
  hear(pauses, 500, now, 3_000)
  expect(pauses.missedAfter).toBe(PARENT_MISSED_MS)
})

it("one long pause counts for four seconds and more, and not for ever", () => {
  const pauses = new ParentPauses()
  let now = hear(pauses, 30, 0, 9_000)
  pauses.add(240, now)
  expect(pauses.missedAfter).toBe(580)
  now = hear(pauses, 30, now, 4_000)
  expect(pauses.missedAfter).toBe(580)
  hear(pauses, 30, now, 8_100)
  expect(pauses.missedAfter).toBe(PARENT_MISSED_SOON_MS)
})
