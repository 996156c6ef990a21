/** How long a parent is usually not heard, and so after what silence it is missed. */
import type { Milliseconds } from "../wire/types.ts"
import { PARENT_MISSED_MS, PARENT_MISSED_SOON_MS } from "./constants.ts"

/** Pauses are remembered for so long, and for as long again at most. */
const SPAN_MS = 4_000
/** On top of twice the longest pause: what is on its way again after a loss. */
const AGAIN_MS = 100

export class ParentPauses {
  /** Longest pause of the span that runs, and of the one before; unknown until a whole span has been seen. */
  #longest: Milliseconds = 0
  #before: Milliseconds = Number.POSITIVE_INFINITY
  #since: Milliseconds | undefined

  /** It was heard after a pause of `ms`. */
  add(ms: Milliseconds, now: Milliseconds): void {
    this.#since ??= now
    this.#longest = Math.max(this.#longest, ms)
    if (now - this.#since < SPAN_MS) return
    this.#before = this.#longest
    this.#longest = 0
    this.#since = now
  }

  /** Silence after which it is missed, if others are heard: short only where it has been heard all the time. */
  get missedAfter(): Milliseconds {
    const longest = Math.max(this.#longest, this.#before)
    return Math.min(PARENT_MISSED_MS, Math.max(PARENT_MISSED_SOON_MS, 2 * longest + AGAIN_MS))
  }
}
