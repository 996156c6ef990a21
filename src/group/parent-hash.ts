/** Parent hashes of a received tree (RFC 9420 7.9.2): every non-blank parent must be vouched for by a node below it. */
import type { Hash } from "ts-mls/crypto/hash.js"
import { encodeParentHashInput } from "ts-mls/parentHash.js"
import { type RatchetTree, removeLeaves, resolution } from "ts-mls/ratchetTree.js"
import { encodeLeafNodeHashInput, encodeParentNodeHashInput, treeHash } from "ts-mls/treeHash.js"
import { isLeaf, leafToNodeIndex, left, right, rootFromNodeWidth, toLeafIndex, toNodeIndex } from "ts-mls/treemath.js"
import { equalBytes } from "../wire/bytes.ts"
import type { Bytes } from "../wire/types.ts"

/** Tree hashes (RFC 9420 7.8) by node index; the root's is that of the group. */
type TreeHashes = ReadonlyMap<number, Bytes>

/** All subtree hashes in one pass. The library computes them again for every parent, which is most of the cost of joining a large group. */
export async function hashTree(tree: RatchetTree, hash: Hash): Promise<TreeHashes> {
  const hashes = new Map<number, Bytes>()
  const visit = async (index: number): Promise<Bytes> => {
    const nodeIndex = toNodeIndex(index)
    const node = tree[index]
    let input: Bytes
    if (isLeaf(nodeIndex)) {
      const leafNode = node?.nodeType === "leaf" ? node.leaf : undefined
      input = encodeLeafNodeHashInput({ nodeType: "leaf", leafIndex: toLeafIndex(index / 2), leafNode })
    } else {
      const parentNode = node?.nodeType === "parent" ? node.parent : undefined
      const leftHash = await visit(left(nodeIndex))
      const rightHash = await visit(right(nodeIndex))
      input = encodeParentNodeHashInput({ nodeType: "parent", parentNode, leftHash, rightHash })
    }
    const digest = await hash.digest(input)
    hashes.set(index, digest)
    return digest
  }
  await visit(rootFromNodeWidth(tree.length))
  return hashes
}

/** True when every non-blank parent is parent-hash valid with respect to some node below it. */
export async function parentHashesHold(tree: RatchetTree, hashes: TreeHashes, hash: Hash): Promise<boolean> {
  for (const [index, node] of tree.entries()) {
    if (node?.nodeType !== "parent") continue
    const children = [left(toNodeIndex(index)), right(toNodeIndex(index))] as const
    const held =
      (await vouchedFrom(tree, index, children[0], children[1], hashes, hash)) ||
      (await vouchedFrom(tree, index, children[1], children[0], hashes, hash))
    if (!held) return false
  }
  return true
}

/**
 * Whether a node D below `child` carries the parent hash of the parent, everything else that `child` resolves to having come later: those
 * leaves are exactly the unmerged leaves of the parent on that side.
 */
async function vouchedFrom(
  tree: RatchetTree,
  parentIndex: number,
  child: number,
  sibling: number,
  hashes: TreeHashes,
  hash: Hash,
): Promise<boolean> {
  const node = tree[parentIndex]
  if (node?.nodeType !== "parent") return false
  const below = resolution(tree, toNodeIndex(child))
  const unmerged = new Set<number>(node.parent.unmergedLeaves.map((leaf) => leafToNodeIndex(toLeafIndex(leaf))))
  const candidates = below.filter((index) => !unmerged.has(index))
  const [descendant] = candidates
  const expected = descendant === undefined ? undefined : parentHashOf(tree, descendant)
  if (descendant === undefined || candidates.length !== 1 || expected === undefined) return false
  const inside = [...unmerged].filter((leaf) => isBelow(leaf, child)).length
  if (inside !== below.length - 1) return false
  const originalSiblingTreeHash = await siblingHash(tree, node.parent.unmergedLeaves, sibling, hashes, hash)
  const { hpkePublicKey: encryptionKey, parentHash } = node.parent
  return equalBytes(expected, await hash.digest(encodeParentHashInput({ encryptionKey, parentHash, originalSiblingTreeHash })))
}

/** The sibling's tree hash as it was when the parent was set: without the leaves that came later. */
async function siblingHash(
  tree: RatchetTree,
  unmergedLeaves: number[],
  sibling: number,
  hashes: TreeHashes,
  hash: Hash,
): Promise<Bytes> {
  const known = hashes.get(sibling)
  if (known !== undefined && !unmergedLeaves.some((leaf) => isBelow(leaf * 2, sibling))) return known
  return treeHash(removeLeaves(tree, unmergedLeaves.map(toLeafIndex)), toNodeIndex(sibling), hash)
}

function parentHashOf(tree: RatchetTree, index: number): Bytes | undefined {
  const node = tree[index]
  if (node?.nodeType === "parent") return node.parent.parentHash
  return node?.leaf.leafNodeSource === "commit" ? node.leaf.parentHash : undefined
}

/** A node of level k covers the 2^k − 1 indices to its left and right. */
function isBelow(index: number, ancestor: number): boolean {
  let reach = 0
  while ((ancestor >> reach) & 1) reach++
  return Math.abs(index - ancestor) < 1 << reach
}
