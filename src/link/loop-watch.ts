/** Notices that this thread was kept from running, so that a busy machine is not taken for a full path. */

/** The clock turns about every 5 ms. A turn that is this late was held up, ms. */
const LATE_MS = 25
/** Late turns that are remembered. */
const MAX_REMEMBERED = 16

/** What the timer says about messages: when the last turn is long ago, they waited for us and not for the path. */
export class LoopWatch {
  #turnAt: number | undefined
  #late: { at: number; away: number }[] = []

  /** A turn of the clock at `now` ms. @returns how long we were away beyond what is usual, ms */
  tick(now: number): number {
    const away = this.#turnAt === undefined ? 0 : now - this.#turnAt
    this.#turnAt = now
    if (away <= LATE_MS) return 0
    this.#late.push({ at: now, away })
    if (this.#late.length > MAX_REMEMBERED) this.#late.shift()
    return away
  }

  /** Whether something that is taken in hand now may have waited for us. */
  late(now: number): boolean {
    return this.#turnAt !== undefined && now - this.#turnAt > LATE_MS
  }

  /** For how long we were held up at most within the last `ms`; 0: not at all. */
  longest(now: number, ms: number): number {
    let longest = this.late(now) ? now - this.#turnAt! : 0
    for (const { at, away } of this.#late) if (now - at <= ms) longest = Math.max(longest, away)
    return longest
  }
}
