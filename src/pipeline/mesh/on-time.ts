/** Counts frames by how late they were complete, relative to the fastest frame of the last minute (link-lanes 12). */

/** The fastest frame is looked for in this many intervals of this length. */
const INTERVAL_MS = 10_000
const INTERVALS = 6
/** A jump of the publisher's clock by more than this is a new beginning, ms. */
const JUMP_MS = 10_000

export class OnTimeCount {
  within100 = 0
  within150 = 0
  within250 = 0
  /** Least of arrival minus capture time per interval, ms; the two clocks are unrelated. */
  #least: { interval: number; offset: number }[] = []

  /** A frame with this capture time became complete at `now`; ms of two clocks. */
  complete(captureMs: number, now: number): void {
    const offset = now - captureMs
    const interval = Math.floor(now / INTERVAL_MS)
    this.#least = this.#least.filter((each) => interval - each.interval < INTERVALS && Math.abs(each.offset - offset) < JUMP_MS)
    const current = this.#least.find((each) => each.interval === interval)
    if (current === undefined) this.#least.push({ interval, offset })
    else current.offset = Math.min(current.offset, offset)
    const late = offset - Math.min(...this.#least.map((each) => each.offset))
    if (late <= 100) this.within100 += 1
    if (late <= 150) this.within150 += 1
    if (late <= 250) this.within250 += 1
  }
}
