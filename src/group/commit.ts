/** Commits (RFC 9420 12.4): making one without putting it in force, opening one without applying it, applying it. */

import type { AuthenticatedContentCommit } from "ts-mls/authenticatedContent.js"
import { makeProposalRef } from "ts-mls/authenticatedContent.js"
import { nextEpochContext } from "ts-mls/clientState.js"
import type { CiphersuiteImpl } from "ts-mls/crypto/ciphersuite.js"
import { createConfirmationTag, createContentCommitSignature, verifyConfirmationTag } from "ts-mls/framedContent.js"
import type { MLSMessage } from "ts-mls/message.js"
import type { Proposal } from "ts-mls/proposal.js"
import type { ProposalOrRef } from "ts-mls/proposalOrRefType.js"
import { emptyPskIndex, type PskIndex } from "ts-mls/pskIndex.js"
import { treeHashRoot } from "ts-mls/treeHash.js"
import { equalBytes, toHex } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"
import { type Opened, openMessage, requireCommit, sealCommit } from "./message.ts"
import { applyPath, createPath } from "./path.ts"
import { type AppliedProposals, applyProposals, type SentProposal } from "./proposals.ts"
import { enterEpoch, epochSecrets, type GroupState, MAX_PROPOSALS } from "./state.ts"
import { checkLeaf, invalid, leafAt } from "./tree.ts"
import { makeWelcome } from "./welcome.ts"

export interface MadeCommit {
  bytes: Bytes
  /** MLSMessage of the Welcome for all newcomers; undefined without any. */
  welcome: Bytes | undefined
  /** References of the added KeyPackages, in order. */
  keyPackageRefs: Bytes[]
  /** In force once the commit is accepted (av-mesh D-13). */
  next: GroupState
  /** The present epoch, one handshake key further: to go on with until then. */
  current: GroupState
  applied: AppliedProposals
}

export interface CommitOptions {
  authenticatedData?: Bytes
  /** `false` leaves the path out where RFC 9420 allows it; for like-for-like benchmarks only (av-mesh D-15). */
  forcePath?: boolean
}

/** An authentic commit and what it would do. */
export interface OpenedCommit {
  content: AuthenticatedContentCommit
  authorLeaf: number
  applied: AppliedProposals
  /** Some Remove names this member's leaf: a refilled slot does not hide it. */
  removesMe: boolean
  wireformat: "mls_private_message" | "mls_public_message"
}

const EMPTY = new Uint8Array()

/** Makes one commit over these proposals, all by value. Nothing is in force until the caller takes `next`. */
export async function makeCommit(
  state: GroupState,
  proposals: Proposal[],
  suite: CiphersuiteImpl,
  options: CommitOptions = {},
): Promise<MadeCommit> {
  const { authenticatedData = EMPTY, forcePath = true } = options
  const ownLeaf = state.privatePath.leafIndex
  const sent = proposals.map((proposal) => ({ proposal, senderLeaf: ownLeaf }))
  const applied = await applyProposals(state.tree, state.context, sent, ownLeaf, emptyPskIndex, suite)
  const newLeaves = applied.added.map(({ leafIndex }) => leafIndex)
  const context = { ...state.context, extensions: applied.extensions }
  const path =
    forcePath || applied.needsPath
      ? await createPath(applied.tree, state.privatePath, context, state.signatureKey, newLeaves, suite)
      : undefined
  const tree = path?.tree ?? applied.tree
  const commitSecret = path?.commitSecret ?? new Uint8Array(suite.kdf.size)
  const commit = { proposals: proposals.map(byValue), path: path?.path }
  const { framedContent, signature } = await createContentCommitSignature(
    state.context,
    "mls_private_message",
    commit,
    { senderType: "member", leafIndex: ownLeaf },
    authenticatedData,
    state.signatureKey,
    suite.signature,
  )
  const treeHash = await treeHashRoot(tree, suite.hash)
  const nextContext = await nextEpochContext(
    context,
    "mls_private_message",
    framedContent,
    signature,
    treeHash,
    state.confirmationTag,
    suite.hash,
  )
  const secrets = await epochSecrets(state, commitSecret, nextContext, applied.pskSecret, suite)
  const { confirmationKey } = secrets.keySchedule
  const confirmationTag = await createConfirmationTag(confirmationKey, nextContext.confirmedTranscriptHash, suite.hash)
  const sealed = await sealCommit(state, framedContent, { contentType: "commit", signature, confirmationTag }, suite)
  const welcome = await makeWelcome(
    { context: nextContext, tree, confirmationTag, secrets, applied, pathSecrets: path?.pathSecrets ?? [], state },
    suite,
  )
  const next = await enterEpoch(
    {
      context: nextContext,
      tree,
      privatePath: path?.privatePath ?? state.privatePath,
      signatureKey: state.signatureKey,
      confirmationTag,
      secrets,
    },
    suite,
  )
  return {
    bytes: sealed.bytes,
    welcome: welcome?.bytes,
    keyPackageRefs: welcome?.refs ?? [],
    next,
    current: sealed.state,
    applied,
  }
}

function byValue(proposal: Proposal): ProposalOrRef {
  return { proposalOrRefType: "proposal", proposal }
}

/** Decrypts and verifies a commit, and works out its proposals. The state is not changed. */
export async function openCommit(
  state: GroupState,
  message: MLSMessage,
  suite: CiphersuiteImpl,
  psks: PskIndex = emptyPskIndex,
): Promise<OpenedCommit> {
  const opened: Opened = await openMessage(state, message, suite)
  const content = requireCommit(opened.content)
  const { proposals } = content.content.commit
  if (proposals.length > MAX_PROPOSALS) throw invalid("too many proposals")
  const sent = proposals.map((p) => resolve(state, p, opened.senderLeaf))
  const applied = await applyProposals(state.tree, state.context, sent, opened.senderLeaf, psks, suite)
  if (applied.needsPath && content.content.commit.path === undefined) throw invalid("path is missing")
  const wireformat = message.wireformat === "mls_public_message" ? "mls_public_message" : "mls_private_message"
  const removesMe = applied.removed.some(({ leafIndex }) => leafIndex === state.privatePath.leafIndex)
  return { content, authorLeaf: opened.senderLeaf, applied, removesMe, wireformat }
}

function resolve(state: GroupState, item: ProposalOrRef, authorLeaf: number): SentProposal {
  if (item.proposalOrRefType === "proposal") return { proposal: item.proposal, senderLeaf: authorLeaf }
  const known = state.proposals.get(toHex(item.reference))
  if (known === undefined) throw invalid("unknown proposal reference")
  return known
}

/** The state after an opened commit. @throws AvError `RemovedFromGroup { epoch }` when it removes this member. */
export async function applyCommit(state: GroupState, opened: OpenedCommit, suite: CiphersuiteImpl): Promise<GroupState> {
  if (opened.authorLeaf === state.privatePath.leafIndex) throw invalid("own commit")
  if (opened.removesMe) throw new AvError("RemovedFromGroup", { epoch: state.context.epoch })
  const { applied, authorLeaf } = opened
  const { content, auth } = opened.content
  if (auth.contentType !== "commit") throw new AvError("NotACommit")
  const context = { ...state.context, extensions: applied.extensions }
  let { tree } = applied
  let { privatePath } = state
  let commitSecret: Bytes = new Uint8Array(suite.kdf.size)
  const { path } = content.commit
  if (path !== undefined) {
    await checkPathLeaf(state, opened, suite)
    const newLeaves = applied.added.map(({ leafIndex }) => leafIndex)
    const result = await applyPath(tree, privatePath, authorLeaf, path, context, newLeaves, suite)
    tree = result.tree
    privatePath = result.privatePath
    commitSecret = result.commitSecret
  }
  const treeHash = await treeHashRoot(tree, suite.hash)
  const { signature, confirmationTag } = auth
  const nextContext = await nextEpochContext(
    context,
    opened.wireformat,
    content,
    signature,
    treeHash,
    state.confirmationTag,
    suite.hash,
  )
  const secrets = await epochSecrets(state, commitSecret, nextContext, applied.pskSecret, suite)
  const { confirmationKey } = secrets.keySchedule
  if (!(await verifyConfirmationTag(confirmationKey, confirmationTag, nextContext.confirmedTranscriptHash, suite.hash))) {
    throw invalid("confirmation tag")
  }
  return enterEpoch(
    { context: nextContext, tree, privatePath, signatureKey: state.signatureKey, confirmationTag, secrets },
    suite,
  )
}

/** The committer's new leaf: valid, a new encryption key, and the same identity as before (RFC 9420 7.3). */
async function checkPathLeaf(state: GroupState, opened: OpenedCommit, suite: CiphersuiteImpl): Promise<void> {
  const leaf = opened.content.content.commit.path?.leafNode
  const before = leafAt(opened.applied.tree, opened.authorLeaf)
  if (leaf === undefined || before === undefined) throw invalid("path leaf")
  await checkLeaf(leaf, opened.authorLeaf, { ...state.context, extensions: opened.applied.extensions }, suite.signature)
  const [a, b] = [leaf.credential, before.credential]
  if (a.credentialType !== "basic" || b.credentialType !== "basic" || !equalBytes(a.identity, b.identity)) {
    throw invalid("path leaf names another member")
  }
}

/** Remembers a proposal of another member for commits that name it by reference. */
export async function rememberProposal(state: GroupState, opened: Opened, suite: CiphersuiteImpl): Promise<GroupState> {
  const { content } = opened.content
  if (content.contentType !== "proposal") throw invalid("not a proposal")
  if (state.proposals.size >= MAX_PROPOSALS) throw invalid("too many proposals")
  const proposals = new Map(state.proposals)
  proposals.set(toHex(await makeProposalRef(opened.content, suite.hash)), {
    proposal: content.proposal,
    senderLeaf: opened.senderLeaf,
  })
  return { ...opened.state, proposals }
}
