/** Counts frames by how late they were complete, relative to the fastest frame of the last minute (link-lanes 12). */

/** The fastest frame is looked for in this many intervals of this length. */
const INTERVAL_MS = 10_000
const INTERVALS = 6
/** Times from capture to completion are counted in steps of this length, and so many of them, the last for everything longer. */
const TRANSIT_STEP_MS = 10
const TRANSIT_STEPS = 51
/** A jump of the publisher's clock by more than this is a new beginning, ms. */
const JUMP_MS = 10_000

export class OnTimeCount {
  within100 = 0
  within150 = 0
  within250 = 0
  /** Frames by time from capture to completion in steps of {@link TRANSIT_STEP_MS}; only true where both clocks agree. */
  readonly transit: number[] = Array.from({ length: TRANSIT_STEPS }, () => 0)
  /** Least of arrival minus capture time per interval, ms; the two clocks are unrelated. */
  #least: { interval: number; offset: number }[] = []

  /** A frame with this capture time became complete at `now`; both in ms since 1970, of two clocks that may differ. */
  complete(captureMs: number, now: number): void {
    const offset = now - captureMs
    const step = Math.min(TRANSIT_STEPS - 1, Math.max(0, Math.floor(offset / TRANSIT_STEP_MS)))
    this.transit[step] = (this.transit[step] ?? 0) + 1
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
