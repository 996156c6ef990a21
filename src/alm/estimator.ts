/** What this peer may promise to carry: from what it was seen to deliver, never from what it hopes (av-mesh 8.1, 12; D-40). */
import type { Milliseconds } from "../wire/types.ts"

/** A rate counts as sustained when nine tenths of this time reached it, ms. */
const SUSTAINED_MS = 30_000
/** What was demonstrated, and what congestion showed, counts this long, ms. */
const MEMORY_MS = 60_000
const PERCENTILE = 0.1
/** Of what congestion showed to be there. */
const MARGIN = 0.75
/** How far beyond the demonstrated rate a promise may go while nothing was congested: otherwise nobody could ever begin or grow. */
const GROWTH = 1.5
/** Fewer samples say nothing about a sustained rate. */
const MIN_SAMPLES = 10
/** Fewer congested samples may be one hiccup. */
const MIN_CONGESTED = 3
/** After 60 s without congestion the ceiling rises by a tenth every 10 s, until it is forgotten. */
const CEILING_RISE = 1.1
const WINDOW_MS = 10_000
const CEILING_FORGOTTEN_MS = 5 * 60_000
/** A higher promise needs this many windows in a row that allow it. */
const UP_WINDOWS = 3

interface EstimatorOptions {
  /** Bitrate of one whole layer of the usual stream, Mbit/s: promises are multiples of it. */
  layerMbps: number
  /** Promised before anything was delivered, Mbit/s. */
  startMbps: number
  /** Never promise more, Mbit/s: the person's or operator's limit. */
  limitMbps?: number
  /** Uplink that other things than this room's streams use, Mbit/s. */
  committedMbps?: number
}

/** One link over the last second. */
export interface LinkSample {
  /** Acknowledged by the other end, Mbit/s. */
  deliveredMbps: number
  /** What the rate controller of the link lets it have, Mbit/s. */
  targetMbps?: number
  /** The link's rate controller found the path full. */
  congested: boolean
}

interface Sample {
  at: Milliseconds
  mbps: number
}

export class CapacityEstimator {
  #options: EstimatorOptions
  #samples: Sample[] = []
  /** Sustained rates, as they were found. */
  #sustained: Sample[] = []
  #congested: Sample[] = []
  #ceiling: Sample | undefined
  #layers: number
  #windowStart: Milliseconds | undefined
  /** Layers that the last windows would have allowed. */
  #higher: number[] = []

  constructor(options: EstimatorOptions) {
    this.#options = options
    this.#layers = this.#allowed(Number.NEGATIVE_INFINITY)
  }

  /** The promise, Mbit/s: whole layers. 0: do not advertise. */
  get uplinkMbps(): number {
    return this.#layers * this.#options.layerMbps
  }

  /** Whole layers promised. */
  get layers(): number {
    return this.#layers
  }

  /** The links of the last second. Call it once per second, also with none. */
  sample(links: readonly LinkSample[], now: Milliseconds): void {
    const mbps = links.reduce((sum, link) => sum + link.deliveredMbps, 0)
    const congestedMbps = links.reduce((sum, link) => sum + (link.congested ? link.deliveredMbps : 0), 0)
    const young = (sample: Sample) => now - sample.at < MEMORY_MS
    this.#samples = [...this.#samples.filter(({ at }) => now - at < SUSTAINED_MS), { at: now, mbps }]
    const sustained = this.#samples.length < MIN_SAMPLES ? 0 : percentile(this.#samples)
    this.#sustained = [...this.#sustained.filter(young), { at: now, mbps: sustained }]
    this.#congested = this.#congested.filter(young)
    // One slow child is its own downlink; the uplink is full when the links that carry most of it say so.
    if (congestedMbps > 0 && congestedMbps * 2 >= mbps) {
      // A link that little is sent on shows by its congestion how much it may have, not by what it delivered.
      const unused = links.reduce(
        (sum, { congested, deliveredMbps, targetMbps = 0 }) => sum + (congested ? Math.max(0, targetMbps - deliveredMbps) : 0),
        0,
      )
      this.#congested.push({ at: now, mbps: mbps + unused })
      if (this.#congested.length >= MIN_CONGESTED) this.#ceiling = { at: now, mbps: percentile(this.#congested) }
    }
    this.#move(now)
  }

  /** New limits take effect downwards at once, upwards like every rise. */
  configure(change: Partial<EstimatorOptions>, now: Milliseconds): void {
    const mbps = this.uplinkMbps
    this.#options = { ...this.#options, ...change }
    // The promise in Mbit/s stays; only what a layer is has changed.
    this.#layers = bucketOf(mbps / this.#options.layerMbps)
    this.#higher = []
    this.#layers = Math.min(this.#layers, this.#allowed(now))
  }

  #move(now: Milliseconds): void {
    const allowed = this.#allowed(now)
    if (allowed < this.#layers) {
      this.#layers = allowed
      this.#higher = []
      this.#windowStart = now
      return
    }
    this.#windowStart ??= now
    if (now - this.#windowStart < WINDOW_MS) return
    this.#windowStart = now
    if (allowed === this.#layers) {
      this.#higher = []
      return
    }
    this.#higher.push(allowed)
    if (this.#higher.length < UP_WINDOWS) return
    this.#layers = Math.min(...this.#higher)
    this.#higher = []
  }

  #allowed(now: Milliseconds): number {
    const { layerMbps, startMbps, limitMbps = Number.POSITIVE_INFINITY, committedMbps = 0 } = this.#options
    const demonstrated = Math.max(0, ...this.#sustained.map(({ mbps }) => mbps))
    const hoped = Math.max(startMbps, demonstrated * GROWTH)
    const mbps = Math.min(hoped, this.#ceilingAt(now) * MARGIN, limitMbps) - committedMbps
    return bucketOf(mbps / layerMbps)
  }

  #ceilingAt(now: Milliseconds): number {
    if (this.#ceiling === undefined) return Number.POSITIVE_INFINITY
    const quiet = now - this.#ceiling.at - MEMORY_MS
    if (quiet > CEILING_FORGOTTEN_MS) return Number.POSITIVE_INFINITY
    return this.#ceiling.mbps * CEILING_RISE ** (Math.max(0, quiet) / WINDOW_MS)
  }
}

/** Whole layers, coarser for large numbers (steps of an eighth to a quarter), so that small changes need no new signature. */
export function bucketOf(layers: number): number {
  const whole = Math.floor(Math.max(0, layers) + 1e-9)
  if (whole < 8) return whole
  const step = 2 ** (Math.floor(Math.log2(whole)) - 2)
  return Math.floor(whole / step) * step
}

/** The rate that nine tenths of the samples reached. */
function percentile(samples: readonly Sample[]): number {
  const sorted = samples.map(({ mbps }) => mbps).sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length * PERCENTILE)] ?? 0
}
