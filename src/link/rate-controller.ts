/** How fast a link may send: the delay-based controller of link-lanes LL-12, and its answer to silence. No clock inside. */
import type { RateDigest } from "./rate-digest.ts"
import { ReportWindow } from "./rate-window.ts"

/** Bounds and first value of the rate, bit/s. */
export const MIN_RATE = 150_000
const MAX_RATE = 20_000_000
export const START_RATE = 600_000

/** Queueing delay under which a path counts as free, above which it counts as full, and which is too much at once; ms. */
export const FREE_MS = 8
export const FULL_MS = 20
const TOO_MUCH_MS = 60
/** In the first phase one look above this ends it, ms. */
const STARTUP_TOO_MUCH_MS = 50
/** The queue is meant to drain within this time after a cut, ms. */
const DRAIN_MS = 150
/** Growth: at least this much per second, and at least this share of a small rate. */
const ADDITIVE = 100_000
const ADDITIVE_SHARE = 0.3
/** Multiplicative growth per second: first step, upper end, and how long a step lasts before it doubles. */
const GROWTH_FIRST = 0.08
const GROWTH_MOST = 1
const GROWTH_STEP_MS = 2_000
/** Growth per second below 70 % of the best rate seen, when the last cut is this long ago. */
const GROWTH_KNOWN = 0.5
const KNOWN_SHARE = 0.7
/** After the queue drained: this share of what the path was seen to carry. */
const RETURN_SHARE = 0.92
/** The first phase multiplies the rate by e in this time, ms. */
const STARTUP_TAU_MS = 500
/** Bits of one segment of the flow we compete with. */
const SEGMENT_BITS = 9_200
/** Loss above what the path loses anyway that means congestion. */
const LOSS_MARGIN = 0.12
const STARTUP_LOSS = 0.25
const MAX_BASE_LOSS = 0.1
/** The first phase believes in loss after this many reports. */
const STARTUP_REPORTS = 12

/** Silence of the peer's reports: first cut, every further cut, and when the link is taken for dead; ms. */
const SILENCE_MS = 300
const SILENCE_AGAIN_MS = 300
const DEAD_MS = 1_500
const SILENCE_FACTOR = 0.7

export type RateMode = "startup" | "steady" | "compete"

interface RateInput extends RateDigest {
  /** Our clock, ms. */
  now: number
  /** Something other than the path limits what is sent: the lanes, or an encoder below 80 % of the rate. */
  limited: boolean
}

/** What one digest says, worked out once. */
interface Look extends RateInput {
  /** Time since the last digest, ms, at most 200. */
  dt: number
  /** Delivered, bit/s, over 300 and 140 ms. */
  delivered: number
  deliveredShort: number
  minRtt: number
  /** Over two seconds. */
  loss: number
  congested: boolean
  lossy: boolean
}

export class RateController {
  readonly #window = new ReportWindow()
  #rate: number
  #mode: RateMode = "startup"
  /** Digests in a row above {@link FULL_MS}. */
  #fullRow = 0
  /** When the present congestion began, and the rate before it. */
  #overSince: number | undefined
  #before = 0
  /** What the path carried at the last cut; 0: not known. */
  #capacity = 0
  /** Best delivery in steady state; fades. */
  #best = 0
  /** Loss of the path itself. */
  #baseLoss = 0
  /** Digests in a row without queue while competing. */
  #calm = 0
  #growth = 0
  #growthAt = 0
  #holdUntil = 0
  #cutAt = Number.NEGATIVE_INFINITY
  #lossCutAt = Number.NEGATIVE_INFINITY
  #last: number | undefined

  /** @param startRate bit/s; with a peer known from less than ten minutes ago, 0.7 of its last good rate */
  constructor(startRate = START_RATE) {
    this.#rate = startRate
  }

  /** Bit/s over all video lanes, repair included, audio not. */
  get rate(): number {
    return this.#rate
  }

  get mode(): RateMode {
    return this.#mode
  }

  /** Bit/s that arrived lately. */
  get delivered(): number {
    return this.#window.delivered(1_000)
  }

  /** Takes one digest and returns the new rate. */
  feed(input: RateInput): number {
    this.#window.push(input)
    const look = this.#look(input)
    if (this.#mode === "startup") this.#startup(look)
    else if (this.#mode === "steady") this.#steady(look)
    else this.#compete(look)
    return this.#set(this.#rate)
  }

  /** A better first guess, before the first digest; bit/s. */
  startAt(rate: number): void {
    if (this.#window.size === 0) this.#set(rate)
  }

  /** Takes back a cut below this rate, bit/s. */
  keep(rate: number): void {
    if (this.#rate < rate) this.#set(rate)
  }

  /** No report came for another step of silence. */
  cutForSilence(): void {
    // What the path carried before it fell silent is no reason to jump back there at once.
    this.#overSince = undefined
    this.#set(this.#rate * SILENCE_FACTOR)
  }

  /** Another path is in use: nothing that was learned about the old one holds. */
  pathChanged(): void {
    this.#capacity = 0
    this.#best = 0
    this.#mode = "startup"
    this.#set(this.#rate * 0.5)
  }

  #look(input: RateInput): Look {
    const { now, q, rtt } = input
    const dt = this.#last === undefined ? 50 : Math.min(200, now - this.#last)
    this.#last = now
    const delivered = this.#window.delivered(300)
    const loss = this.#window.loss(now, 2_000)
    if (q < FREE_MS) {
      const step = Math.min(1, dt / (loss > this.#baseLoss ? 6_000 : 3_000))
      this.#baseLoss = Math.min(MAX_BASE_LOSS, this.#baseLoss + (loss - this.#baseLoss) * step)
    }
    this.#fullRow = q > FULL_MS ? this.#fullRow + 1 : 0
    if (this.#mode === "steady" && q < FULL_MS) this.#best = Math.max(this.#best, delivered)
    const lossy =
      this.#mode === "startup" ? this.#window.size > STARTUP_REPORTS && loss > STARTUP_LOSS : loss > this.#baseLoss + LOSS_MARGIN
    return {
      ...input,
      dt,
      delivered,
      deliveredShort: this.#window.delivered(140),
      minRtt: Math.max(20, rtt - q),
      loss,
      congested: this.#fullRow >= 2 || q > TOO_MUCH_MS,
      lossy,
    }
  }

  /** Exponential growth until the path objects. */
  #startup({ now, q, dt, delivered, loss, lossy, limited }: Look): void {
    const full = this.#fullRow >= 2 || q > STARTUP_TOO_MUCH_MS
    if (full || lossy) {
      this.#capacity = delivered
      this.#before = delivered
      this.#best = delivered
      this.#baseLoss = Math.min(MAX_BASE_LOSS, loss)
      this.#rate = Math.min(this.#rate, (0.95 * delivered * DRAIN_MS) / (DRAIN_MS + q))
      this.#mode = "steady"
      this.#cutAt = now
      this.#lossCutAt = now
      this.#stopGrowth(now)
      this.#overSince = full ? now : undefined
    } else if (q < FULL_MS && !limited) {
      const most = delivered > 0 ? 2.2 * delivered + 300_000 : Number.POSITIVE_INFINITY
      this.#rate = Math.min(this.#rate * Math.exp(dt / STARTUP_TAU_MS), most)
    }
  }

  #steady(look: Look): void {
    if (look.congested) this.#backOff(look)
    else if (look.q <= FREE_MS) this.#free(look)
    else this.#stopGrowth(look.now)
  }

  /** One cut per round trip; a queue that stays although we went back is somebody else's. */
  #backOff({ now, q, delivered, deliveredShort, minRtt }: Look): void {
    if (this.#overSince === undefined) {
      this.#overSince = now
      this.#before = Math.min(this.#rate, delivered)
    }
    if (now - this.#cutAt > minRtt + 100) {
      this.#capacity = Math.min(delivered, deliveredShort)
      const drained = (this.#capacity * DRAIN_MS) / (DRAIN_MS + q)
      this.#rate = Math.max(Math.min(this.#rate, drained), 0.5 * this.#rate)
      this.#cutAt = now
      this.#stopGrowth(now)
    }
    if (now - this.#overSince > 1_000 + 2 * minRtt) {
      this.#mode = "compete"
      this.#rate = Math.max(this.#rate, 0.7 * this.#before)
      this.#calm = 0
      this.#lossCutAt = now
    }
  }

  /** No queue: back to what the path carried, then grow, unless it loses without delaying (a shallow buffer, a policer). */
  #free({ now, dt, delivered, minRtt, lossy, limited }: Look): void {
    if (this.#overSince !== undefined) {
      this.#overSince = undefined
      if (this.#capacity > 0) {
        this.#rate = Math.max(this.#rate, Math.min(RETURN_SHARE * this.#capacity, this.#before))
      }
      this.#growthAt = now
      this.#holdUntil = now + minRtt + 100
    }
    if (lossy) {
      if (now - this.#lossCutAt > minRtt + 1_500) {
        const got = (0.95 * delivered) / (1 - this.#baseLoss)
        this.#rate = Math.max(0.7 * this.#rate, Math.min(this.#rate, got))
        this.#lossCutAt = now
        this.#holdUntil = now + 500
        this.#stopGrowth(now)
      }
    } else if (now > this.#holdUntil && !limited) this.#grow(now, dt, delivered)
    if (this.#best > this.#rate) this.#best *= Math.exp(-dt / 60_000)
  }

  /** Additive first, which is fair to our own other links; faster the longer nothing objects. */
  #grow(now: number, dt: number, delivered: number): void {
    if (now - this.#growthAt > GROWTH_STEP_MS) {
      this.#growth = this.#growth > 0 ? Math.min(GROWTH_MOST, 2 * this.#growth) : GROWTH_FIRST
      this.#growthAt = now
    }
    const known = this.#rate < KNOWN_SHARE * this.#best && now - this.#cutAt > 2_000
    const growth = known ? Math.max(GROWTH_KNOWN, this.#growth) : this.#growth
    const perSecond = Math.max(Math.min(ADDITIVE, ADDITIVE_SHARE * this.#rate), growth * this.#rate)
    const most = delivered > 0 ? 1.5 * delivered + 100_000 : Number.POSITIVE_INFINITY
    this.#rate = Math.min(this.#rate + (perSecond * dt) / 1_000, most)
  }

  /** The delay is not ours to choose: about one Reno flow, until the queue is gone. */
  #compete({ now, q, rtt, dt, delivered, limited }: Look): void {
    const round = Math.max(rtt, 20)
    const lossNow = this.#window.loss(now, 300)
    if (lossNow > 2 * this.#baseLoss + 0.006 && now - this.#lossCutAt > round + 100) {
      this.#rate *= 0.75
      this.#lossCutAt = now
    } else if (!limited) this.#rate += (((0.45 * SEGMENT_BITS) / round) * 1_000 * dt) / round
    if (delivered > 0) this.#rate = Math.min(this.#rate, 1.3 * delivered + 100_000)
    this.#calm = q < FREE_MS + 5 ? this.#calm + 1 : 0
    if (this.#calm < 4) return
    this.#mode = "steady"
    this.#overSince = undefined
    this.#capacity = 0
    this.#stopGrowth(now)
  }

  #stopGrowth(now: number): void {
    this.#growth = 0
    this.#growthAt = now
  }

  #set(rate: number): number {
    this.#rate = Math.min(MAX_RATE, Math.max(MIN_RATE, rate))
    return this.#rate
  }
}

/** How many cuts a silence of this length calls for, and whether the link counts as dead (link-lanes LL-12, "Silence"). */
export function silence(rttMs: number, silentMs: number): { cuts: number; dead: boolean } {
  const first = Math.max(SILENCE_MS, 2 * rttMs + 100)
  const cuts = silentMs < first ? 0 : 1 + Math.floor((silentMs - first) / SILENCE_AGAIN_MS)
  return { cuts, dead: silentMs > DEAD_MS }
}

/** The rate after a silence. */
export function silentRate(rate: number, rttMs: number, silentMs: number): number {
  return Math.max(MIN_RATE, rate * SILENCE_FACTOR ** silence(rttMs, silentMs).cuts)
}
