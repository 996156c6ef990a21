/** Counts freezes of a picture as the WebRTC statistics define them: a gap between two shown pictures far above the usual one. */

/** A shorter gap is never a freeze, however smooth the picture was before, ms. */
const MIN_FREEZE_MS = 200
/** A gap is a freeze from this many times the mean interval on. */
const TIMES_MEAN = 3
/** The mean is that of about this many intervals. */
const SMOOTHING = 30

/** Figures of a {@link FreezeMeter}; all times in ms. */
export interface FreezeCount {
  /** Freezes that are over. */
  count: number
  totalMs: number
  /** How long the picture has stood still now, when that is a freeze already; else 0. */
  openMs: number
  /** The last freeze that is over: how long it was, and how much of the publisher's time passed in it. */
  last: { ms: number; capturedMs: number } | undefined
}

export class FreezeMeter {
  #lastMs: number | undefined
  #lastPtsUs = 0
  #meanMs: number | undefined
  #count = 0
  #totalMs = 0
  #lastFreeze: FreezeCount["last"]

  /** A picture was shown; `ptsUs` is its capture time on the publisher's clock. */
  shown(nowMs: number, ptsUs: number): void {
    const lastMs = this.#lastMs
    if (lastMs !== undefined) {
      const gapMs = Math.max(0, nowMs - lastMs)
      if (gapMs > this.#limitMs) {
        this.#count++
        this.#totalMs += gapMs
        this.#lastFreeze = { ms: gapMs, capturedMs: (ptsUs - this.#lastPtsUs) / 1_000 }
      } else {
        // Freezes stay out of the mean, or a bad minute would hide the next one.
        this.#meanMs = this.#meanMs === undefined ? gapMs : this.#meanMs + (gapMs - this.#meanMs) / SMOOTHING
      }
    }
    this.#lastMs = nowMs
    this.#lastPtsUs = ptsUs
  }

  /** The source stopped on purpose: the time until the next picture is no freeze, and its pace may be another. */
  pause(): void {
    this.#lastMs = undefined
    this.#meanMs = undefined
  }

  /** The figures at `nowMs`. */
  read(nowMs: number): FreezeCount {
    const gapMs = this.#lastMs === undefined ? 0 : nowMs - this.#lastMs
    const openMs = gapMs > this.#limitMs ? gapMs : 0
    return { count: this.#count, totalMs: this.#totalMs, openMs, last: this.#lastFreeze }
  }

  /** A frame rate of its own choice is no freeze: at 5 pictures a second the limit is 600 ms. */
  get #limitMs(): number {
    return Math.max(MIN_FREEZE_MS, TIMES_MEAN * (this.#meanMs ?? 0))
  }
}
