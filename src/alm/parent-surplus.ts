/** Which parents of a stream are let go: those that are to be replaced, once others deliver, and those beyond the number wanted. */
import type { Milliseconds } from "../wire/types.ts"
import { HANDOVER_MS, SWITCH_DWELL_MS } from "./constants.ts"
import type { ParentAction } from "./parent-actions.ts"
import type { ParentBook } from "./parent-book.ts"
import type { ParentSlot } from "./parent-slot.ts"

/** A parent that the plan no longer allows may close a circle: it is replaced when the plan stays so. */
export function checkPlan(book: ParentBook, now: Milliseconds): void {
  for (const slot of book.set.live) {
    if (book.list.isAllowed(slot.keyId, now)) {
      slot.outsideSince = undefined
      if (slot.doomed === "ineligible") slot.doomed = undefined
      continue
    }
    slot.outsideSince ??= now
    if (slot.doomed === undefined && now - slot.outsideSince >= SWITCH_DWELL_MS) book.doom(slot, "ineligible", now)
  }
}

/** Lets go of doomed parents when others have delivered for a moment, and of who is one too many. */
export function letGo(book: ParentBook, now: Milliseconds, out: ParentAction[]): void {
  const proven = book.set.delivering(now)
  const settled = proven.filter((slot) => isSettled(slot, now))
  for (const slot of book.set.live) {
    if (slot.doomed === undefined) continue
    const gone = slot.goneBy !== undefined && now >= slot.goneBy
    // Of a silent one nothing is on its way.
    const others = slot.doomed === "silent" ? proven : settled
    if (gone || others.length >= enoughWithout(book, slot, others)) book.retire(slot, now, out)
  }
  const keep = book.list.plannedParent(now)
  // Who was there first stays: another one must be clearly better for some time (D-26.6).
  const newestFirst = proven
    .filter(({ keyId }) => keyId !== keep)
    .sort((a, b) => (b.provenAt ?? 0) - (a.provenAt ?? 0) || book.rtt(b.keyId) - book.rtt(a.keyId))
  const counted = proven.filter((slot) => slot.keyId !== keep || isSettled(slot, now)).length
  for (const slot of newestFirst.slice(0, Math.max(0, counted - book.wanted))) {
    book.drop(slot, "surplus", undefined, now, out)
  }
}

/**
 * So many must deliver before this one is let go. Beside the source itself a parent that the plan does not allow is worth nothing, and
 * keeps those that the plan puts below this peer from feeding it in turn.
 */
function enoughWithout({ set, wanted }: ParentBook, { doomed }: ParentSlot, proven: readonly ParentSlot[]): number {
  return doomed === "silent" || (doomed === "ineligible" && set.bySource(proven)) ? 1 : wanted
}

/** What a parent before it had on its way is here by now, or comes too late for anybody. */
function isSettled({ provenAt = Number.POSITIVE_INFINITY }: ParentSlot, now: Milliseconds): boolean {
  return now - provenAt >= HANDOVER_MS
}
