/** `MlsEngine`: the one door to MLS. Bytes in, bytes out; states are values; whatever goes wrong comes out as an error of av-mesh 6.4. */
import type { CiphersuiteImpl } from "ts-mls/crypto/ciphersuite.js"
import { signWithLabel, verifyWithLabel } from "ts-mls/crypto/signature.js"
import type { KeyPackage } from "ts-mls/keyPackage.js"
import type { Proposal } from "ts-mls/proposal.js"
import type { PskIndex } from "ts-mls/pskIndex.js"
import type { RatchetTree } from "ts-mls/ratchetTree.js"
import { secureRandom } from "../crypto/random.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds, PeerKeyId, RandomBytes } from "../wire/types.ts"
import {
  applyCommit,
  type CommitOptions,
  type MadeCommit,
  makeCommit,
  type OpenedCommit,
  openCommit,
  rememberProposal,
} from "./commit.ts"
import { createGroupState, mintKeyPackage, type OwnKeyPackage } from "./key-package.ts"
import { decodeMessage, guarded, openMessage, sealApplication, sealProposal } from "./message.ts"
import { exportFrom, type GroupState } from "./state.ts"
import { makeSuite } from "./suite.ts"
import { leafKeyId, listLeaves } from "./tree.ts"
import { readWelcome, type TakenWelcome, takeWelcome } from "./welcome.ts"

/** Label of the exporter behind the content key (av-mesh 6.2). */
const ROOT_SECRET_LABEL = "ciris-realtime-av-epoch-dek-seed-v1"

interface GroupOperations {
  adds?: KeyPackage[]
  /** Leaf indices. */
  removes?: number[]
}

/** An application message or a proposal, opened. */
interface OpenedContent {
  senderLeaf: number
  kind: "application" | "proposal"
  /** Application data; empty for a proposal. */
  plaintext: Bytes
  proposal: Proposal | undefined
  /** The state with the message key used up: take it, or the message can be replayed. */
  state: GroupState
}

export class MlsEngine {
  readonly suite: CiphersuiteImpl

  constructor(random: RandomBytes = secureRandom) {
    this.suite = makeSuite(random)
  }

  /** A fresh KeyPackage; `now` in Unix milliseconds, good for `validMs` (default a day). @throws AvError `KeyPackageBuildFailed` */
  mint(keyId: PeerKeyId, now: Milliseconds, validMs?: Milliseconds): Promise<OwnKeyPackage> {
    return mintKeyPackage(keyId, now, this.suite, validMs)
  }

  /** A group of one in epoch 0. @throws AvError `CreateFailed` */
  async create(groupId: Bytes, own: OwnKeyPackage): Promise<GroupState> {
    try {
      return await createGroupState(groupId, own, this.suite)
    } catch (cause) {
      throw new AvError("CreateFailed", {}, { cause })
    }
  }

  /** Takes a Welcome made for `own`. @throws AvError `WireDecodeFailed`, `WelcomeFailed` */
  async join(
    welcome: Bytes,
    own: Pick<OwnKeyPackage, "keyPackage" | "privateKeys">,
    options: { tree?: RatchetTree | undefined; psks?: PskIndex | undefined } = {},
  ): Promise<TakenWelcome> {
    const read = readWelcome(welcome)
    return guarded("WelcomeFailed", () => takeWelcome(read, own.keyPackage, own.privateKeys, this.suite, options))
  }

  /** One commit for all operations; without any, an update of the own leaf. @throws AvError `CommitAddFailed`, `CommitRemoveFailed` */
  async commit(state: GroupState, operations: GroupOperations, options: CommitOptions = {}): Promise<MadeCommit> {
    const { adds = [], removes = [] } = operations
    const proposals: Proposal[] = [
      ...removes.map((removed): Proposal => ({ proposalType: "remove", remove: { removed } })),
      ...adds.map((keyPackage): Proposal => ({ proposalType: "add", add: { keyPackage } })),
    ]
    try {
      return await makeCommit(state, proposals, this.suite, options)
    } catch (cause) {
      const code = adds.length === 0 && removes.length > 0 ? "CommitRemoveFailed" : "CommitAddFailed"
      throw new AvError(code, { why: cause instanceof Error ? cause.message : undefined }, { cause })
    }
  }

  /** Opens a commit without applying it. @throws AvError `WireDecodeFailed`, `NotACommit`, `ProcessFailed` */
  async open(state: GroupState, bytes: Bytes, psks?: PskIndex): Promise<OpenedCommit> {
    const message = decodeMessage(bytes)
    return guarded("ProcessFailed", () => openCommit(state, message, this.suite, psks))
  }

  /** The state after an opened commit. @throws AvError `ProcessFailed`, `RemovedFromGroup { epoch }` */
  apply(state: GroupState, opened: OpenedCommit): Promise<GroupState> {
    return guarded("ProcessFailed", () => applyCommit(state, opened, this.suite))
  }

  /** Opens and applies in one step. */
  async process(state: GroupState, commit: Bytes, psks?: PskIndex): Promise<GroupState> {
    return this.apply(state, await this.open(state, commit, psks))
  }

  /** Opens an application message or a proposal. @throws AvError `WireDecodeFailed`, `ProcessFailed` */
  async openContent(state: GroupState, bytes: Bytes): Promise<OpenedContent> {
    const message = decodeMessage(bytes)
    return guarded("ProcessFailed", async () => {
      const opened = await openMessage(state, message, this.suite)
      const { content } = opened.content
      if (content.contentType === "commit") throw new AvError("ProcessFailed", { why: "a commit" })
      const application = content.contentType === "application"
      return {
        senderLeaf: opened.senderLeaf,
        kind: content.contentType,
        plaintext: application ? content.applicationData.slice() : new Uint8Array(),
        proposal: application ? undefined : content.proposal,
        state: opened.state,
      }
    })
  }

  /** Keeps a proposal for commits that refer to it. Our rooms send none by reference; other stacks do. */
  async acceptProposal(state: GroupState, bytes: Bytes): Promise<GroupState> {
    const message = decodeMessage(bytes)
    return guarded("ProcessFailed", async () =>
      rememberProposal(state, await openMessage(state, message, this.suite), this.suite),
    )
  }

  protect(state: GroupState, plaintext: Bytes): Promise<{ bytes: Bytes; state: GroupState }> {
    return sealApplication(state, plaintext, this.suite)
  }

  /** A proposal to remove the own leaf. */
  proposeLeave(state: GroupState): Promise<{ bytes: Bytes; state: GroupState }> {
    return sealProposal(state, { proposalType: "remove", remove: { removed: state.privatePath.leafIndex } }, this.suite)
  }

  /** MLS-Exporter of the epoch. @throws AvError `ExportFailed` */
  exporter(state: GroupState, label: string, context: Bytes, length: number): Promise<Bytes> {
    return exportFrom(state, label, context, length, this.suite)
  }

  /** The content key of the epoch (av-mesh 6.2). */
  rootSecret(state: GroupState): Promise<Bytes> {
    return this.exporter(state, ROOT_SECRET_LABEL, new Uint8Array(), 32)
  }

  /** RFC 9420 5.1.2 under the own leaf key. */
  signWithLeaf(state: GroupState, label: string, content: Bytes): Promise<Bytes> {
    return signWithLabel(state.signatureKey, label, content, this.suite.signature)
  }

  /** RFC 9420 5.1.2; false for anything malformed. */
  verifyWithLeaf(leafKey: Bytes, label: string, content: Bytes, signature: Bytes): Promise<boolean> {
    return verifyWithLabel(leafKey, label, content, signature, this.suite.signature)
  }
}

/** A member of the group as the tree has it. */
interface TreeMember {
  readonly keyId: PeerKeyId
  readonly leafIndex: number
  readonly leafKey: Bytes
}

/** A tree never changes, and every message asks for its members. */
const members = new WeakMap<RatchetTree, readonly TreeMember[]>()

/** Key id, leaf index and leaf key of everybody, by leaf index. Keys are copies: the tree's own are views of a large buffer. */
export function membersOf({ tree }: GroupState): readonly TreeMember[] {
  const known = members.get(tree)
  if (known !== undefined) return known
  const listed = listLeaves(tree).map(({ leafIndex, leaf }) => ({
    keyId: leafKeyId(leaf),
    leafIndex,
    leafKey: leaf.signaturePublicKey.slice(),
  }))
  members.set(tree, listed)
  return listed
}
