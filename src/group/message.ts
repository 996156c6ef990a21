/** MLSMessage bytes to structure and back, strictly; opening and sealing what members send each other. */
import type { AuthenticatedContent, AuthenticatedContentCommit } from "ts-mls/authenticatedContent.js"
import type { CiphersuiteImpl } from "ts-mls/crypto/ciphersuite.js"
import type { FramedContentAuthDataCommit, FramedContentCommit } from "ts-mls/framedContent.js"
import { decodeMlsMessage, encodeMlsMessage, type MLSMessage } from "ts-mls/message.js"
import { protect, protectApplicationData, protectProposal, unprotectPrivateMessage } from "ts-mls/messageProtection.js"
import { unprotectPublicMessage } from "ts-mls/messageProtectionPublic.js"
import type { Proposal } from "ts-mls/proposal.js"
import { equalBytes } from "../wire/bytes.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"
import { type GroupState, PADDING, RETENTION } from "./state.ts"
import { invalid, leafAt } from "./tree.ts"

/** av-mesh D-35: MLS bytes on the control channel are at most 4 MiB. */
const MAX_MLS_BYTES = 4 * 1024 * 1024
const EMPTY = new Uint8Array()

/** Content of an authentic message, its sender, and the state after its key was used up. */
export interface Opened {
  content: AuthenticatedContent
  senderLeaf: number
  state: GroupState
}

/** Reads exactly one MLSMessage. @throws AvError `WireDecodeFailed` */
export function decodeMessage(bytes: Bytes): MLSMessage {
  if (bytes.length > MAX_MLS_BYTES) throw new AvError("WireDecodeFailed", { length: bytes.length, limit: MAX_MLS_BYTES })
  let decoded: [MLSMessage, number] | undefined
  try {
    decoded = decodeMlsMessage(bytes, 0)
  } catch (cause) {
    throw new AvError("WireDecodeFailed", { length: bytes.length }, { cause })
  }
  if (decoded === undefined || decoded[1] !== bytes.length) throw new AvError("WireDecodeFailed", { length: bytes.length })
  return decoded[0]
}

/** Runs engine code on foreign input: whatever it throws comes out as this code. */
export async function guarded<T>(code: "ProcessFailed" | "WelcomeFailed" | "CommitAddFailed", run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    if (isAvError(cause, code) || isAvError(cause, "NotACommit") || isAvError(cause, "RemovedFromGroup")) throw cause
    throw new AvError(code, { why: cause instanceof Error ? cause.message : undefined }, { cause })
  }
}

/** Decrypts and verifies a message of the state's epoch. Public messages are read for the sake of other stacks; we never send them. */
export async function openMessage(state: GroupState, message: MLSMessage, suite: CiphersuiteImpl): Promise<Opened> {
  if (message.wireformat === "mls_private_message") {
    const sealed = message.privateMessage
    checkGroup(state, sealed.groupId, sealed.epoch)
    const { tree, content } = await unprotectPrivateMessage(
      state.keySchedule.senderDataSecret,
      sealed,
      state.secretTree,
      state.tree,
      state.context,
      RETENTION,
      suite,
    )
    return { content, senderLeaf: senderOf(state, content), state: { ...state, secretTree: tree } }
  }
  if (message.wireformat === "mls_public_message") {
    const { content: framed } = message.publicMessage
    checkGroup(state, framed.groupId, framed.epoch)
    const { membershipKey } = state.keySchedule
    const content = await unprotectPublicMessage(membershipKey, state.context, state.tree, message.publicMessage, suite)
    return { content, senderLeaf: senderOf(state, content), state }
  }
  throw new AvError("NotACommit", { wireformat: message.wireformat })
}

function checkGroup(state: GroupState, groupId: Bytes, epoch: bigint): void {
  if (!equalBytes(groupId, state.context.groupId)) throw invalid("other group")
  if (epoch !== state.context.epoch) throw invalid("other epoch")
}

function senderOf(state: GroupState, content: AuthenticatedContent): number {
  const { sender } = content.content
  if (sender.senderType !== "member" || leafAt(state.tree, sender.leafIndex) === undefined)
    throw invalid("sender is not a member")
  return sender.leafIndex
}

/** Seals application data; the state returned has moved on by one message key. */
export async function sealApplication(
  state: GroupState,
  plaintext: Bytes,
  suite: CiphersuiteImpl,
): Promise<{ bytes: Bytes; state: GroupState }> {
  const { newSecretTree, privateMessage } = await protectApplicationData(
    state.signatureKey,
    state.keySchedule.senderDataSecret,
    plaintext,
    EMPTY,
    state.context,
    state.secretTree,
    state.privatePath.leafIndex,
    PADDING,
    suite,
  )
  const bytes = encodeMlsMessage({ version: "mls10", wireformat: "mls_private_message", privateMessage })
  return { bytes, state: { ...state, secretTree: newSecretTree } }
}

/** Seals a proposal. It is not remembered here: the acting committer answers it by value (RM-15). */
export async function sealProposal(
  state: GroupState,
  proposal: Proposal,
  suite: CiphersuiteImpl,
): Promise<{ bytes: Bytes; state: GroupState }> {
  const { newSecretTree, privateMessage } = await protectProposal(
    state.signatureKey,
    state.keySchedule.senderDataSecret,
    proposal,
    EMPTY,
    state.context,
    state.secretTree,
    state.privatePath.leafIndex,
    PADDING,
    suite,
  )
  const bytes = encodeMlsMessage({ version: "mls10", wireformat: "mls_private_message", privateMessage })
  return { bytes, state: { ...state, secretTree: newSecretTree } }
}

/** Seals a commit as PrivateMessage. The state stays: a commit ends the epoch or is thrown away. */
export async function sealCommit(
  state: GroupState,
  content: FramedContentCommit,
  auth: FramedContentAuthDataCommit,
  suite: CiphersuiteImpl,
): Promise<{ bytes: Bytes; state: GroupState }> {
  const { privateMessage, tree } = await protect(
    state.keySchedule.senderDataSecret,
    content.authenticatedData,
    state.context,
    state.secretTree,
    { ...content, auth },
    state.privatePath.leafIndex,
    PADDING,
    suite,
  )
  const bytes = encodeMlsMessage({ version: "mls10", wireformat: "mls_private_message", privateMessage })
  return { bytes, state: { ...state, secretTree: tree } }
}

/** Narrows to a commit. @throws AvError `NotACommit` */
export function requireCommit(content: AuthenticatedContent): AuthenticatedContentCommit {
  if (content.content.contentType !== "commit" || content.auth.contentType !== "commit") throw new AvError("NotACommit")
  return content as AuthenticatedContentCommit
}
