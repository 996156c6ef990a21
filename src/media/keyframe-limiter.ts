/** Keeps keyframes from being made, or asked for, too often. */

/**
 * The first request goes at once; one that comes before the gap is over goes when it is, and those after it join it (RM-37).
 * Publishers use 500 ms, requests up the tree 300 ms (RM-19).
 */
export class KeyframeLimiter {
  readonly #gapMs: number
  #last = Number.NEGATIVE_INFINITY
  #due: number | undefined

  constructor(gapMs: number) {
    this.#gapMs = gapMs
  }

  /** True: do it now. Otherwise {@link due} tells when {@link tick} will say so. */
  request(nowMs: number): boolean {
    const allowedAt = this.#last + this.#gapMs
    if (nowMs >= allowedAt) {
      this.done(nowMs)
      return true
    }
    this.#due ??= allowedAt
    return false
  }

  /** True once, when a postponed request is due. */
  tick(nowMs: number): boolean {
    if (this.#due === undefined || nowMs < this.#due) return false
    this.done(nowMs)
    return true
  }

  /** A keyframe was made for another reason: it serves the waiting request as well. */
  done(nowMs: number): void {
    this.#last = nowMs
    this.#due = undefined
  }

  get due(): number | undefined {
    return this.#due
  }
}
