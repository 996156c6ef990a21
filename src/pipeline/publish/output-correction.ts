/** Encoders miss the bitrate they are given, some by a third: what comes out is compared with what was wanted, and asked for anew. */

/** Judged over this time, ms. */
const WINDOW_MS = 600
const MIN_FRAMES = 6
/** Asked for at least and at most, as shares of what is wanted. */
const LEAST = 0.75
const MOST = 1.6
/** Within these bounds an encoder does what it is told. */
const LITTLE = 0.92
const MUCH = 1.05
/** The request grows by no more than this per window, for a moment without motion is no fault of the encoder. */
const MOST_GROWTH = 1.15
/** An encoder that needs less than this has a picture that stands still. */
const STILL = 0.35

export class OutputCorrection {
  #factor = 1
  #wanted: number
  #at: number | undefined
  #windowStart: number | undefined
  #expected = 0
  #bytes = 0
  #frames = 0

  /** @param wanted bit/s */
  constructor(wanted: number) {
    this.#wanted = wanted
  }

  get wanted(): number {
    return this.#wanted
  }

  /** What to ask the encoder for, bit/s. */
  get request(): number {
    return this.#wanted * this.#factor
  }

  want(bps: number): void {
    this.#wanted = bps
  }

  /** The encoder stood still or began anew: what was counted says nothing. The factor stays, it is a habit of the encoder. */
  restart(): void {
    this.#at = undefined
    this.#windowStart = undefined
    this.#expected = 0
    this.#bytes = 0
    this.#frames = 0
  }

  /** A frame came out. Keyframes are larger on purpose and do not count. */
  frame(bytes: number, keyframe: boolean, nowMs: number): void {
    if (this.#at === undefined || this.#windowStart === undefined) {
      this.#at = nowMs
      this.#windowStart = nowMs
      return
    }
    const passed = nowMs - this.#at
    this.#at = nowMs
    if (keyframe) return
    this.#expected += (this.#wanted * passed) / 8_000
    this.#bytes += bytes
    this.#frames++
    if (nowMs - this.#windowStart < WINDOW_MS) return
    if (this.#frames >= MIN_FRAMES) this.#judge(this.#bytes / Math.max(1, this.#expected))
    this.#windowStart = nowMs
    this.#expected = 0
    this.#bytes = 0
    this.#frames = 0
  }

  #judge(share: number): void {
    if (share > MUCH) this.#factor = Math.max(LEAST, this.#factor / share)
    else if (share < STILL) this.#factor = 1 + (this.#factor - 1) / 2
    else if (share < LITTLE) this.#factor = Math.min(MOST, this.#factor * Math.min(MOST_GROWTH, 1 / share))
  }
}
