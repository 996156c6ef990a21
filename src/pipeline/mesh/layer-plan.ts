/**
 * How much one encoder makes for all of its subscribers, and who of them gets the base layer alone: a slow subscriber gives up
 * its upper temporal layers before it costs the others their picture (link-lanes LL-12, LL-24).
 */
import type { PeerKeyId } from "../../wire/types.ts"
import type { LayersThatFit } from "./types.ts"

/** For the sake of a slow subscriber the encoder is not slowed below this, bit/s. */
export const FLOOR_BITRATE = 200_000
/** With a base layer above this share of the bytes, nothing is gained by leaving the rest away. */
const BASE_TOO_LARGE = 0.9
/** Upper layers are kept from somebody when the encoder may then make so many times more; and given back below the second. */
const SPLIT_GAIN = 1.25
const JOIN_GAIN = 1.12
/** Of what a link takes, the base layer is planned to fill this share. */
const BASE_FILLS = 0.95
/** Room below which upper layers are left away, and above which they come back; shares of the target. */
const LEAVE_BELOW = 0.95
const RETURN_ABOVE = 1.05
/** And how long it must look so, ms. */
const LEAVE_AFTER_MS = 300
const RETURN_AFTER_MS = 1_000
/** Room for the base layer below which it does not really fit. */
const STARVED_BELOW = 0.85
/** A picture that takes less than its target needs no more room than so many times what it takes. */
const TAKES_MARGIN = 1.5

export interface PlannedLink {
  peer: PeerKeyId
  /** Encoded media that the link has room for, bit/s. */
  bps: number
  /** Its rate means something; others do not slow the encoder. */
  settled: boolean
}

interface Fit {
  fits: LayersThatFit
  /** Since when something else would be right, ms. */
  otherSince: number | undefined
}

export class LayerPlan {
  readonly #floor: number
  readonly #fits = new Map<PeerKeyId, Fit>()
  #split = false

  /** @param floor bit/s */
  constructor(floor = FLOOR_BITRATE) {
    this.#floor = floor
  }

  /** What the subscriber gets; everything as long as nothing speaks against it. */
  of(peer: PeerKeyId): LayersThatFit {
    return this.#fits.get(peer)?.fits ?? "all"
  }

  /**
   * @param links every subscriber's, at least one
   * @param baseShare bytes of the base layer to those of all layers, 0..1
   * @param takes what the encoder makes at present, bit/s; 0 while that is not known
   * @returns target of the encoder, bit/s
   */
  plan(links: readonly PlannedLink[], baseShare: number, now: number, takes = 0): number {
    const peers = new Set(links.map(({ peer }) => peer))
    for (const peer of [...this.#fits.keys()]) if (!peers.has(peer)) this.#fits.delete(peer)
    const settled = links.filter((link) => link.settled)
    const target = this.#target(
      (settled.length > 0 ? settled : links).map(({ bps }) => bps),
      baseShare,
    )
    const needs = takes > 0 ? Math.min(target, TAKES_MARGIN * takes) : target
    for (const link of links) this.#judge(link, needs, baseShare, now)
    return target
  }

  #target(rates: number[], baseShare: number): number {
    const best = Math.max(...rates)
    const all = Math.min(...rates)
    const base = Math.min(best, (BASE_FILLS * all) / baseShare)
    const gain = this.#split ? JOIN_GAIN : SPLIT_GAIN
    this.#split = baseShare <= BASE_TOO_LARGE && base > gain * all
    return Math.max(this.#split ? base : all, Math.min(best, this.#floor))
  }

  #judge({ peer, bps }: PlannedLink, needs: number, baseShare: number, now: number): void {
    const known = this.#fits.get(peer)
    const wanted = this.#wanted(known?.fits, bps, needs, baseShare)
    if (known === undefined) {
      this.#fits.set(peer, { fits: wanted, otherSince: undefined })
    } else if (wanted === known.fits) {
      known.otherSince = undefined
    } else {
      known.otherSince ??= now
      const wait = RANK[wanted] < RANK[known.fits] ? LEAVE_AFTER_MS : RETURN_AFTER_MS
      if (now - known.otherSince < wait) return
      known.fits = wanted
      known.otherSince = undefined
    }
  }

  #wanted(fits: LayersThatFit | undefined, bps: number, needs: number, baseShare: number): LayersThatFit {
    if (bps >= (fits === "all" || fits === undefined ? LEAVE_BELOW : RETURN_ABOVE) * needs) return "all"
    if (!this.#split && baseShare <= BASE_TOO_LARGE && fits !== "all" && bps >= needs) return "all"
    if (baseShare > BASE_TOO_LARGE) return bps >= STARVED_BELOW * needs ? "all" : "less"
    return bps >= STARVED_BELOW * baseShare * needs ? "base" : "less"
  }
}

const RANK: Record<LayersThatFit, number> = { less: 0, base: 1, all: 2 }
