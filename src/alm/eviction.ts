/** Which child a full relay asks to move when one comes that the plan puts there (D-44 seen from the parent). */
import { compareUtf8 } from "../wire/bytes.ts"
import type { Milliseconds, PeerKeyId } from "../wire/types.ts"
import { isTreeUsable } from "./tree-candidates.ts"
import type { TreeView } from "./types.ts"

/** A child is not asked to move again before this time; otherwise changing plans would chase it around. */
export const EVICTION_DWELL_MS = 10_000

export interface ChildPlace {
  keyId: PeerKeyId
  /** When its subscription began. */
  since: Milliseconds
}

/**
 * The child to send `av.leaving` to, so that `asker` can be accepted; undefined: refuse the asker. Only a planned child may displace, and
 * only one that the plan puts elsewhere and that was here for 10 s; of several the deepest in the plan goes, then the last key id.
 */
export function chooseEviction(
  me: PeerKeyId,
  tree: TreeView | undefined,
  asker: PeerKeyId,
  children: readonly ChildPlace[],
  now: Milliseconds,
): PeerKeyId | undefined {
  if (!isTreeUsable(tree, me, now) || tree.parentOf(asker) !== me) return undefined
  const movable = children.filter(({ keyId, since }) => {
    const settled = now - since >= EVICTION_DWELL_MS
    return settled && tree.parentOf(keyId) !== undefined && tree.parentOf(keyId) !== me
  })
  const depth = (keyId: PeerKeyId) => tree.depthOf(keyId) ?? 0
  movable.sort((a, b) => depth(b.keyId) - depth(a.keyId) || compareUtf8(b.keyId, a.keyId))
  return movable[0]?.keyId
}
