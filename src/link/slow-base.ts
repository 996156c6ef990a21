/**
 * Finds that the shortest delay of a path has become longer. A message takes longer over a slower path, and that looks like a
 * short queue that never goes away: the controller would neither grow nor cut until the old minimum is a minute old.
 */
import { FREE_MS, FULL_MS } from "./rate-controller.ts"

/** The delay must have stood so long, ms, and moved no further than this, ms. */
const STANDS_MS = 2_000
const FLAT_MS = 4
/** Above this share of what the path carried when it was full, a short queue may be one of our own. */
const FAR_BELOW = 0.6

export class SlowBase {
  #stands: { since: number; least: number; most: number } | undefined
  /** What arrived when the path was last full, bit/s. */
  #full = 0

  /** Takes one look per report. @returns whether the present delay is the shortest one that can be had */
  look(now: number, q: number, sent: { target: number; delivered: number }): boolean {
    if (q > FULL_MS) this.#full = sent.delivered
    if (q <= FREE_MS || q > FULL_MS) {
      this.#stands = undefined
      return false
    }
    const { since, least, most } = this.#stands ?? { since: now, least: q, most: q }
    this.#stands = { since, least: Math.min(least, q), most: Math.max(most, q) }
    if (this.#stands.most - this.#stands.least > FLAT_MS) {
      this.#stands = { since: now, least: q, most: q }
      return false
    }
    if (now - since < STANDS_MS || sent.target > FAR_BELOW * this.#full) return false
    this.#stands = undefined
    return true
  }
}
