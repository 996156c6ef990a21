/** Welcomes (RFC 9420 12.4.3.1): one for all newcomers of a commit, its cut for one of them, and taking one. */
import type { CiphersuiteImpl } from "ts-mls/crypto/ciphersuite.js"
import type { GroupContext } from "ts-mls/groupContext.js"
import {
  ratchetTreeFromExtension,
  signGroupInfo,
  verifyGroupInfoConfirmationTag,
  verifyGroupInfoSignature,
} from "ts-mls/groupInfo.js"
import type { GroupSecrets } from "ts-mls/groupSecrets.js"
import { type KeyPackage, makeKeyPackageRef, type PrivateKeyPackage } from "ts-mls/keyPackage.js"
import { deriveKeySchedule, type EpochSecrets } from "ts-mls/keySchedule.js"
import { encodeMlsMessage } from "ts-mls/message.js"
import { accumulatePskSecret, emptyPskIndex, type PskIndex } from "ts-mls/pskIndex.js"
import { encodeRatchetTree, findLeafIndex, type RatchetTree } from "ts-mls/ratchetTree.js"
import { leafToNodeIndex, toLeafIndex } from "ts-mls/treemath.js"
import type { PathSecret } from "ts-mls/updatePath.js"
import { decryptGroupInfo, decryptGroupSecrets, encryptGroupInfo, encryptGroupSecrets, type Welcome } from "ts-mls/welcome.js"
import { AvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"
import { decodeMessage } from "./message.ts"
import { deriveUpwards, sharedPath } from "./path.ts"
import type { AppliedProposals } from "./proposals.ts"
import { enterEpoch, type GroupState } from "./state.ts"
import { checkTree, invalid, leafAt } from "./tree.ts"

/** What the committer knows when it writes the Welcome. */
interface WelcomeSource {
  state: GroupState
  context: GroupContext
  tree: RatchetTree
  confirmationTag: Bytes
  secrets: EpochSecrets
  applied: AppliedProposals
  pathSecrets: PathSecret[]
}

/** A Welcome taken: the first state, and the leaf that signed the group info. */
export interface TakenWelcome {
  state: GroupState
  signerLeaf: number
}

/** One Welcome with an entry per newcomer; undefined when nobody was added. */
export async function makeWelcome(
  source: WelcomeSource,
  suite: CiphersuiteImpl,
): Promise<{ bytes: Bytes; refs: Bytes[] } | undefined> {
  const { applied, context, secrets, tree, state } = source
  if (applied.added.length === 0) return undefined
  const signer = state.privatePath.leafIndex
  const extensions = [{ extensionType: "ratchet_tree" as const, extensionData: encodeRatchetTree(tree) }]
  const info = { groupContext: context, extensions, confirmationTag: source.confirmationTag, signer }
  const signed = await signGroupInfo(info, state.signatureKey, suite.signature)
  const encryptedGroupInfo = await encryptGroupInfo(signed, secrets.welcomeSecret, suite)
  const refs = await Promise.all(applied.added.map(({ keyPackage }) => makeKeyPackageRef(keyPackage, suite.hash)))
  const entries = await Promise.all(
    applied.added.map(async ({ leafIndex, keyPackage }, i) => {
      const [meeting] = sharedPath(tree, signer, leafIndex)
      const pathSecret = source.pathSecrets.find(({ nodeIndex }) => nodeIndex === meeting)?.secret
      const content: GroupSecrets = { joinerSecret: secrets.joinerSecret, pathSecret, psks: applied.pskIds }
      const initKey = await suite.hpke.importPublicKey(keyPackage.initKey)
      const { enc, ct } = await encryptGroupSecrets(initKey, encryptedGroupInfo, content, suite.hpke)
      return { newMember: refs[i] as Bytes, encryptedGroupSecrets: { kemOutput: enc, ciphertext: ct } }
    }),
  )
  return { bytes: encodeWelcome({ cipherSuite: context.cipherSuite, secrets: entries, encryptedGroupInfo }), refs }
}

function encodeWelcome(welcome: Welcome): Bytes {
  return encodeMlsMessage({ version: "mls10", wireformat: "mls_welcome", welcome })
}

/** The Welcome with nothing but one newcomer's entry: half the bytes for a batch of 25. */
export function cutWelcome(bytes: Bytes, keyPackageRef: Bytes): Bytes {
  const welcome = readWelcome(bytes)
  const secrets = welcome.secrets.filter(({ newMember }) => newMember.every((byte, i) => byte === keyPackageRef[i]))
  return encodeWelcome({ ...welcome, secrets })
}

/** @throws AvError `WireDecodeFailed` for anything but a Welcome. */
export function readWelcome(bytes: Bytes): Welcome {
  const message = decodeMessage(bytes)
  if (message.wireformat !== "mls_welcome") throw new AvError("WireDecodeFailed", { wireformat: message.wireformat })
  return message.welcome
}

/** Joins by a Welcome with the private half of one KeyPackage; `tree` where the Welcome does not carry it. */
export async function takeWelcome(
  welcome: Welcome,
  keyPackage: KeyPackage,
  privateKeys: PrivateKeyPackage,
  suite: CiphersuiteImpl,
  options: { tree?: RatchetTree | undefined; psks?: PskIndex | undefined } = {},
): Promise<TakenWelcome> {
  if (welcome.cipherSuite !== keyPackage.cipherSuite) throw invalid("welcome for another suite")
  const ref = await makeKeyPackageRef(keyPackage, suite.hash)
  const initKey = await suite.hpke.importPrivateKey(privateKeys.initPrivateKey)
  const groupSecrets = await decryptGroupSecrets(initKey, ref, welcome, suite.hpke)
  if (groupSecrets === undefined) throw invalid("group secrets")
  if (groupSecrets.psks.some((psk) => psk.psktype === "resumption")) throw invalid("resumption")
  const zeroes = new Uint8Array(suite.kdf.size)
  const [pskSecret] = await accumulatePskSecret(groupSecrets.psks, options.psks ?? emptyPskIndex, suite, zeroes)
  const info = await decryptGroupInfo(welcome, groupSecrets.joinerSecret, pskSecret, suite)
  if (info === undefined) throw invalid("group info")
  const context = info.groupContext
  if (context.cipherSuite !== keyPackage.cipherSuite || context.version !== "mls10") throw invalid("group of another suite")
  const tree = ratchetTreeFromExtension(info) ?? options.tree
  if (tree === undefined) throw invalid("ratchet tree is missing")
  const signer = leafAt(tree, info.signer)
  if (signer === undefined) throw invalid("signer is blank")
  if (!(await verifyGroupInfoSignature(info, signer.signaturePublicKey, suite.signature))) throw invalid("group info signature")
  await checkTree(tree, context, suite.hash, suite.signature)
  const ownLeaf = findLeafIndex(tree, keyPackage.leafNode)
  if (ownLeaf === undefined) throw invalid("own leaf is missing")
  if (!(await verifyGroupInfoConfirmationTag(info, groupSecrets.joinerSecret, pskSecret, suite)))
    throw invalid("confirmation tag")

  const privateNodes: Record<number, Bytes> = { [leafToNodeIndex(toLeafIndex(ownLeaf))]: privateKeys.hpkePrivateKey }
  if (groupSecrets.pathSecret !== undefined) {
    const nodes = sharedPath(tree, info.signer, ownLeaf)
    Object.assign(privateNodes, (await deriveUpwards(tree, nodes, groupSecrets.pathSecret, suite)).keys)
  }
  const [keySchedule, encryptionSecret] = await deriveKeySchedule(groupSecrets.joinerSecret, pskSecret, context, suite.kdf)
  const secrets = { keySchedule, encryptionSecret, joinerSecret: groupSecrets.joinerSecret, welcomeSecret: new Uint8Array() }
  const state = await enterEpoch(
    {
      context,
      tree,
      privatePath: { leafIndex: ownLeaf, privateKeys: privateNodes },
      signatureKey: privateKeys.signaturePrivateKey,
      confirmationTag: info.confirmationTag,
      secrets,
    },
    suite,
  )
  return { state, signerLeaf: info.signer }
}
