/** Who may be a parent according to the planned tree (D-44): no cycle can come about while all have the same plan. */
import { compareUtf8 } from "../wire/bytes.ts"
import type { Milliseconds, PeerKeyId } from "../wire/types.ts"
import { TREE_SETTLE_MS } from "./constants.ts"
import type { TreeView } from "./types.ts"

/** True when the tree is old enough to be the same everywhere, and this peer has a place in it. */
export function isTreeUsable(tree: TreeView | undefined, me: PeerKeyId, now: Milliseconds): tree is TreeView {
  return tree !== undefined && now - tree.since >= TREE_SETTLE_MS && tree.depthOf(me) !== undefined
}

/**
 * Whether `other` may feed `me`: it is the planned parent, or nearer to the source, or as near with an earlier key id. Itself and its
 * descendants are never; nor is who has no place in the tree.
 */
export function mayFeed(tree: TreeView, me: PeerKeyId, other: PeerKeyId): boolean {
  if (other === me) return false
  if (other === tree.parent) return true
  const [mine, theirs] = [tree.depthOf(me), tree.depthOf(other)]
  if (mine === undefined || theirs === undefined) return false
  return theirs < mine || (theirs === mine && compareUtf8(other, me) < 0)
}

/**
 * Whether `other` stands so near to the source that its few places are worth more to others: two steps above `me` or more. Who is itself
 * near to the source may ask only few (D-44), who is deeper has many to choose from. The planned parent and the source never count.
 */
export function isScarce(tree: TreeView, me: PeerKeyId, other: PeerKeyId): boolean {
  const [mine, theirs] = [tree.depthOf(me), tree.depthOf(other)]
  return mine !== undefined && theirs !== undefined && theirs > 0 && theirs < mine - 1 && other !== tree.parent
}

/** Longer chains than this are no tree of ours. */
const MAX_DEPTH = 256

/** True when the plan feeds `other` through `me`. */
export function isDescendant(tree: TreeView, me: PeerKeyId, other: PeerKeyId): boolean {
  let at = tree.parentOf(other)
  for (let steps = 0; at !== undefined && steps < MAX_DEPTH; steps++) {
    if (at === me) return true
    at = tree.parentOf(at)
  }
  return false
}
