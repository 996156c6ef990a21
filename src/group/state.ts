/** The state of one member in one epoch. A value: every operation returns a new one, so going back is keeping the old one. */
import type { CiphersuiteImpl } from "ts-mls/crypto/ciphersuite.js"
import type { GroupContext } from "ts-mls/groupContext.js"
import type { KeyRetentionConfig } from "ts-mls/keyRetentionConfig.js"
import { type EpochSecrets, initializeEpoch, type KeySchedule, mlsExporter } from "ts-mls/keySchedule.js"
import type { PaddingConfig } from "ts-mls/paddingConfig.js"
import type { PrivateKeyPath } from "ts-mls/privateKeyPath.js"
import type { RatchetTree } from "ts-mls/ratchetTree.js"
import { createSecretTree, type SecretTree } from "ts-mls/secretTree.js"
import { directPath, leafToNodeIndex, leafWidth, toLeafIndex } from "ts-mls/treemath.js"
import { wipe } from "../crypto/layout.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"
import type { SentProposal } from "./proposals.ts"

export interface GroupState {
  readonly context: GroupContext
  readonly tree: RatchetTree
  readonly keySchedule: KeySchedule
  readonly secretTree: SecretTree
  readonly privatePath: PrivateKeyPath
  /** Ed25519 seed of the own leaf. */
  readonly signatureKey: Bytes
  readonly confirmationTag: Bytes
  /** Proposals seen in this epoch, by the hex of their reference. */
  readonly proposals: ReadonlyMap<string, SentProposal>
}

/**
 * Message keys: up to 512 messages of one sender may be missing in an epoch (two minutes of a member that changes its state as often as it may),
 * more would let a hostile member keep everybody hashing; the 64 latest skipped keys are kept for messages that come out of order.
 */
export const RETENTION: KeyRetentionConfig = {
  retainKeysForGenerations: 64,
  retainKeysForEpochs: 0,
  maximumForwardRatchetSteps: 512,
}

/** Short messages are padded so that their kind does not show by length. */
export const PADDING: PaddingConfig = { kind: "padUntilLength", padUntilLength: 256 }

/** Proposals by reference kept per epoch; rooms use them only for leaving. */
export const MAX_PROPOSALS = 256

/** The pieces every transition into a new epoch has in common. */
interface NextEpoch {
  context: GroupContext
  tree: RatchetTree
  privatePath: PrivateKeyPath
  signatureKey: Bytes
  confirmationTag: Bytes
  secrets: EpochSecrets
}

/** Builds the state of a new epoch and wipes the secrets that are spent by it. */
export async function enterEpoch(next: NextEpoch, suite: CiphersuiteImpl): Promise<GroupState> {
  const secretTree = await createSecretTree(leafWidth(next.tree.length), next.secrets.encryptionSecret, suite.kdf)
  wipe(next.secrets.encryptionSecret, next.secrets.joinerSecret, next.secrets.welcomeSecret)
  return {
    context: next.context,
    tree: next.tree,
    keySchedule: next.secrets.keySchedule,
    secretTree,
    privatePath: prunePath(next.privatePath, next.tree),
    signatureKey: next.signatureKey,
    confirmationTag: next.confirmationTag,
    proposals: new Map(),
  }
}

/** Key schedule of the next epoch (RFC 9420 8). */
export function epochSecrets(
  state: GroupState,
  commitSecret: Bytes,
  context: GroupContext,
  pskSecret: Bytes,
  suite: CiphersuiteImpl,
): Promise<EpochSecrets> {
  return initializeEpoch(state.keySchedule.initSecret, commitSecret, context, pskSecret, suite.kdf)
}

/** Drops private keys of nodes that are blank now or not above the own leaf: nothing is encrypted to them any more. */
function prunePath(path: PrivateKeyPath, tree: RatchetTree): PrivateKeyPath {
  const own = leafToNodeIndex(toLeafIndex(path.leafIndex))
  const privateKeys: Record<number, Bytes> = {}
  for (const node of [own, ...directPath(own, leafWidth(tree.length))]) {
    const key = path.privateKeys[node]
    if (key !== undefined && tree[node] !== undefined) privateKeys[node] = key
  }
  return { leafIndex: path.leafIndex, privateKeys }
}

/** MLS-Exporter (RFC 9420 8.5) of this epoch. @throws AvError `ExportFailed` */
export async function exportFrom(
  state: GroupState,
  label: string,
  context: Bytes,
  length: number,
  suite: CiphersuiteImpl,
): Promise<Bytes> {
  try {
    return await mlsExporter(state.keySchedule.exporterSecret, label, context, length, suite)
  } catch (cause) {
    throw new AvError("ExportFailed", { label }, { cause })
  }
}

/** Overwrites the secrets that belong to this epoch alone. The leaf's own keys may live on in another epoch and stay. */
export function eraseEpoch(state: GroupState): void {
  wipe(...Object.values(state.keySchedule))
  for (const node of state.secretTree) {
    for (const ratchet of [node.application, node.handshake]) wipe(ratchet.secret, ...Object.values(ratchet.unusedGenerations))
  }
}
