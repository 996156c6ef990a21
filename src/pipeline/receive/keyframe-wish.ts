/** Decides when a stream that cannot be decoded asks for a keyframe, and when it asks again. */

/** A request needs a round trip, up to 500 ms at the publisher, and the way back of a big frame. */
const FIRST_REPEAT_MS = 600
/** A publisher that does not answer is asked less and less often. */
const MAX_REPEAT_MS = 4_000

export class KeyframeWish {
  #needed = false
  #nextAt = Number.NEGATIVE_INFINITY
  #repeatMs = FIRST_REPEAT_MS

  /** True: ask now. */
  update(needed: boolean, nowMs: number): boolean {
    this.#needed = needed
    if (!needed || nowMs < this.#nextAt) return false
    this.#nextAt = nowMs + this.#repeatMs
    this.#repeatMs = Math.min(MAX_REPEAT_MS, this.#repeatMs * 2)
    return true
  }

  /** Something was decoded: the next trouble is a new one. */
  answered(): void {
    this.#repeatMs = FIRST_REPEAT_MS
  }

  /** In how many ms to ask again; undefined when nothing is needed. */
  nextMs(nowMs: number): number | undefined {
    return this.#needed ? Math.max(0, this.#nextAt - nowMs) : undefined
  }
}
