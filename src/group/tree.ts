/** Looking at the ratchet tree, and the checks of RFC 9420 7.3, 7.9 and 12.4.3.1 on one that came from outside. */
import type { Hash } from "ts-mls/crypto/hash.js"
import type { Signature } from "ts-mls/crypto/signature.js"
import { extensionTypeToNumber } from "ts-mls/extension.js"
import type { GroupContext } from "ts-mls/groupContext.js"
import { type LeafNode, verifyLeafNodeSignature, verifyLeafNodeSignatureKeyPackage } from "ts-mls/leafNode.js"
import type { RatchetTree } from "ts-mls/ratchetTree.js"
import { decodeRequiredCapabilities } from "ts-mls/requiredCapabilities.js"
import { directPath, leafToNodeIndex, leafWidth, rootFromNodeWidth, toLeafIndex, toNodeIndex } from "ts-mls/treemath.js"
import { ctEqual } from "../crypto/compare.ts"
import { equalBytes, toHex, utf8Decode } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, PeerKeyId } from "../wire/types.ts"
import { hashTree, parentHashesHold } from "./parent-hash.ts"
import { SUITE_NAME, XWING_PUBLIC_KEY_LENGTH } from "./suite.ts"

/** A leaf with its place. */
interface PlacedLeaf {
  leafIndex: number
  leaf: LeafNode
}

/** A key id is 1..255 bytes of UTF-8 (RM-27). */
const MAX_IDENTITY_LENGTH = 255

/** Refuses with the one code for everything RFC 9420 forbids; `why` is for the reader of a log. */
export function invalid(why: string): AvError {
  return new AvError("ProcessFailed", { why })
}

/** The leaf at this index, or undefined when the place is blank or outside. */
export function leafAt(tree: RatchetTree, leafIndex: number): LeafNode | undefined {
  const node = tree[leafIndex * 2]
  return node?.nodeType === "leaf" ? node.leaf : undefined
}

/** All members, by leaf index. */
export function listLeaves(tree: RatchetTree): PlacedLeaf[] {
  const leaves: PlacedLeaf[] = []
  for (let leafIndex = 0; leafIndex * 2 < tree.length; leafIndex++) {
    const leaf = leafAt(tree, leafIndex)
    if (leaf !== undefined) leaves.push({ leafIndex, leaf })
  }
  return leaves
}

/** The key id a leaf claims. @throws AvError `ProcessFailed` when its credential is of another type or no UTF-8. */
export function leafKeyId(leaf: LeafNode): PeerKeyId {
  if (leaf.credential.credentialType !== "basic") throw invalid("credential type")
  const identity = leaf.credential.identity
  if (identity.length < 1 || identity.length > MAX_IDENTITY_LENGTH) throw invalid("credential identity length")
  try {
    return utf8Decode(identity)
  } catch {
    throw invalid("credential identity")
  }
}

/** Key id and leaf key of the member at this index. @throws AvError `ProcessFailed` when the place is blank. */
export function memberAt(tree: RatchetTree, leafIndex: number): { keyId: PeerKeyId; leafKey: Bytes } {
  const leaf = leafAt(tree, leafIndex)
  if (leaf === undefined) throw invalid("blank leaf")
  return { keyId: leafKeyId(leaf), leafKey: leaf.signaturePublicKey.slice() }
}

/** Everything about one leaf that can be told without its neighbours (RFC 9420 7.3), its signature included. */
export async function checkLeaf(leaf: LeafNode, leafIndex: number, context: GroupContext, signature: Signature): Promise<void> {
  leafKeyId(leaf)
  if (leaf.hpkePublicKey.length !== XWING_PUBLIC_KEY_LENGTH) throw invalid("leaf encryption key length")
  const { capabilities } = leaf
  if (!capabilities.versions.includes("mls10") || !capabilities.ciphersuites.includes(SUITE_NAME))
    throw invalid("leaf capabilities")
  if (!capabilities.credentials.includes("basic")) throw invalid("leaf does not support its own credential")
  const known = capabilities.extensions
  const supported = (type: number) => type <= 5 || known.includes(type)
  if (!leaf.extensions.every((e) => supported(extensionTypeToNumber(e.extensionType))))
    throw invalid("leaf extension not in capabilities")
  if (!context.extensions.every((e) => supported(extensionTypeToNumber(e.extensionType))))
    throw invalid("group extension not supported")
  checkRequiredCapabilities(leaf, context)
  const { groupId } = context
  const valid =
    leaf.leafNodeSource === "key_package"
      ? await verifyLeafNodeSignatureKeyPackage({ ...leaf, leafNodeSource: "key_package" }, signature)
      : await verifyLeafNodeSignature(leaf, groupId, leafIndex, signature)
  if (!valid) throw invalid("leaf signature")
}

function checkRequiredCapabilities(leaf: LeafNode, context: GroupContext): void {
  const required = context.extensions.find((e) => e.extensionType === "required_capabilities")
  if (required === undefined) return
  const decoded = decodeRequiredCapabilities(required.extensionData, 0)
  if (decoded === undefined) throw invalid("required capabilities")
  const { extensionTypes, proposalTypes, credentialTypes } = decoded[0]
  const { capabilities } = leaf
  const met =
    extensionTypes.every((t) => t <= 5 || capabilities.extensions.includes(t)) &&
    proposalTypes.every((t) => t <= 7 || capabilities.proposals.includes(t)) &&
    credentialTypes.every((t) => capabilities.credentials.includes(t))
  if (!met) throw invalid("required capabilities not met")
}

/** No two nodes share an encryption key, no two leaves a signature key (RFC 9420 7.3, 12.4.3.1). */
export function checkUniqueKeys(tree: RatchetTree): void {
  const encryption = new KeySet()
  const signing = new KeySet()
  for (const node of tree) {
    if (node === undefined) continue
    const key = node.nodeType === "leaf" ? node.leaf.hpkePublicKey : node.parent.hpkePublicKey
    if (!encryption.add(key)) throw invalid("encryption key used twice")
    if (node.nodeType === "leaf" && !signing.add(node.leaf.signaturePublicKey)) throw invalid("signature key used twice")
  }
}

/** A set of byte strings that hashes only the tail: X-Wing keys end in an X25519 key, so tails differ among honest nodes. */
class KeySet {
  readonly #byTail = new Map<string, Bytes[]>()

  /** False when the key is there already. */
  add(key: Bytes): boolean {
    const tail = toHex(key.subarray(Math.max(0, key.length - 16)))
    const same = this.#byTail.get(tail) ?? []
    if (same.some((other) => equalBytes(other, key))) return false
    this.#byTail.set(tail, [...same, key])
    return true
  }
}

/**
 * Unmerged leaves (RFC 9420 7.9 and 12.4.3.1): each entry is a non-blank leaf **below** the parent, and every non-blank node strictly between
 * the two lists it as well. The library checks neither correctly and refuses legitimate trees.
 */
export function checkUnmergedLeaves(tree: RatchetTree): void {
  const width = leafWidth(tree.length)
  for (const [index, node] of tree.entries()) {
    if (node?.nodeType !== "parent") continue
    let previous = -1
    for (const unmerged of node.parent.unmergedLeaves) {
      if (unmerged <= previous) throw invalid("unmerged leaves not ascending")
      previous = unmerged
      if (leafAt(tree, unmerged) === undefined) throw invalid("unmerged leaf is blank")
      const path = directPath(leafToNodeIndex(toLeafIndex(unmerged)), width)
      const at = path.indexOf(toNodeIndex(index))
      if (at < 0) throw invalid("unmerged leaf is not a descendant")
      for (const between of path.slice(0, at)) {
        const other = tree[between]
        if (other?.nodeType === "parent" && !other.parent.unmergedLeaves.includes(unmerged))
          throw invalid("unmerged leaf not listed below")
      }
    }
  }
}

/** All checks on a tree that arrived with a Welcome. */
export async function checkTree(tree: RatchetTree, context: GroupContext, hash: Hash, signature: Signature): Promise<void> {
  for (const [index, node] of tree.entries()) {
    if (node === undefined) continue
    if ((node.nodeType === "leaf") !== (index % 2 === 0)) throw invalid("tree is not sound")
  }
  checkUniqueKeys(tree)
  checkUnmergedLeaves(tree)
  const hashes = await hashTree(tree, hash)
  if (!ctEqual(context.treeHash, hashes.get(rootFromNodeWidth(tree.length)) ?? new Uint8Array())) throw invalid("tree hash")
  await Promise.all(listLeaves(tree).map(({ leaf, leafIndex }) => checkLeaf(leaf, leafIndex, context, signature)))
  if (!(await parentHashesHold(tree, hashes, hash))) throw invalid("parent hash")
}
