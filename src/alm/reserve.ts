/** Which askers a relay takes while places are scarce: those that the plan puts there come first (D-44 seen from the parent). */
import type { Milliseconds, PeerKeyId } from "../wire/types.ts"

/**
 * Whether `asker` may have one of the `free` places of a relay. A place is kept for every planned child that is not there yet: second
 * parents of others may take only what is left, otherwise they drive out those for whom this relay is the only way to the source.
 */
export function mayTakePlace(
  free: number,
  asker: PeerKeyId,
  planned: readonly PeerKeyId[],
  hasChild: (keyId: PeerKeyId) => boolean,
): boolean {
  if (free < 1) return false
  if (hasChild(asker) || planned.includes(asker)) return true
  return free > planned.filter((keyId) => !hasChild(keyId)).length
}

/** A planned child that has not come in this time is fed by others; when it does come, it may displace one that is planned elsewhere. */
export const RESERVED_MS = 10_000

/** For whom a relay keeps places of one stream: the planned children, each for some time since the plan first put it here. */
export class ReservedPlaces {
  readonly #since = new Map<PeerKeyId, Milliseconds>()

  /** Who the plan puts here now; call it with each new plan at the latest. */
  plan(children: readonly PeerKeyId[], now: Milliseconds): void {
    const planned = new Set(children)
    for (const keyId of this.#since.keys()) if (!planned.has(keyId)) this.#since.delete(keyId)
    for (const keyId of planned) if (!this.#since.has(keyId)) this.#since.set(keyId, now)
  }

  /**
   * Planned children for {@link mayTakePlace}: those that are here, the one that asks, and those that were put here not long ago. Where
   * they take more than half of `places` the plan is tight, and places are kept for as long as it says so.
   */
  planned(asker: PeerKeyId, hasChild: (keyId: PeerKeyId) => boolean, places: number, now: Milliseconds): PeerKeyId[] {
    const isTight = 2 * this.#since.size > places
    const counts = (keyId: PeerKeyId, at: Milliseconds) => isTight || now - at < RESERVED_MS || keyId === asker || hasChild(keyId)
    return [...this.#since].flatMap(([keyId, at]) => (counts(keyId, at) ? [keyId] : []))
  }
}
