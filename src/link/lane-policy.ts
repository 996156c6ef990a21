/** How many video lanes a link should have: link-lanes 10, LL-15 and LL-27. */
import { laneCapacity, MAX_VIDEO_LANES } from "./lane-capacity.ts"

/** A lane is closed when fewer were wanted for this long, in ms. */
const CLOSE_AFTER_MS = 30_000
/** Loss below which lanes are not what limits. */
const LOW_LOSS = 0.002

export interface LaneDemand {
  /** Target of the link including repair, bit/s, every byte the lanes carry. */
  rate: number
  loss: number
  /** Including what waits in queues, ms. */
  rttMs: number
  cap: number
  open: number
  /** The gates refused for 150 ms without a break. */
  laneLimited: boolean
  /** Lanes to have whatever the formula says. */
  least?: number
}

interface LaneCount {
  need: number
  want: number
  /** Bit/s to which the sender must limit its target because `cap` lanes carry no more; undefined when they do. */
  limit: number | undefined
}

/** Most video lanes of one link, by the number of media links of this node. */
export function laneLimit(mediaLinks: number): number {
  return mediaLinks > 4 ? 4 : 6
}

export function laneCount(demand: LaneDemand): LaneCount {
  const { rate, loss, rttMs, cap, open, laneLimited, least = 2 } = demand
  const capacity = laneCapacity(rttMs, loss)
  const need = loss < LOW_LOSS ? 1 : Math.ceil((2 * rate) / capacity)
  let want = Math.min(Math.max(2, need, least), cap)
  if (laneLimited) want = Math.min(Math.max(want, open + 1), MAX_VIDEO_LANES)
  return { need, want, limit: need > cap ? (cap * capacity) / 1.5 : undefined }
}

/** Decides at each evaluation whether to open or close one lane. */
export class LanePolicy {
  #fewerSince: number | undefined

  evaluate(now: number, demand: LaneDemand): LaneCount & { action: "add" | "remove" | undefined } {
    const count = laneCount(demand)
    if (count.want >= demand.open) {
      this.#fewerSince = undefined
      return { ...count, action: count.want > demand.open ? "add" : undefined }
    }
    this.#fewerSince ??= now
    if (now - this.#fewerSince < CLOSE_AFTER_MS) return { ...count, action: undefined }
    this.#fewerSince = now
    return { ...count, action: "remove" }
  }
}
