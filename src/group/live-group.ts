/** The group that this peer is in: its epochs, what is known of its members' leaves, and each epoch's content key on its way out. */
import { AvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds, PeerKeyId, U64 } from "../wire/types.ts"
import { type MlsEngine, membersOf } from "./engine.ts"
import { Epochs } from "./epochs.ts"
import { viewOf } from "./group-view.ts"
import type { GroupIdentity } from "./joining.ts"
import { LeafDirectory } from "./leaf-directory.ts"
import type { GroupState } from "./state.ts"
import type { CommitPreview, EpochChange, EpochSink, GroupView } from "./types.ts"

export class LiveGroup {
  readonly engine: MlsEngine
  readonly identity: GroupIdentity
  readonly directory: LeafDirectory
  readonly #sink: EpochSink
  #epochs: Epochs | undefined

  constructor(engine: MlsEngine, identity: GroupIdentity, sink: EpochSink) {
    this.engine = engine
    this.identity = identity
    this.directory = new LeafDirectory(engine.suite)
    this.#sink = sink
  }

  get active(): boolean {
    return this.#epochs !== undefined
  }

  /** @throws AvError `UsageError` while in no group */
  get epochs(): Epochs {
    if (this.#epochs === undefined) throw new AvError("UsageError", { why: "not in a group" })
    return this.#epochs
  }

  /** @throws AvError `AlreadyInitialized` while in a group */
  requireNone(): void {
    if (this.#epochs !== undefined) throw new AvError("AlreadyInitialized")
  }

  /** @param sealNow nobody else is in this epoch, or nobody knows it yet */
  begin(roomId: Bytes, state: GroupState, sealNow: boolean): Promise<GroupView> {
    this.#epochs = new Epochs(roomId.slice(), state)
    return this.#emit(sealNow)
  }

  /** A commit is in force. */
  async advance(next: GroupState, preview: CommitPreview, now: Milliseconds): Promise<EpochChange> {
    const { epochs } = this
    epochs.expire(now)
    epochs.advance(next, now)
    const view = await this.#emit(preview.removes.length > 0)
    const removed = preview.removes.map(({ keyId }) => keyId)
    const { hash: commitHash, author, adds: added, authenticatedData } = preview
    return { view, commitHash, author, added, removed, authenticatedData }
  }

  /** Back to a kept epoch (RM-13). */
  async restore(epoch: U64): Promise<GroupView> {
    const { epochs } = this
    if (epoch === epochs.epoch) return this.view()
    epochs.restore(epoch)
    return this.#emit(true)
  }

  /** Erases epochs that were left long enough ago. */
  expire(now: Milliseconds): void {
    this.#epochs?.expire(now)
  }

  /** Members whose leaf has no verified binding yet. */
  unverified(): PeerKeyId[] {
    return this.directory.unverified(membersOf(this.epochs.current))
  }

  view(): Promise<GroupView> {
    const { current, roomId } = this.epochs
    return viewOf(current, roomId, this.identity.keyId, this.directory, this.engine)
  }

  erase(): void {
    this.#epochs?.eraseAll()
    this.#epochs = undefined
    this.directory.setMembers([])
    this.#sink.erase()
  }

  /** Hands the content key of the present epoch over and describes the epoch. */
  async #emit(sealNow: boolean): Promise<GroupView> {
    const { current, epoch, roomId } = this.epochs
    const members = membersOf(current)
    this.directory.setMembers(members)
    this.#sink.epoch({ roomId, epoch, rootSecret: await this.engine.rootSecret(current), members: members.length, sealNow })
    return this.view()
  }
}
