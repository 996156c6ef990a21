/** Turns the timestamps of a capture device into presentation times on the publisher's one clock. */

/** The clock of `pts_us`: microseconds since the Unix epoch, steady while the page lives, the same in all its threads. */
export function nowUs(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1_000)
}

/** The smallest difference is looked for in the last four seconds, kept as the minimum of each second. */
const BUCKET_US = 1_000_000
const BUCKETS = 4
/** How fast the difference may change, so that presentation times stay even: up with the drift of a bad clock, down faster. */
const RISE_PPM = 5_000
const FALL_PPM = 50_000
/** At the start the first frames are often late: until this much time has passed, a smaller difference counts at once. */
const SETTLING_US = 1_500_000
/** A jump by more than this means that the device's clock started anew. */
const RESTART_US = 1_000_000

/**
 * Frames reach us late by a varying amount and never early. So the smallest recent difference between our clock and the device's
 * is the truth, and following it slowly gives steady presentation times without the delivery jitter, whatever the drift.
 */
export class CaptureClock {
  #offset: number | undefined
  #buckets: { start: number; min: number }[] = []
  #startedUs = 0
  #lastSource = 0
  #lastPts = Number.NEGATIVE_INFINITY

  /** Another device with another clock comes next. */
  restart(): void {
    this.#offset = undefined
  }

  /**
   * @param sourceUs the device's own time of this frame
   * @param arrivalUs {@link nowUs} when it reached us
   * @returns an integer above every earlier result
   */
  pts(sourceUs: number, arrivalUs: number): number {
    const observed = arrivalUs - sourceUs
    const elapsed = sourceUs - this.#lastSource
    this.#lastSource = sourceUs
    if (this.#offset === undefined || elapsed < 0 || Math.abs(observed - this.#offset) > RESTART_US) {
      this.#offset = observed
      this.#buckets = [{ start: sourceUs, min: observed }]
      this.#startedUs = sourceUs
    } else {
      const difference = this.#smallest(sourceUs, observed) - this.#offset
      const settling = sourceUs - this.#startedUs < SETTLING_US
      const fall = settling ? Number.NEGATIVE_INFINITY : (-elapsed * FALL_PPM) / 1_000_000
      this.#offset += Math.max(fall, Math.min(difference, (elapsed * RISE_PPM) / 1_000_000))
    }
    const pts = Math.max(Math.round(sourceUs + this.#offset), this.#lastPts + 1)
    this.#lastPts = pts
    return pts
  }

  #smallest(sourceUs: number, observed: number): number {
    const newest = this.#buckets.at(-1)
    if (newest === undefined || sourceUs - newest.start >= BUCKET_US) {
      this.#buckets.push({ start: sourceUs, min: observed })
      if (this.#buckets.length > BUCKETS) this.#buckets.shift()
    } else {
      newest.min = Math.min(newest.min, observed)
    }
    let least = observed
    for (const bucket of this.#buckets) least = Math.min(least, bucket.min)
    return least
  }
}
