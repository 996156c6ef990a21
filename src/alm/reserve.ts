/** Which askers a relay takes while places are scarce: those that the plan puts there come first (D-44 seen from the parent). */
import type { PeerKeyId } from "../wire/types.ts"

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
