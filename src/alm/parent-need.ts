/** Filling up the parents of a stream: how many are missing, whether that is urgent, and asking until enough are on their way. */
import type { Milliseconds } from "../wire/types.ts"
import type { ParentAction } from "./parent-actions.ts"
import type { ParentBook } from "./parent-book.ts"
import { ASKED_BESIDE, isHealthy, LINKED_BESIDE, MAX_IN_NEED, MAX_PARENTS, type ParentSlot } from "./parent-slot.ts"

export class ParentNeed {
  readonly #book: ParentBook
  /** A parent was lost, and what it brought is not replaced yet. */
  #urgent = false
  /** It brings nothing any more; one that says that it goes still does. */
  #lost = false

  constructor(book: ParentBook) {
    this.#book = book
  }

  get isUrgent(): boolean {
    return this.#urgent
  }

  /** This one brings nothing any more. */
  lost({ provenAt }: ParentSlot): void {
    if (provenAt !== undefined) this.#urgent = this.#lost = true
  }

  /** Asks further candidates until enough parents are there or on their way; in a hurry two more than are needed. */
  fill(now: Milliseconds, out: ParentAction[]): void {
    const { set, choice, wanted } = this.#book
    this.#judge(now, out)
    for (;;) {
      const slots = set.all
      const asked = slots.filter(({ state }) => state === "asked")
      const missing = wanted - slots.filter((slot) => isHealthy(slot) && !set.isMissed(slot, now)).length
      const extra = asked.length >= missing
      if (missing <= 0 || (extra && !this.#urgent)) return
      // A link takes a second: meanwhile others may have answered no.
      const linking = this.#lost ? asked.filter((slot) => slot.linking).length : 0
      const mayAsk = asked.length - linking < missing + ASKED_BESIDE
      const mayLink = this.#lost ? linking < LINKED_BESIDE : mayAsk
      if (extra && !mayLink && !mayAsk) return
      const linked = !extra || mayLink === mayAsk ? undefined : mayAsk
      const enough = slots.filter(({ provenAt, doomed }) => provenAt !== undefined && doomed !== "silent").length >= wanted
      const candidate = choice.next(set.slots, now, { urgent: this.#urgent, extra, enough, linked })
      if (candidate === undefined) return
      const most = this.#urgent ? MAX_IN_NEED : MAX_PARENTS
      if (slots.length >= most && !this.#makePlace(extra, now, out)) return
      this.#book.ask(candidate, undefined, now, out)
    }
  }

  /** Whether a lost parent is to be replaced quickly. When all is well again, who was asked beside the ones that came is let go. */
  #judge(now: Milliseconds, out: ParentAction[]): void {
    const { set, list, wanted } = this.#book
    const slots = set.all
    const delivers = ({ provenAt, doomed }: ParentSlot) =>
      provenAt !== undefined && (doomed === undefined || doomed === "ineligible")
    const missed = slots.some((slot) => delivers(slot) && set.isMissed(slot, now))
    const delivering = slots.filter((slot) => delivers(slot) && !set.isMissed(slot, now))
    const enough = delivering.length >= wanted || set.bySource(delivering)
    if (enough && this.#urgent) {
      const planned = list.plannedParent(now)
      for (const slot of slots) {
        if (slot.state !== "asked" || slot.replaces !== undefined || slot.keyId === planned) continue
        this.#book.drop(slot, "surplus", undefined, now, out)
      }
    }
    if (enough) this.#urgent = this.#lost = false
    else if (missed) this.#urgent = this.#lost = true
    else if (slots.some(({ doomed }) => doomed === "leaving")) this.#urgent = true
  }

  /** Gives up a doomed parent for another one. */
  #makePlace(silentOnly: boolean, now: Milliseconds, out: ParentAction[]): boolean {
    const given = this.#book.set.expendable(silentOnly)
    if (given !== undefined) this.#book.retire(given, now, out)
    return given !== undefined
  }
}
