/** Checks of a commit before the group is touched (av-mesh 6.4, D-12, D-18.4), and of one that came from another member. */

import type { CiphersuiteImpl } from "ts-mls/crypto/ciphersuite.js"
import type { KeyPackage } from "ts-mls/keyPackage.js"
import { equalBytes } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import { decodeKeyPackageRecord } from "../wire/key-records.ts"
import type { Bytes, PeerKeyId } from "../wire/types.ts"
import type { OpenedCommit } from "./commit.ts"
import { membersOf } from "./engine.ts"
import type { LeafDirectory } from "./leaf-directory.ts"
import { verifyKeyPackageRecord, verifyLeafBinding } from "./records.ts"
import type { GroupState } from "./state.ts"
import { invalid, leafAt, leafKeyId } from "./tree.ts"
import type { CommitInput, JoinerInput, RemovedLeaf } from "./types.ts"

/** A newcomer whose record and binding hold. */
export interface CheckedAdd {
  keyId: PeerKeyId
  keyPackage: KeyPackage
  ref: Bytes
  binding: Bytes
}

/** RM-14: reasons of a commit take at most this many bytes. */
const MAX_AUTHENTICATED_DATA = 8 * 1024

interface CheckedCommit {
  adds: CheckedAdd[]
  removes: number[]
}

/**
 * Verifies everything about a commit to be made; the group is untouched whatever comes out.
 *
 * @throws AvError of {@link verifyKeyPackageRecord}, `LeafIdentityUnverified`, `DuplicateOp`, `CannotRemoveSelf`, `MemberNotFound`, `AlreadyMember`
 */
export async function checkCommitInput(
  input: CommitInput,
  state: GroupState,
  directory: LeafDirectory,
  ownKeyId: PeerKeyId,
  suite: CiphersuiteImpl,
): Promise<CheckedCommit> {
  const { adds = [], removes = [], authenticatedData } = input
  if ((authenticatedData?.length ?? 0) > MAX_AUTHENTICATED_DATA)
    throw new AvError("UsageError", { limit: MAX_AUTHENTICATED_DATA })
  const checked: CheckedAdd[] = []
  for (const add of adds) checked.push(await checkAdd(add, input.now, directory, suite))
  return {
    adds: checked,
    removes: resolveOps(
      checked.map(({ keyId }) => keyId),
      removes,
      state,
      ownKeyId,
    ),
  }
}

/** The rules of D-12 on key ids; returns the leaf indices to remove. */
export function resolveOps(adds: PeerKeyId[], removes: PeerKeyId[], state: GroupState, ownKeyId: PeerKeyId): number[] {
  for (const list of [adds, removes]) {
    const twice = list.find((keyId, i) => list.indexOf(keyId) !== i)
    if (twice !== undefined) throw new AvError("DuplicateOp", { key_id: twice })
  }
  const leaves = new Map(membersOf(state).map(({ keyId, leafIndex }) => [keyId, leafIndex]))
  if (removes.includes(ownKeyId)) throw new AvError("CannotRemoveSelf")
  const indices = removes.map((keyId) => {
    const leafIndex = leaves.get(keyId)
    if (leafIndex === undefined) throw new AvError("MemberNotFound", { key_id: keyId })
    return leafIndex
  })
  const present = adds.find((keyId) => leaves.has(keyId) && !removes.includes(keyId))
  if (present !== undefined) throw new AvError("AlreadyMember", { key_id: present })
  return indices
}

async function checkAdd(add: JoinerInput, now: number, directory: LeafDirectory, suite: CiphersuiteImpl): Promise<CheckedAdd> {
  const claimed = decodeKeyPackageRecord(add.record).record.keyId
  const keys = add.keys ?? directory.keysOf(claimed)
  if (keys === undefined) throw new AvError("KeyPackageSignatureInvalid", { key_id: claimed })
  const verified = await verifyKeyPackageRecord(add.record, keys, now, suite)
  const { binding = add.record } = add
  const bound = add.binding === undefined ? verified : await verifyLeafBinding(add.binding, keys, now)
  if (bound.keyId !== verified.keyId || !equalBytes(bound.leafKey, verified.leafKey)) {
    throw new AvError("LeafIdentityUnverified", { key_id: verified.keyId })
  }
  directory.trust(bound, binding, keys)
  return { keyId: verified.keyId, keyPackage: verified.keyPackage, ref: verified.ref, binding }
}

/** Who a commit adds and removes, by name. */
export function commitNames(opened: Pick<OpenedCommit, "applied">): {
  adds: { keyId: PeerKeyId; leafKey: Bytes }[]
  removes: RemovedLeaf[]
} {
  const { added, removed } = opened.applied
  return {
    adds: added.map(({ keyPackage: { leafNode } }) => ({
      keyId: leafKeyId(leafNode),
      leafKey: leafNode.signaturePublicKey.slice(),
    })),
    removes: removed.map(({ leafIndex, leaf }) => ({
      keyId: leafKeyId(leaf),
      leafIndex,
      leafKey: leaf.signaturePublicKey.slice(),
    })),
  }
}

/**
 * What a room allows in a commit beyond RFC 9420: adds and removes only, one leaf per key id (D-12.3), and the committer keeps its leaf key.
 * The verdict depends on the commit and the tree alone, so it is the same everywhere.
 */
export function checkRoomCommit(opened: OpenedCommit, state: GroupState): void {
  const { applied } = opened
  if (applied.updated.length > 0 || applied.pskIds.length > 0 || applied.extensions !== state.context.extensions) {
    throw invalid("proposal type not used in rooms")
  }
  const keyIds = applied.tree.flatMap((node) => (node?.nodeType === "leaf" ? [leafKeyId(node.leaf)] : []))
  if (new Set(keyIds).size !== keyIds.length) throw invalid("key id with two leaves")
  const leaf = opened.content.content.commit.path?.leafNode
  const before = leafAt(state.tree, opened.authorLeaf)
  if (leaf === undefined) throw invalid("path is missing")
  if (before === undefined || !equalBytes(leaf.signaturePublicKey, before.signaturePublicKey))
    throw invalid("committer changes its leaf key")
}

/**
 * D-43 d: the own leaf and the inviter's hold before a Welcome counts, and every key id has one leaf (D-12.3).
 *
 * @throws AvError `WelcomeFailed`, `LeafIdentityUnverified { key_id }`
 */
export function checkJoined(
  state: GroupState,
  signerLeaf: number,
  inviter: PeerKeyId,
  ownKeyId: PeerKeyId,
  directory: LeafDirectory,
): void {
  const members = membersOf(state)
  const names = new Set(members.map(({ keyId }) => keyId))
  if (names.size !== members.length) throw new AvError("WelcomeFailed", { why: "key id with two leaves" })
  const own = members.find(({ leafIndex }) => leafIndex === state.privatePath.leafIndex)
  const signer = members.find(({ leafIndex }) => leafIndex === signerLeaf)
  if (own?.keyId !== ownKeyId) throw new AvError("LeafIdentityUnverified", { key_id: ownKeyId })
  if (signer?.keyId !== inviter) throw new AvError("LeafIdentityUnverified", { key_id: inviter })
  directory.requireVerified(signer.keyId, signer.leafKey)
}
