/** Watches whether an encoder keeps up and says when the picture or the frame rate must shrink, and when they may grow again. */

/** A working point: linear scale of the picture and share of the frame rate. */
interface WorkingPoint {
  readonly scale: number
  readonly rate: number
}

/** Motion gives up resolution first, then frames; a screen gives up frames first, for its text must stay readable. */
const MOTION: readonly WorkingPoint[] = [
  { scale: 1, rate: 1 },
  { scale: 0.75, rate: 1 },
  { scale: 0.5, rate: 1 },
  { scale: 0.5, rate: 0.5 },
]
const DETAIL: readonly WorkingPoint[] = [
  { scale: 1, rate: 1 },
  { scale: 1, rate: 2 / 3 },
  { scale: 1, rate: 0.5 },
  { scale: 1, rate: 1 / 3 },
  { scale: 0.75, rate: 1 / 3 },
  { scale: 0.5, rate: 1 / 3 },
]
const WINDOW_MS = 2_000
const MIN_FRAMES = 8
/** Too slow: this share of the time between two frames is needed for one, or this share of the frames found the encoder busy. */
const SLOW_SHARE = 0.9
const SLOW_DROPS = 0.15
/** Fast enough for the next larger point: its expected share stays below this. */
const FAST_SHARE = 0.55
/** How long it must have been fast; doubled each time going up turns out to be wrong. */
const HOLD_MS = 10_000
const MAX_HOLD_MS = 160_000
/** Going down this soon after going up means that going up was wrong. */
const REGRET_MS = 15_000
const REPEAT_MS = 10_000

export type LoadAdvice = "changed" | "codec" | undefined

export class EncoderLoad {
  readonly #points: readonly WorkingPoint[]
  readonly #frameRate: number
  #level = 0
  #windowStart: number | undefined
  #encoded = 0
  #encodeMs = 0
  #dropped = 0
  #fastSince: number | undefined
  #holdMs = HOLD_MS
  #wentUpAt = Number.NEGATIVE_INFINITY
  #complainedAt = Number.NEGATIVE_INFINITY

  constructor(frameRate: number, detail: boolean) {
    this.#frameRate = frameRate
    this.#points = detail ? DETAIL : MOTION
  }

  /** 0: nothing is held back. */
  get level(): number {
    return this.#level
  }

  get point(): WorkingPoint {
    return this.#points[this.#level]!
  }

  /** A frame came out of the encoder this long after it went in. */
  encoded(ms: number): void {
    this.#encoded++
    this.#encodeMs += ms
  }

  /** A frame was left out because the encoder was busy. */
  dropped(): void {
    this.#dropped++
  }

  /** The source or the encoder stood still: what was measured so far says nothing. */
  restart(): void {
    this.#windowStart = undefined
    this.#fastSince = undefined
  }

  /** Call with every frame. `"changed"`: take the new {@link point}. `"codec"`: even the smallest is too much for this codec. */
  update(nowMs: number): LoadAdvice {
    if (this.#windowStart === undefined || nowMs - this.#windowStart > 2 * WINDOW_MS) {
      this.#begin(nowMs)
      return undefined
    }
    if (nowMs - this.#windowStart < WINDOW_MS) return undefined
    const frames = this.#encoded + this.#dropped
    const share = this.#share(this.point)
    const drops = this.#dropped / Math.max(1, frames)
    const above = this.#points[this.#level - 1]
    // The work grows with the number of pixels.
    const shareAbove = above === undefined ? Number.POSITIVE_INFINITY : this.#share(above) * (above.scale / this.point.scale) ** 2
    this.#begin(nowMs)
    if (frames < MIN_FRAMES) return undefined
    if (share > SLOW_SHARE || drops > SLOW_DROPS) return this.#down(nowMs)
    if (shareAbove > FAST_SHARE || drops > 0) this.#fastSince = undefined
    else {
      this.#fastSince ??= nowMs
      if (nowMs - this.#fastSince >= this.#holdMs) return this.#up(nowMs)
    }
    return undefined
  }

  /** Share of the time between two frames at this point that encoding one takes now. */
  #share(point: WorkingPoint): number {
    return ((this.#encodeMs / Math.max(1, this.#encoded)) * this.#frameRate * point.rate) / 1_000
  }

  #begin(nowMs: number): void {
    this.#windowStart = nowMs
    this.#encoded = 0
    this.#encodeMs = 0
    this.#dropped = 0
  }

  #down(nowMs: number): LoadAdvice {
    this.#fastSince = undefined
    if (nowMs - this.#wentUpAt < REGRET_MS) this.#holdMs = Math.min(MAX_HOLD_MS, 2 * this.#holdMs)
    if (this.#level < this.#points.length - 1) {
      this.#level++
      return "changed"
    }
    if (nowMs - this.#complainedAt < REPEAT_MS) return undefined
    this.#complainedAt = nowMs
    return "codec"
  }

  #up(nowMs: number): LoadAdvice {
    this.#level--
    this.#fastSince = undefined
    this.#wentUpAt = nowMs
    return "changed"
  }
}
