/** What a commit's proposals do to the group: RFC 9420 12.2 (may they stand together?) and 12.3 (in which order they apply). */
import type { CiphersuiteImpl } from "ts-mls/crypto/ciphersuite.js"
import type { Extension } from "ts-mls/extension.js"
import type { GroupContext } from "ts-mls/groupContext.js"
import { type KeyPackage, verifyKeyPackage } from "ts-mls/keyPackage.js"
import type { LeafNode } from "ts-mls/leafNode.js"
import type { PreSharedKeyID } from "ts-mls/presharedkey.js"
import type { Proposal } from "ts-mls/proposal.js"
import { accumulatePskSecret, type PskIndex } from "ts-mls/pskIndex.js"
import { addLeafNode, type RatchetTree, removeLeafNode, updateLeafNode } from "ts-mls/ratchetTree.js"
import { nodeToLeafIndex, toLeafIndex } from "ts-mls/treemath.js"
import { equalBytes } from "../wire/bytes.ts"
import type { Bytes } from "../wire/types.ts"
import { SUITE_NAME, XWING_PUBLIC_KEY_LENGTH } from "./suite.ts"
import { checkLeaf, checkUniqueKeys, invalid, leafAt } from "./tree.ts"

/** A proposal and the member it came from. */
export interface SentProposal {
  proposal: Proposal
  senderLeaf: number
}

/** The group after the proposals, before the path. */
export interface AppliedProposals {
  tree: RatchetTree
  added: { leafIndex: number; keyPackage: KeyPackage }[]
  removed: { leafIndex: number; leaf: LeafNode }[]
  updated: { leafIndex: number; leaf: LeafNode }[]
  extensions: Extension[]
  pskSecret: Bytes
  pskIds: PreSharedKeyID[]
  /** Without a path the commit is invalid (RFC 9420 12.4). */
  needsPath: boolean
}

interface Sorted {
  adds: KeyPackage[]
  updates: { leafIndex: number; leaf: LeafNode }[]
  removes: number[]
  psks: PreSharedKeyID[]
  extensions: Extension[][]
}

/** Sorts by kind. ReInit and external commits have no place in a room and are refused. */
function sort(proposals: SentProposal[], committer: number): Sorted {
  const sorted: Sorted = { adds: [], updates: [], removes: [], psks: [], extensions: [] }
  for (const { proposal, senderLeaf } of proposals) {
    switch (proposal.proposalType) {
      case "add":
        sorted.adds.push(proposal.add.keyPackage)
        break
      case "remove":
        sorted.removes.push(proposal.remove.removed)
        break
      case "update":
        if (senderLeaf === committer) throw invalid("committer proposes its own update")
        sorted.updates.push({ leafIndex: senderLeaf, leaf: proposal.update.leafNode })
        break
      case "psk":
        sorted.psks.push(proposal.psk.preSharedKeyId)
        break
      case "group_context_extensions":
        sorted.extensions.push(proposal.groupContextExtensions.extensions)
        break
      default:
        throw invalid(`proposal type ${proposal.proposalType}`)
    }
  }
  return sorted
}

function checkTogether(sorted: Sorted, committer: number, tree: RatchetTree): void {
  const touched = [...sorted.removes, ...sorted.updates.map((u) => u.leafIndex)]
  if (new Set(touched).size !== touched.length) throw invalid("two proposals for one leaf")
  if (sorted.removes.includes(committer)) throw invalid("committer removes itself")
  if (touched.some((leafIndex) => leafAt(tree, leafIndex) === undefined)) throw invalid("proposal for a blank leaf")
  if (sorted.extensions.length > 1) throw invalid("two extension proposals")
}

/** RFC 9420 10.1. The lifetime is checked where a clock is at hand: on the signed record (av-mesh D-18.3). */
async function checkKeyPackage(keyPackage: KeyPackage, context: GroupContext, suite: CiphersuiteImpl): Promise<void> {
  if (keyPackage.version !== "mls10" || keyPackage.cipherSuite !== SUITE_NAME) throw invalid("key package suite")
  if (keyPackage.initKey.length !== XWING_PUBLIC_KEY_LENGTH) throw invalid("init key length")
  if (equalBytes(keyPackage.initKey, keyPackage.leafNode.hpkePublicKey)) throw invalid("init key equals leaf key")
  if (keyPackage.leafNode.leafNodeSource !== "key_package") throw invalid("leaf source of key package")
  await checkLeaf(keyPackage.leafNode, 0, context, suite.signature)
  if (!(await verifyKeyPackage(keyPackage, suite.signature))) throw invalid("key package signature")
}

/** Applies the proposals of a commit to the tree: updates, then removes, then adds. Throws `ProcessFailed` and changes nothing in place. */
export async function applyProposals(
  tree: RatchetTree,
  context: GroupContext,
  proposals: SentProposal[],
  committer: number,
  psks: PskIndex,
  suite: CiphersuiteImpl,
): Promise<AppliedProposals> {
  const sorted = sort(proposals, committer)
  checkTogether(sorted, committer, tree)
  const extensions = sorted.extensions[0] ?? context.extensions
  const nextContext = { ...context, extensions }
  const removed = sorted.removes.map((leafIndex) => ({ leafIndex, leaf: leafAt(tree, leafIndex) as LeafNode }))

  let next = tree
  for (const { leafIndex, leaf } of sorted.updates) {
    if (leaf.leafNodeSource !== "update") throw invalid("leaf source of update")
    await checkLeaf(leaf, leafIndex, nextContext, suite.signature)
    if (equalBytes(leaf.hpkePublicKey, (leafAt(tree, leafIndex) as LeafNode).hpkePublicKey)) throw invalid("update keeps its key")
    next = updateLeafNode(next, leaf, toLeafIndex(leafIndex))
  }
  for (const leafIndex of sorted.removes) next = removeLeafNode(next, toLeafIndex(leafIndex))
  const added: AppliedProposals["added"] = []
  await Promise.all(sorted.adds.map((keyPackage) => checkKeyPackage(keyPackage, nextContext, suite)))
  for (const keyPackage of sorted.adds) {
    const [withLeaf, nodeIndex] = addLeafNode(next, keyPackage.leafNode)
    next = withLeaf
    added.push({ leafIndex: nodeToLeafIndex(nodeIndex), keyPackage })
  }
  checkUniqueKeys(next)
  const zeroes = new Uint8Array(suite.kdf.size)
  const [pskSecret, pskIds] = await accumulatePskSecret(sorted.psks, psks, suite, zeroes)
  return {
    tree: next,
    added,
    removed,
    updated: sorted.updates,
    extensions,
    pskSecret,
    pskIds,
    needsPath: proposals.length === 0 || sorted.removes.length > 0 || sorted.updates.length > 0 || sorted.extensions.length > 0,
  }
}
