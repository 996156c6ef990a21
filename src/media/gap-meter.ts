/** Measures the longest time between two events, such as rendered pictures, pauses left out. */

export class GapMeter {
  #last: number | undefined
  #longest = 0

  mark(nowMs: number): void {
    if (this.#last !== undefined) this.#longest = Math.max(this.#longest, nowMs - this.#last)
    this.#last = nowMs
  }

  /** The source stopped on purpose; the time until the next mark does not count. */
  pause(): void {
    this.#last = undefined
  }

  reset(): void {
    this.#longest = 0
    this.#last = undefined
  }

  /** In ms; the gap that is open now counts. */
  longestMs(nowMs: number): number {
    return this.#last === undefined ? this.#longest : Math.max(this.#longest, nowMs - this.#last)
  }
}
