/** Whether anybody feeds a stream at all: a fresh picture is asked for when somebody does again, and the driver told when nobody does. */
import type { Milliseconds } from "../wire/types.ts"
import type { ParentAction } from "./parent-actions.ts"
import type { ParentBook } from "./parent-book.ts"

/** Without any parent for this long, the driver is told. */
const STARVED_MS = 2_000

export class ParentDrought {
  readonly #book: ParentBook
  /** Nobody that is heard: at the start, and when all are silent. */
  #dry = true
  #since: Milliseconds

  constructor(book: ParentBook, now: Milliseconds) {
    this.#book = book
    this.#since = now
  }

  isStarved(now: Milliseconds): boolean {
    return this.#dry && now - this.#since >= STARVED_MS
  }

  watch(now: Milliseconds, out: ParentAction[]): void {
    const { set, counts } = this.#book
    const first = set.live.find((slot) => slot.provenAt !== undefined && !set.isSilent(slot, now))
    const dry = first === undefined
    if (dry === this.#dry) return
    this.#dry = dry
    this.#since = now
    if (dry) counts.dry++
    else out.push({ kind: "requestKeyframe", parent: first.keyId })
  }
}
