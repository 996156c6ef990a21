/**
 * Which layers the link of each child has room for. A relay cannot slow the encoder, so what comes in is the measure, and a child
 * with less gets the base layer alone (link-lanes LL-24).
 */
import type { PeerKeyId } from "../../wire/types.ts"
import type { PlannedLink } from "../mesh/layer-plan.ts"
import type { LayersThatFit } from "../mesh/types.ts"

/** Room below which upper layers are left away, and above which they come back; shares of what the stream takes. */
const LEAVE_BELOW = 0.95
const RETURN_ABOVE = 1.1
/** Room for the base layer below which it does not really fit. */
const STARVED_BELOW = 0.85
/** And how long it must look so, ms. */
const LEAVE_AFTER_MS = 300
const RETURN_AFTER_MS = 1_000

const RANK: Record<LayersThatFit, number> = { less: 0, base: 1, all: 2 }

export class LayerFit {
  readonly #children = new Map<PeerKeyId, { fits: LayersThatFit; otherSince: number | undefined }>()

  /** Everything, as long as nothing speaks against it. */
  of(peer: PeerKeyId): LayersThatFit {
    return this.#children.get(peer)?.fits ?? "all"
  }

  /** @param rate what the stream takes on a path with every layer, bit/s; @param baseShare of it, 0..1 */
  judge(links: readonly PlannedLink[], rate: number, baseShare: number, now: number): void {
    const peers = new Set(links.map(({ peer }) => peer))
    for (const peer of [...this.#children.keys()]) if (!peers.has(peer)) this.#children.delete(peer)
    for (const { peer, bps, settled } of links) {
      const child = this.#children.get(peer) ?? { fits: "all", otherSince: undefined }
      this.#children.set(peer, child)
      // A link that has only just begun to measure says nothing yet.
      const wanted = settled ? wantedFit(child.fits, bps, rate, baseShare) : child.fits
      if (wanted === child.fits) {
        child.otherSince = undefined
        continue
      }
      child.otherSince ??= now
      const wait = RANK[wanted] < RANK[child.fits] ? LEAVE_AFTER_MS : RETURN_AFTER_MS
      if (now - child.otherSince < wait) continue
      child.fits = wanted
      child.otherSince = undefined
    }
  }
}

function wantedFit(fits: LayersThatFit, bps: number, rate: number, baseShare: number): LayersThatFit {
  if (bps >= (fits === "all" ? LEAVE_BELOW : RETURN_ABOVE) * rate) return "all"
  return bps >= STARVED_BELOW * baseShare * rate ? "base" : "less"
}
