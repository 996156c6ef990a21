/** Measures how unevenly frames arrive and says how much buffering evens it out. */

interface JitterOptions {
  /** Least buffering in ms. Default 20. */
  minMs?: number
  /** Most buffering in ms. Default 500: with more, people talk over each other. */
  maxMs?: number
}

/** The fastest frame is looked for in the last ten seconds, kept as the minimum of each 2 s: a path that got longer is soon normal. */
const BASE_BUCKET_US = 2_000_000
const BASE_BUCKETS = 5
/** Delays the target is computed from: about 5 s of audio, 8 s of video. */
const HISTORY = 256
const RECENT = 8
const QUANTILE = 0.95
const EVERY = 10
const MARGIN_MS = 5
/** The target falls this fast, a large one faster: slowly, so that one calm second does not undo what was learnt. */
const FALL_MS_PER_S = 18
const FALL_SHARE_PER_S = 0.25
/** What {@link JitterEstimator.recovered} asks for is granted this long, and up to this much. */
const RECOVERY_HOLD_US = 15_000_000
const MAX_RECOVERY_MS = 60
/** So many frames in a row beyond this delay mean a new path or a new clock, not jitter. */
const SHIFT_MS = 2_500
const SHIFT_FRAMES = 12

/**
 * Delay is arrival minus presentation time; only its variation is used, so the two clocks need not agree. The target rises as soon
 * as two of the last eight frames need more, and falls slowly to the 95th percentile of the last 256.
 */
export class JitterEstimator {
  readonly #minMs: number
  readonly #maxMs: number
  /** Arrival minus presentation time of the last frames, in µs. */
  readonly #history: number[] = []
  #next = 0
  #sinceQuantile = 0
  #quantile = 0
  #target: number
  #buckets: { start: number; min: number }[] = []
  #lastArrivalUs: number | undefined
  #far = 0
  #recoveryMs = 0
  #recoveryUntil = Number.NEGATIVE_INFINITY
  #smoothed = 0

  constructor(options: JitterOptions = {}) {
    this.#minMs = options.minMs ?? 20
    this.#maxMs = options.maxMs ?? 500
    this.#target = this.#minMs
  }

  /** Takes one frame. Returns how many ms it was slower than the fastest of the last ten seconds. */
  add(ptsUs: number, arrivalUs: number): number {
    const transit = arrivalUs - ptsUs
    let base = this.#updateBase(transit, arrivalUs)
    let excess = (transit - base) / 1_000
    if (excess > SHIFT_MS) {
      if (++this.#far < SHIFT_FRAMES) return excess
      this.#restart(transit, arrivalUs)
      base = transit
      excess = 0
    }
    this.#far = 0
    this.#smoothed += (excess - this.#smoothed) / 16
    this.#history[this.#next] = transit
    this.#next = (this.#next + 1) % HISTORY
    this.#updateTarget(base, arrivalUs)
    return excess
  }

  /**
   * The publisher paused or set its clock right: how fast frames were before says nothing about those that come now. What was
   * learnt about jitter stays.
   */
  rebase(): void {
    this.#buckets = []
    this.#history.length = 0
    this.#next = 0
    this.#far = 0
  }

  /**
   * A lost frame was, or could have been, rebuilt out of one that arrived at this time. A few losses in a hundred do not move the
   * target by themselves, so this holds it up for a while: without the wait every loss would be heard.
   */
  recovered(ptsUs: number, arrivalUs: number): void {
    const fastest = this.fastestUs
    if (fastest === undefined) return
    const needMs = Math.min(MAX_RECOVERY_MS, Math.max(0, (arrivalUs - ptsUs - fastest) / 1_000) + MARGIN_MS)
    if (arrivalUs > this.#recoveryUntil || needMs >= this.#recoveryMs) this.#recoveryMs = needMs
    this.#recoveryUntil = arrivalUs + RECOVERY_HOLD_US
  }

  /** Buffering in ms that plays nearly every frame in time. */
  get targetMs(): number {
    return this.#target
  }

  /** Smoothed delay over the fastest frame in ms. */
  get jitterMs(): number {
    return this.#smoothed
  }

  /** Arrival minus presentation time of the fastest frame of the last ten seconds, in µs; undefined before the first frame. */
  get fastestUs(): number | undefined {
    let min: number | undefined
    for (const bucket of this.#buckets) if (min === undefined || bucket.min < min) min = bucket.min
    return min
  }

  #updateBase(transit: number, arrivalUs: number): number {
    const newest = this.#buckets.at(-1)
    if (newest === undefined || arrivalUs - newest.start >= BASE_BUCKET_US) {
      this.#buckets.push({ start: arrivalUs, min: transit })
      if (this.#buckets.length > BASE_BUCKETS) this.#buckets.shift()
    } else {
      newest.min = Math.min(newest.min, transit)
    }
    return this.fastestUs!
  }

  #restart(transit: number, arrivalUs: number): void {
    this.#buckets = [{ start: arrivalUs, min: transit }]
    this.#history.length = 0
    this.#next = 0
    this.#smoothed = 0
  }

  #updateTarget(base: number, arrivalUs: number): void {
    if (++this.#sinceQuantile >= EVERY || this.#history.length < EVERY) {
      this.#sinceQuantile = 0
      const sorted = this.#history.toSorted((a, b) => a - b)
      this.#quantile = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * QUANTILE))] ?? 0
    }
    const elapsedS = this.#lastArrivalUs === undefined ? 0 : Math.max(0, arrivalUs - this.#lastArrivalUs) / 1_000_000
    this.#lastArrivalUs = arrivalUs
    const wanted = this.#clamp((this.#quantile - base) / 1_000 + MARGIN_MS)
    const held = arrivalUs < this.#recoveryUntil ? this.#recoveryMs : 0
    const urgent = this.#clamp(Math.max(held, (this.#secondLargestRecent() - base) / 1_000 + MARGIN_MS))
    const fall = Math.max(FALL_MS_PER_S, this.#target * FALL_SHARE_PER_S)
    const fallen = Math.max(wanted, this.#target - Math.min(elapsedS, 1) * fall)
    this.#target = Math.max(fallen, urgent)
  }

  /** One late frame is an accident, two are a change. */
  #secondLargestRecent(): number {
    let first = Number.NEGATIVE_INFINITY
    let second = Number.NEGATIVE_INFINITY
    const count = Math.min(RECENT, this.#history.length)
    for (let i = 1; i <= count; i++) {
      const value = this.#history[(this.#next - i + HISTORY) % HISTORY]!
      if (value > first) {
        second = first
        first = value
      } else if (value > second) {
        second = value
      }
    }
    return second
  }

  #clamp(ms: number): number {
    return Math.min(this.#maxMs, Math.max(this.#minMs, ms))
  }
}
