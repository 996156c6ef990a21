/** How often one member may subscribe: each request costs a key and an entry in a table that never forgets (av-mesh D-5.3). */
import type { PeerKeyId } from "../../wire/types.ts"

/** Requests at once: every stream a member may have, asked for twice because the link was replaced. */
export const SUBSCRIBE_BURST = 128
/** Requests per second in the long run. Honest ones come when streams begin or fall silent. */
export const SUBSCRIBE_PER_SECOND = 2
/** Members watched at a time; more than a mesh links to. */
const MAX_PEERS = 1_024

/** By member, not by session: opening sessions again and again buys nothing. */
export class SubscribeBudget {
  readonly #buckets = new Map<PeerKeyId, { left: number; at: number }>()

  get size(): number {
    return this.#buckets.size
  }

  /** `true` when the request may be answered; takes it off the budget. `now` in ms, never running backwards. */
  take(peer: PeerKeyId, now: number): boolean {
    const known = this.#buckets.get(peer)
    const left = known === undefined ? SUBSCRIBE_BURST : refilled(known, now)
    this.#buckets.delete(peer)
    this.#buckets.set(peer, { left: left < 1 ? left : left - 1, at: now })
    if (this.#buckets.size > MAX_PEERS) this.#forget(now)
    return left >= 1
  }

  /** Whoever has its whole budget back needs no entry; if nobody has, whoever asked longest ago goes. */
  #forget(now: number): void {
    for (const [peer, bucket] of this.#buckets) if (refilled(bucket, now) >= SUBSCRIBE_BURST) this.#buckets.delete(peer)
    if (this.#buckets.size <= MAX_PEERS) return
    const oldest = this.#buckets.keys().next()
    if (oldest.done !== true) this.#buckets.delete(oldest.value)
  }
}

function refilled({ left, at }: { left: number; at: number }, now: number): number {
  return Math.min(SUBSCRIBE_BURST, left + ((now - at) / 1_000) * SUBSCRIBE_PER_SECOND)
}
