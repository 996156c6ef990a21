/** Which rung of a track a receiver takes (D-37): what the application wants, what the tile needs, what path and decoder manage. */
import type { LayerReason } from "./types.ts"

/** A rung that did not fit is tried again after this time, doubled each time it does not fit again soon after; ms. */
const HOLD_MS = 10_000
const MAX_HOLD_MS = 160_000
/** Not fitting again within this time after the hold means that trying was wrong; ms. */
const REGRET_MS = 30_000
/** A tile may be this much larger than the picture in it before the next rung is worth its bits. */
const ENLARGE = 1.25

interface Rung {
  spatial: number
  width: number
  height: number
}

/** What the application asked for. */
export interface LayerWish {
  /** Cap of the policy. */
  maxSpatial: number
  /** This rung and no other, whatever the path says. */
  pinned?: number
  /** Size at which the picture is shown, in pixels of the screen; 0 × 0: not at all. */
  size?: { width: number; height: number }
}

interface LayerDecision {
  /** Undefined: nothing is to be received. */
  spatial: number | undefined
  reason: LayerReason
}

export class LayerChoice {
  /** Rungs that do not fit, by number. */
  readonly #held = new Map<number, { until: number; holdMs: number; why: "network" | "cpu" }>()

  /** The path does not carry this rung (`network`), or it cannot be decoded as fast as it comes (`cpu`). */
  refused(spatial: number, now: number, why: "network" | "cpu" = "network"): void {
    const before = this.#held.get(spatial)
    if (before !== undefined && now < before.until) return
    const again = before !== undefined && now - before.until < REGRET_MS
    const holdMs = again ? Math.min(MAX_HOLD_MS, 2 * before.holdMs) : HOLD_MS
    this.#held.set(spatial, { until: now + holdMs, holdMs, why })
  }

  /** Another path or another publisher's stream: nothing that was learned holds. */
  forget(): void {
    this.#held.clear()
  }

  /** @param rungs what the track offers, in any order, at least one */
  choose(rungs: readonly Rung[], wish: LayerWish, now: number): LayerDecision {
    const sorted = [...rungs].sort((a, b) => a.spatial - b.spatial)
    const { size, pinned } = wish
    if (size !== undefined && (size.width <= 0 || size.height <= 0)) return { spatial: undefined, reason: "hidden" }
    if (pinned !== undefined) return { spatial: highest(sorted, pinned).spatial, reason: "pinned" }
    let best = sorted.at(-1)!
    let reason: LayerReason = "best"
    const capped = highest(sorted, wish.maxSpatial)
    if (capped !== best) [best, reason] = [capped, "policy"]
    if (size !== undefined) {
      const enough = sorted.find((rung) => covers(rung, size)) ?? best
      if (enough.spatial < best.spatial) [best, reason] = [enough, "size"]
    }
    const lowest = sorted[0]!
    for (const [spatial, { until, why }] of this.#held) {
      if (now >= until || best.spatial < spatial || best === lowest) continue
      ;[best, reason] = [highest(sorted, spatial - 1), why]
    }
    return { spatial: best.spatial, reason }
  }

  /** When {@link choose} may answer otherwise although nothing was told; undefined: time changes nothing. */
  wake(now: number): number | undefined {
    let next: number | undefined
    for (const { until } of this.#held.values()) if (until > now && (next === undefined || until < next)) next = until
    return next
  }
}

/** The highest rung that is not above `spatial`; the lowest when all are. */
function highest(sorted: readonly Rung[], spatial: number): Rung {
  return sorted.findLast((rung) => rung.spatial <= spatial) ?? sorted[0]!
}

/** Fitted into the tile, the picture is not enlarged beyond {@link ENLARGE}. */
function covers(rung: Rung, size: { width: number; height: number }): boolean {
  return Math.min(size.width / rung.width, size.height / rung.height) <= ENLARGE
}
