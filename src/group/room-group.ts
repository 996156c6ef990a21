/** {@link RoomGroup} over the MLS engine: one operation at a time, nothing used that was not verified, every refusal leaves all as it was. */
import { secureRandom } from "../crypto/random.ts"
import type { Store } from "../store/index.ts"
import { equalBytes } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds, PeerKeyId, RandomBytes, U64 } from "../wire/types.ts"
import { checkJoined } from "./commit-input.ts"
import { MlsEngine, membersOf } from "./engine.ts"
import { GroupCommits } from "./group-commits.ts"
import { GroupMessages } from "./group-messages.ts"
import {
  findOwn,
  type GroupIdentity,
  type MintedPackage,
  makeJoinMaterial,
  type OwnSources,
  takeWelcome,
  trustOwn,
} from "./joining.ts"
import { LiveGroup } from "./live-group.ts"
import { OwnPackages } from "./own-packages.ts"
import { PackageShelf, type ShelvedPackage } from "./package-shelf.ts"
import { verifyWelcomeEnvelope } from "./records.ts"
import { inOrder, limited, SerialQueue } from "./serial-queue.ts"
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

interface RoomGroupOptions {
  identity: GroupIdentity
  sink: EpochSink
  random?: RandomBytes
  /** Where published KeyPackages wait to be used; without it there are none. */
  packages?: Store<ShelvedPackage>
}

export class MlsRoomGroup implements PublishingGroup {
  readonly #queue = new SerialQueue()
  readonly #group: LiveGroup
  readonly #commits: GroupCommits
  readonly #messages: GroupMessages
  readonly #sources: OwnSources

  constructor({ identity, sink, random = secureRandom, packages }: RoomGroupOptions) {
    const engine = new MlsEngine(random)
    this.#group = new LiveGroup(engine, identity, sink)
    this.#commits = new GroupCommits(this.#group, () => this.#erase())
    this.#messages = new GroupMessages(this.#group)
    const shelf = packages === undefined ? undefined : new PackageShelf(packages, engine, identity)
    this.#sources = { packages: new OwnPackages(), shelf, directory: this.#group.directory, identity }
  }

  /** True between `found` or `join` and `reset` or removal. */
  get active(): boolean {
    return this.#group.active
  }

  // Who is who

  learnKeys(keys: PeerKeys[]): Promise<PeerKeyId[]> {
    return this.#queue.run(() => limited(keys).map((k) => this.#group.directory.learnKeys(k)))
  }

  learnLeaves(leaves: LeafEvidence[], now: Milliseconds): Promise<LeafVerdict[]> {
    return this.#queue.run(() => inOrder(limited(leaves), (leaf) => this.#group.directory.learnLeaf(leaf, now)))
  }

  learnRecords(records: Bytes[], now: Milliseconds): Promise<LeafVerdict[]> {
    return this.#queue.run(() => inOrder(limited(records), (record) => this.#group.directory.learnRecord(record, now)))
  }

  unverifiedMembers(): Promise<PeerKeyId[]> {
    return this.#queue.run(() => this.#group.unverified())
  }

  leafEvidence(keyIds: PeerKeyId[]): Promise<LeafEvidence[]> {
    return this.#queue.run(() => {
      const { epochs, directory } = this.#group
      const wanted = new Set(limited(keyIds))
      return directory.evidence(membersOf(epochs.current).filter(({ keyId }) => wanted.has(keyId)))
    })
  }

  // Coming in

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
      this.#group.requireNone()
      const { own } = await this.#mint(now)
      const state = await this.#group.engine.create(roomId.slice(), own)
      this.#sources.packages.consume(own.ref)
      return this.#group.begin(roomId, state, true)
    })
  }

  join(input: JoinInput): Promise<GroupView> {
    return this.#queue.run(async () => {
      this.#group.requireNone()
      const { engine, identity, directory } = this.#group
      const { envelope, inviter, proof, inviteKey, now } = input
      const opened = await verifyWelcomeEnvelope(envelope, inviter, proof, inviteKey, identity.keyId)
      const own = await findOwn(this.#sources, opened.keyPackageRef, now)
      const { state, signerLeaf } = await takeWelcome(engine, opened.welcome, own)
      if (!equalBytes(state.context.groupId, input.roomId)) throw new AvError("RoomIdMismatch")
      directory.learnKeys(inviter)
      for (const leaf of limited(input.leaves ?? [])) await directory.learnLeaf(leaf, now)
      for (const record of limited(input.records ?? [])) await directory.learnRecord(record, now)
      checkJoined(state, signerLeaf, opened.inviter, identity.keyId, directory)
      this.#sources.packages.consume(opened.keyPackageRef)
      await this.#sources.shelf?.use(opened.keyPackageRef)
      return this.#group.begin(input.roomId, state, false)
    })
  }

  // From epoch to epoch

  stageCommit(input: CommitInput): Promise<StagedCommit> {
    return this.#queue.run(() => this.#commits.stage(input))
  }

  confirm(token: number, now: Milliseconds): Promise<EpochChange> {
    return this.#queue.run(() => this.#commits.confirm(token, now))
  }

  abort(token: number): Promise<void> {
    return this.#queue.run(() => this.#commits.abort(token))
  }

  previewCommit(bytes: Bytes): Promise<CommitPreview> {
    return this.#queue.run(() => this.#commits.preview(bytes))
  }

  processCommit(bytes: Bytes, now: Milliseconds): Promise<EpochChange> {
    return this.#queue.run(() => this.#commits.process(bytes, now))
  }

  restoreEpoch(epoch: U64): Promise<GroupView> {
    return this.#queue.run(() => {
      this.#commits.dropStaged()
      return this.#group.restore(epoch)
    })
  }

  expire(now: Milliseconds): Promise<void> {
    return this.#queue.run(() => this.#group.expire(now))
  }

  view(): Promise<GroupView> {
    return this.#queue.run(() => this.#group.view())
  }

  reset(): Promise<void> {
    return this.#queue.run(() => this.#erase())
  }

  // What members say

  proposeLeave(): Promise<Bytes> {
    return this.#queue.run(() => this.#messages.proposeLeave())
  }

  openProposal(bytes: Bytes): Promise<OpenedProposal> {
    return this.#queue.run(() => this.#messages.openProposal(bytes))
  }

  protect(plaintext: Bytes): Promise<Bytes> {
    return this.#queue.run(() => this.#messages.protect(plaintext))
  }

  open(bytes: Bytes): Promise<OpenedMessage> {
    return this.#queue.run(() => this.#messages.open(bytes))
  }

  signWithLeaf(label: string, content: Bytes): Promise<Bytes> {
    return this.#queue.run(() => this.#messages.signWithLeaf(label, content))
  }

  verifyWithLeaf(keyId: PeerKeyId, label: string, content: Bytes, signature: Bytes): Promise<boolean> {
    return this.#queue.run(() => this.#messages.verifyWithLeaf(keyId, label, content, signature))
  }

  /** A package for one use; its leaf key is bound and known here from now on. */
  async #mint(now: Milliseconds): Promise<MintedPackage> {
    const { engine, identity, directory } = this.#group
    const minted = await makeJoinMaterial(engine, identity, now)
    this.#sources.packages.add(minted.own)
    trustOwn(directory, identity, minted.own, minted.binding)
    return minted
  }

  #erase(): void {
    this.#commits.erase()
    this.#sources.packages.clear()
    this.#group.erase()
  }
}
