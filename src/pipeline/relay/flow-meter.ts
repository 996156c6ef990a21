/** How much of a stream comes in, and how much of that is its base layer: told from clear headers. */

/** Time over which the rates fade, ms. */
const FADE_MS = 1_000
/** Before it was measured for so long, ms, nothing can be said about what a stream takes at most; nor below this, bit/s. */
const SETTLED_MS = 2_000
const LEAST_PEAK = 250_000
/** The highest rate is remembered with this decay per second: streams grow again after a quiet moment. */
const PEAK_DECAY = 0.98

export class FlowMeter {
  #all = 0
  #base = 0
  #at = Number.NEGATIVE_INFINITY
  #since: number | undefined
  #peak = 0
  #peakAt = 0

  /** @param bytes of the message on the path, with what lies under it */
  add(bytes: number, temporal: number, now: number): void {
    const fade = this.#fade(now)
    this.#since ??= now
    this.#all = this.#all * fade + bytes
    this.#base = this.#base * fade + (temporal === 0 ? bytes : 0)
    this.#at = now
  }

  /** Bit/s, of all layers. */
  rate(now: number): number {
    return (8_000 / FADE_MS) * this.#all * this.#fade(now)
  }

  /** 0..1; 1 where there are no upper layers. */
  get baseShare(): number {
    return this.#all === 0 ? 1 : this.#base / this.#all
  }

  /** The most that came in lately, bit/s; undefined while that is not known. */
  peak(now: number): number | undefined {
    if (this.#since === undefined || now - this.#since < SETTLED_MS) return undefined
    const faded = this.#peak * PEAK_DECAY ** (Math.max(0, now - this.#peakAt) / 1_000)
    this.#peak = Math.max(faded, this.rate(now), LEAST_PEAK)
    this.#peakAt = now
    return this.#peak
  }

  #fade(now: number): number {
    return Math.exp(-Math.max(0, now - this.#at) / FADE_MS)
  }
}
