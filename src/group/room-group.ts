/** {@link RoomGroup} over the MLS engine: one operation at a time, nothing used that was not verified, every refusal leaves all as it was. */
import { sha256 } from "../crypto/hash.ts"
import { secureRandom } from "../crypto/random.ts"
import type { Store } from "../store/index.ts"
import { equalBytes, toHex } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds, PeerKeyId, RandomBytes, U64 } from "../wire/types.ts"
import type { MadeCommit, OpenedCommit } from "./commit.ts"
import { checkCommitInput, checkJoined, checkRoomCommit } from "./commit-input.ts"
import { previewCommit, previewOwn } from "./commit-preview.ts"
import { MlsEngine, membersOf } from "./engine.ts"
import { Epochs } from "./epochs.ts"
import { viewOf } from "./group-view.ts"
import {
  findOwn,
  type GroupIdentity,
  type MintedPackage,
  makeJoinMaterial,
  makeWelcomes,
  type OwnSources,
  takeWelcome,
  trustOwn,
} from "./joining.ts"
import { LeafDirectory } from "./leaf-directory.ts"
import { readMessageHead } from "./message-head.ts"
import { OwnPackages } from "./own-packages.ts"
import { PackageShelf, type ShelvedPackage } from "./package-shelf.ts"
import { verifyWelcomeEnvelope } from "./records.ts"
import { inOrder, limited, SerialQueue } from "./serial-queue.ts"
import { eraseEpoch, type GroupState } from "./state.ts"
import { memberAt } from "./tree.ts"
import type {
  CommitInput,
  CommitPreview,
  EpochChange,
  EpochSink,
  GroupView,
  JoinInput,
  JoinMaterial,
  LeafEvidence,
  LeafVerdict,
  OpenedMessage,
  OpenedProposal,
  PeerKeys,
  PublishingGroup,
  StagedCommit,
} from "./types.ts"

export interface RoomGroupOptions {
  identity: GroupIdentity
  sink: EpochSink
  random?: RandomBytes
  /** Where published KeyPackages wait to be used; without it there are none. */
  packages?: Store<ShelvedPackage>
}

/** Largest application message: `room.states` pages are 40 KiB, chat and data less. */
export const MAX_APPLICATION_BYTES = 64 * 1024

interface Staged {
  token: number
  made: MadeCommit
  hash: Bytes
  preview: CommitPreview
}

export class MlsRoomGroup implements PublishingGroup {
  readonly #engine: MlsEngine
  readonly #identity: GroupIdentity
  readonly #sink: EpochSink
  readonly #queue = new SerialQueue()
  readonly #directory: LeafDirectory
  readonly #sources: OwnSources
  #epochs: Epochs | undefined
  #staged: Staged | undefined
  #nextToken = 1
  #lastOpened: { state: GroupState; hash: Bytes; opened: OpenedCommit } | undefined

  constructor(options: RoomGroupOptions) {
    this.#engine = new MlsEngine(options.random ?? secureRandom)
    this.#identity = options.identity
    this.#sink = options.sink
    this.#directory = new LeafDirectory(this.#engine.suite)
    const { packages, identity } = options
    const shelf = packages === undefined ? undefined : new PackageShelf(packages, this.#engine, identity)
    this.#sources = { packages: new OwnPackages(), shelf, directory: this.#directory, identity }
  }

  /** True between `found` or `join` and `reset` or removal. */
  get active(): boolean {
    return this.#epochs !== undefined
  }

  learnKeys(keys: PeerKeys[]): Promise<PeerKeyId[]> {
    return this.#queue.run(() => limited(keys).map((k) => this.#directory.learnKeys(k)))
  }

  learnLeaves(leaves: LeafEvidence[], now: Milliseconds): Promise<LeafVerdict[]> {
    return this.#queue.run(() => inOrder(limited(leaves), (leaf) => this.#directory.learnLeaf(leaf, now)))
  }

  learnRecords(records: Bytes[], now: Milliseconds): Promise<LeafVerdict[]> {
    return this.#queue.run(() => inOrder(limited(records), (record) => this.#directory.learnRecord(record, now)))
  }

  unverifiedMembers(): Promise<PeerKeyId[]> {
    return this.#queue.run(() => this.#unverified(this.#group().current))
  }

  leafEvidence(keyIds: PeerKeyId[]): Promise<LeafEvidence[]> {
    return this.#queue.run(() => {
      const wanted = new Set(limited(keyIds))
      return this.#directory.evidence(membersOf(this.#group().current).filter(({ keyId }) => wanted.has(keyId)))
    })
  }

  prepareJoin(now: Milliseconds): Promise<JoinMaterial> {
    return this.#queue.run(async () => {
      const { own, record, binding } = await this.#mint(now)
      return { keyPackageRef: own.ref, record, binding }
    })
  }

  publishPackages(now: Milliseconds): Promise<Bytes[]> {
    return this.#queue.run(() => {
      const { shelf } = this.#sources
      if (shelf === undefined) throw new AvError("UsageError", { why: "no store for packages" })
      return shelf.refill(now)
    })
  }

  found(roomId: Bytes, now: Milliseconds): Promise<GroupView> {
    return this.#queue.run(async () => {
      this.#requireNone()
      const own = await this.#mint(now)
      const state = await this.#engine.create(roomId.slice(), own.own)
      this.#sources.packages.consume(own.own.ref)
      return this.#begin(roomId, state, true)
    })
  }

  join(input: JoinInput): Promise<GroupView> {
    return this.#queue.run(async () => {
      this.#requireNone()
      const { envelope, inviter, proof, inviteKey, now } = input
      const opened = await verifyWelcomeEnvelope(envelope, inviter, proof, inviteKey, this.#identity.keyId)
      const own = await findOwn(this.#sources, opened.keyPackageRef, now)
      const { state, signerLeaf } = await takeWelcome(this.#engine, opened.welcome, own)
      if (!equalBytes(state.context.groupId, input.roomId)) throw new AvError("RoomIdMismatch")
      this.#directory.learnKeys(inviter)
      for (const leaf of limited(input.leaves ?? [])) await this.#directory.learnLeaf(leaf, now)
      for (const record of limited(input.records ?? [])) await this.#directory.learnRecord(record, now)
      checkJoined(state, signerLeaf, opened.inviter, this.#identity.keyId, this.#directory)
      this.#sources.packages.consume(opened.keyPackageRef)
      await this.#sources.shelf?.use(opened.keyPackageRef)
      return this.#begin(input.roomId, state, false)
    })
  }

  stageCommit(input: CommitInput): Promise<StagedCommit> {
    return this.#queue.run(async () => {
      const epochs = this.#group()
      if (this.#staged !== undefined) throw new AvError("CommitPending", { epoch: epochs.epoch })
      const { current } = epochs
      const checked = await checkCommitInput(input, current, this.#directory, this.#identity.keyId, this.#engine.suite)
      const adds = checked.adds.map(({ keyPackage }) => keyPackage)
      const authenticatedData = input.authenticatedData ?? new Uint8Array()
      const made = await this.#engine.commit(current, { adds, removes: checked.removes }, { authenticatedData })
      const welcomes = await makeWelcomes(made, checked.adds, this.#identity)
      const hash = await sha256(made.bytes)
      epochs.replace(made.current)
      const preview = previewOwn(made, this.#identity.keyId, hash, authenticatedData)
      this.#staged = { token: this.#nextToken++, made, hash, preview }
      epochs.rememberOwn(toHex(hash), preview)
      const records = checked.adds.map(({ binding }) => binding)
      return { token: this.#staged.token, epoch: epochs.epoch, bytes: made.bytes, hash, welcomes, records }
    })
  }

  confirm(token: number, now: Milliseconds): Promise<EpochChange> {
    return this.#queue.run(() => this.#confirm(token, now))
  }

  abort(token: number): Promise<void> {
    return this.#queue.run(() => {
      if (this.#staged?.token === token) this.#dropStaged()
    })
  }

  previewCommit(bytes: Bytes): Promise<CommitPreview> {
    return this.#queue.run(async () => {
      const epochs = this.#group()
      const { epoch } = readMessageHead(bytes)
      const state = epochs.at(epoch)
      const hash = await sha256(bytes)
      const own = epochs.own(toHex(hash))
      if (own !== undefined) return { ...own, superseded: epoch !== epochs.epoch }
      const opened = await this.#openCommit(state, bytes, hash)
      const superseded = epoch !== epochs.epoch
      // A commit that takes part in the choice of RM-29 must be one that can be applied.
      if (superseded && !opened.removesMe) eraseEpoch(await this.#engine.apply(state, opened))
      return { ...previewCommit(state, opened, hash, this.#directory), superseded }
    })
  }

  processCommit(bytes: Bytes, now: Milliseconds): Promise<EpochChange> {
    return this.#queue.run(async () => {
      const epochs = this.#group()
      const hash = await sha256(bytes)
      if (this.#staged !== undefined && equalBytes(this.#staged.hash, hash)) return this.#confirm(this.#staged.token, now)
      const { epoch, content } = readMessageHead(bytes)
      if (content !== "commit") throw new AvError("NotACommit", { content })
      if (epoch !== epochs.epoch) throw new AvError("ProcessFailed", { why: "other epoch", epoch })
      const opened = await this.#openCommit(epochs.current, bytes, hash)
      const preview = previewCommit(epochs.current, opened, hash, this.#directory)
      const [stranger] = preview.unverified
      if (stranger !== undefined) throw new AvError("LeafIdentityUnverified", { key_id: stranger })
      if (opened.removesMe) {
        this.#erase()
        throw new AvError("RemovedFromGroup", { epoch })
      }
      const next = await this.#engine.apply(epochs.current, opened)
      this.#dropStaged()
      return this.#advance(next, preview, now)
    })
  }

  restoreEpoch(epoch: U64): Promise<GroupView> {
    return this.#queue.run(async () => {
      const epochs = this.#group()
      this.#dropStaged()
      if (epoch !== epochs.epoch) {
        epochs.restore(epoch)
        await this.#emit(true)
      }
      return this.#view()
    })
  }

  expire(now: Milliseconds): Promise<void> {
    return this.#queue.run(() => this.#epochs?.expire(now))
  }

  proposeLeave(): Promise<Bytes> {
    return this.#queue.run(async () => {
      const epochs = this.#group()
      const { bytes, state } = await this.#engine.proposeLeave(epochs.current)
      epochs.replace(state)
      return bytes
    })
  }

  openProposal(bytes: Bytes): Promise<OpenedProposal> {
    return this.#queue.run(async () => {
      const { opened, epoch, sender } = await this.#openContent(bytes, "proposal")
      const { proposal, senderLeaf } = opened
      const leaves = proposal?.proposalType === "remove" && proposal.remove.removed === senderLeaf
      return { epoch, sender: sender.keyId, senderLeaf, kind: leaves ? "leave" : "other" }
    })
  }

  protect(plaintext: Bytes): Promise<Bytes> {
    return this.#queue.run(async () => {
      const { length } = plaintext
      if (length > MAX_APPLICATION_BYTES) throw new AvError("MessageTooLarge", { length, limit: MAX_APPLICATION_BYTES })
      const epochs = this.#group()
      // D-43 d: a newcomer seals nothing before it knows whom it seals to.
      const [stranger] = this.#unverified(epochs.current)
      if (stranger !== undefined) throw new AvError("LeafIdentityUnverified", { key_id: stranger })
      const { bytes, state } = await this.#engine.protect(epochs.current, plaintext)
      epochs.replace(state)
      return bytes
    })
  }

  open(bytes: Bytes): Promise<OpenedMessage> {
    return this.#queue.run(async () => {
      const { opened, epoch, sender } = await this.#openContent(bytes, "application")
      const { plaintext, senderLeaf } = opened
      return { epoch, sender: sender.keyId, senderLeaf, senderLeafKey: sender.leafKey, plaintext }
    })
  }

  signWithLeaf(label: string, content: Bytes): Promise<Bytes> {
    return this.#queue.run(() => this.#engine.signWithLeaf(this.#group().current, label, content))
  }

  verifyWithLeaf(keyId: PeerKeyId, label: string, content: Bytes, signature: Bytes): Promise<boolean> {
    return this.#queue.run(() => {
      const member = membersOf(this.#group().current).find((m) => m.keyId === keyId)
      if (member === undefined || !this.#directory.isVerified(keyId, member.leafKey)) return false
      return this.#engine.verifyWithLeaf(member.leafKey, label, content, signature)
    })
  }

  view(): Promise<GroupView> {
    return this.#queue.run(() => this.#view())
  }

  reset(): Promise<void> {
    return this.#queue.run(() => this.#erase())
  }

  #group(): Epochs {
    if (this.#epochs === undefined) throw new AvError("UsageError", { why: "not in a group" })
    return this.#epochs
  }

  #requireNone(): void {
    if (this.#epochs !== undefined) throw new AvError("AlreadyInitialized")
  }

  /** A package for one use; its leaf key is bound and known here from now on. */
  async #mint(now: Milliseconds): Promise<MintedPackage> {
    const minted = await makeJoinMaterial(this.#engine, this.#identity, now)
    this.#sources.packages.add(minted.own)
    trustOwn(this.#directory, this.#identity, minted.own, minted.binding)
    return minted
  }

  #begin(roomId: Bytes, state: GroupState, alone: boolean): Promise<GroupView> {
    this.#epochs = new Epochs(roomId.slice(), state)
    return this.#emit(alone)
  }

  #unverified(state: GroupState): PeerKeyId[] {
    return this.#directory.unverified(membersOf(state))
  }

  /** A commit is looked at and then processed: what was opened once is not opened again. */
  async #openCommit(state: GroupState, bytes: Bytes, hash: Bytes): Promise<OpenedCommit> {
    const last = this.#lastOpened
    if (last?.state === state && equalBytes(last.hash, hash)) return last.opened
    const opened = await this.#engine.open(state, bytes)
    checkRoomCommit(opened, state)
    this.#lastOpened = { state, hash, opened }
    return opened
  }

  async #confirm(token: number, now: Milliseconds): Promise<EpochChange> {
    const epochs = this.#group()
    const staged = this.#staged
    if (staged === undefined || staged.token !== token) throw new AvError("CommitConflict", { epoch: epochs.epoch })
    this.#staged = undefined
    return this.#advance(staged.made.next, staged.preview, now)
  }

  async #advance(next: GroupState, preview: CommitPreview, now: Milliseconds): Promise<EpochChange> {
    const epochs = this.#group()
    this.#lastOpened = undefined
    epochs.expire(now)
    epochs.advance(next, now)
    const view = await this.#emit(preview.removes.length > 0)
    const removed = preview.removes.map(({ keyId }) => keyId)
    const { hash: commitHash, author, adds: added, authenticatedData } = preview
    return { view, commitHash, author, added, removed, authenticatedData }
  }

  /** Hands the content key of the present epoch over and describes the epoch. */
  async #emit(sealNow: boolean): Promise<GroupView> {
    const { current, epoch, roomId } = this.#group()
    const members = membersOf(current)
    this.#directory.setMembers(members)
    this.#sink.epoch({ roomId, epoch, rootSecret: await this.#engine.rootSecret(current), members: members.length, sealNow })
    return this.#view()
  }

  #view(): Promise<GroupView> {
    const { current, roomId } = this.#group()
    return viewOf(current, roomId, this.#identity.keyId, this.#directory, this.#engine)
  }

  async #openContent(bytes: Bytes, kind: "application" | "proposal") {
    const epochs = this.#group()
    const { epoch, content, groupId } = readMessageHead(bytes)
    if (content !== kind || !equalBytes(groupId, epochs.roomId))
      throw new AvError("ProcessFailed", { why: "other kind or group" })
    const state = epochs.at(epoch)
    const opened = await this.#engine.openContent(state, bytes)
    const sender = memberAt(state.tree, opened.senderLeaf)
    this.#directory.requireVerified(sender.keyId, sender.leafKey)
    epochs.replace(opened.state)
    return { opened, epoch, sender }
  }

  #dropStaged(): void {
    if (this.#staged !== undefined) eraseEpoch(this.#staged.made.next)
    this.#staged = undefined
  }

  #erase(): void {
    this.#dropStaged()
    this.#lastOpened = undefined
    this.#epochs?.eraseAll()
    this.#epochs = undefined
    this.#directory.setMembers([])
    this.#sources.packages.clear()
    this.#sink.erase()
  }
}
