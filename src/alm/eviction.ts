/** Which child a full relay asks to move when one comes that needs the place more (D-44 seen from the parent). */
import { compareUtf8 } from "../wire/bytes.ts"
import type { Milliseconds, PeerKeyId } from "../wire/types.ts"
import { isTreeUsable, mayFeed } from "./tree-candidates.ts"
import type { TreeView } from "./types.ts"

/** A child is not asked to move again before this time; otherwise changing plans would chase it around. */
export const EVICTION_DWELL_MS = 10_000

interface ChildPlace {
  keyId: PeerKeyId
  /** When its subscription began. */
  since: Milliseconds
}

/**
 * The child to send `av.leaving` to, so that `asker` can be accepted; undefined: refuse the asker. Only a child goes that the plan puts
 * elsewhere and that was here for 10 s, or is so deep that it should not have asked here (`isScarce`); of several the deepest in the plan, then the last key id. Who the plan puts here may displace any
 * of these. Another one, where the plan leaves places for second parents, only who is deeper than itself: the nearer to the source, the fewer
 * candidates has who asks (D-44). Where there are just enough places nobody is driven out who may find no other.
 */
export function chooseEviction(
  me: PeerKeyId,
  tree: TreeView | undefined,
  asker: PeerKeyId,
  children: readonly ChildPlace[],
  now: Milliseconds,
): PeerKeyId | undefined {
  if (!isTreeUsable(tree, me, now)) return undefined
  const depth = (keyId: PeerKeyId) => tree.depthOf(keyId) ?? 0
  const isPlanned = tree.parentOf(asker) === me
  if (!isPlanned && (tree.spare !== true || !mayFeed({ ...tree, parent: tree.parentOf(asker) }, asker, me))) return undefined
  const movable = children.filter(({ keyId, since }) => {
    const settled = now - since >= EVICTION_DWELL_MS || depth(keyId) > depth(me) + 1
    const elsewhere = tree.parentOf(keyId) !== undefined && tree.parentOf(keyId) !== me
    return settled && elsewhere && (isPlanned || depth(keyId) > depth(asker))
  })
  movable.sort((a, b) => depth(b.keyId) - depth(a.keyId) || compareUtf8(b.keyId, a.keyId))
  return movable[0]?.keyId
}
