/** `MlsSession` (av-mesh 6.4): a group by key ids, for callers that order commits themselves. Rooms use `RoomGroup`. */
import { secureRandom } from "../crypto/random.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, PeerKeyId, U64 } from "../wire/types.ts"
import type { CommitOptions, MadeCommit } from "./commit.ts"
import { resolveOps } from "./commit-input.ts"
import { MlsEngine, membersOf } from "./engine.ts"
import { type OwnKeyPackage, requireXWing } from "./key-package.ts"
import { type Member, packageOf, requireMlkem } from "./member.ts"
import { SerialQueue } from "./serial-queue.ts"
import { eraseEpoch, type GroupState } from "./state.ts"

export type RosterOp = { add: Member } | { remove: PeerKeyId }

export interface MlsSessionOptions extends CommitOptions {
  engine?: MlsEngine
  /** Default: 16 random bytes. A room's group has the room id (D-14). */
  groupId?: Bytes
}

/** A commit that changes nothing before `confirm` (D-13). */
interface StagedBatch {
  commit: Bytes
  /** One per Add, in their order, all the same bytes: every newcomer finds its own entry. */
  welcomes: Bytes[]
  newEpoch: U64
  rootSecret: Bytes
  /** @throws AvError `CommitConflict { epoch }` when another commit came first. */
  confirm(): void
  abort(): void
}

export class MlsSession {
  readonly ownKeyId: PeerKeyId
  readonly #engine: MlsEngine
  readonly #options: MlsSessionOptions
  readonly #queue = new SerialQueue()
  #state: GroupState | undefined
  #epoch: U64
  #pending: MadeCommit | undefined

  private constructor(ownKeyId: PeerKeyId, engine: MlsEngine, state: GroupState, options: MlsSessionOptions) {
    this.ownKeyId = ownKeyId
    this.#engine = engine
    this.#options = options
    this.#state = state
    this.#epoch = state.context.epoch
  }

  /**
   * A new group with the own member, and one commit for all initial members.
   *
   * @throws AvError `PeerLacksMlkem`, `DuplicateOp`, `KeyPackageUnavailable`, `CreateFailed`
   */
  static async create(
    own: OwnKeyPackage,
    ownKeyId: PeerKeyId,
    initialMembers: Member[],
    options: MlsSessionOptions = {},
  ): Promise<{ session: MlsSession; rootSecret: Bytes; commit?: Bytes; welcomes: Bytes[] }> {
    requireMlkem(initialMembers)
    requireXWing(own.keyPackage, ownKeyId)
    const engine = options.engine ?? new MlsEngine()
    const state = await engine.create(options.groupId ?? secureRandom(16), own)
    const session = new MlsSession(ownKeyId, engine, state, options)
    if (initialMembers.length === 0) return { session, rootSecret: await engine.rootSecret(state), welcomes: [] }
    const { commit, welcomes, rootSecret } = await session.commitBatch(initialMembers.map((add) => ({ add })))
    return { session, rootSecret, commit, welcomes }
  }

  /** Joins by a Welcome made for one of the own KeyPackages. @throws AvError `PeerLacksMlkem`, `WireDecodeFailed`, `WelcomeFailed` */
  static async processWelcome(
    ownKeyId: PeerKeyId,
    own: OwnKeyPackage,
    welcome: Bytes,
    options: MlsSessionOptions = {},
  ): Promise<{ session: MlsSession; rootSecret: Bytes }> {
    requireXWing(own.keyPackage, ownKeyId)
    const engine = options.engine ?? new MlsEngine()
    const { state } = await engine.join(welcome, own)
    return { session: new MlsSession(ownKeyId, engine, state, options), rootSecret: await engine.rootSecret(state) }
  }

  async commitAdd(member: Member): Promise<{ commit: Bytes; welcome: Bytes; rootSecret: Bytes }> {
    const { commit, welcomes, rootSecret } = await this.commitBatch([{ add: member }])
    return { commit, welcome: welcomes[0] as Bytes, rootSecret }
  }

  async commitRemove(keyId: PeerKeyId): Promise<{ commit: Bytes; rootSecret: Bytes }> {
    const { commit, rootSecret } = await this.commitBatch([{ remove: keyId }])
    return { commit, rootSecret }
  }

  /** One commit for all operations, in force at once. */
  async commitBatch(ops: RosterOp[]): Promise<{ commit: Bytes; welcomes: Bytes[]; rootSecret: Bytes }> {
    const staged = await this.stageBatch(ops)
    staged.confirm()
    return staged
  }

  /**
   * One commit for all operations, pending. The checks come in the order of 6.4 and leave the group untouched.
   *
   * @throws AvError `EmptyBatch`, `PeerLacksMlkem`, `DuplicateOp`, `CannotRemoveSelf`, `MemberNotFound`, `AlreadyMember`,
   * `KeyPackageUnavailable`, `CommitPending`, `CommitAddFailed`, `CommitRemoveFailed`
   */
  stageBatch(ops: RosterOp[]): Promise<StagedBatch> {
    return this.#queue.run(() => this.#stage(ops))
  }

  /** Applies another member's commit; an own pending one is dropped. @throws AvError `ProcessFailed`, `NotACommit`, `RemovedFromGroup` */
  processCommit(commit: Bytes): Promise<Bytes> {
    return this.#queue.run(() => this.#process(commit))
  }

  /** The own key id included; empty after removal. */
  memberKeyIds(): PeerKeyId[] {
    return this.#state === undefined ? [] : membersOf(this.#state).map(({ keyId }) => keyId)
  }

  memberCount(): number {
    return this.memberKeyIds().length
  }

  epoch(): U64 {
    return this.#epoch
  }

  isActive(): boolean {
    return this.#state !== undefined
  }

  async #stage(ops: RosterOp[]): Promise<StagedBatch> {
    const state = this.#active()
    if (this.#pending !== undefined) throw new AvError("CommitPending", { epoch: this.#epoch })
    if (ops.length === 0) throw new AvError("EmptyBatch")
    const adds = ops.flatMap((op) => ("add" in op ? [op.add] : []))
    const removes = ops.flatMap((op) => ("remove" in op ? [op.remove] : []))
    requireMlkem(adds)
    const indices = resolveOps(
      adds.map(({ keyId }) => keyId),
      removes,
      state,
      this.ownKeyId,
    )
    const packages = adds.map(packageOf)
    const made = await this.#engine.commit(state, { adds: packages, removes: indices }, this.#options)
    const rootSecret = await this.#engine.rootSecret(made.next)
    this.#state = made.current
    this.#pending = made
    return {
      commit: made.bytes,
      welcomes: adds.map(() => made.welcome as Bytes),
      newEpoch: made.next.context.epoch,
      rootSecret,
      confirm: () => this.#confirm(made),
      abort: () => this.#abort(made),
    }
  }

  async #process(commit: Bytes): Promise<Bytes> {
    const state = this.#active()
    const opened = await this.#engine.open(state, commit)
    if (opened.removesMe) {
      if (this.#pending !== undefined) this.#abort(this.#pending)
      eraseEpoch(state)
      this.#state = undefined
      throw new AvError("RemovedFromGroup", { epoch: this.#epoch })
    }
    const next = await this.#engine.apply(state, opened)
    if (this.#pending !== undefined) this.#abort(this.#pending)
    this.#enter(next)
    return this.#engine.rootSecret(next)
  }

  #active(): GroupState {
    if (this.#state === undefined) throw new AvError("RemovedFromGroup", { epoch: this.#epoch })
    return this.#state
  }

  #confirm(made: MadeCommit): void {
    if (this.#pending !== made) throw new AvError("CommitConflict", { epoch: this.#epoch })
    this.#pending = undefined
    this.#enter(made.next)
  }

  #abort(made: MadeCommit): void {
    if (this.#pending !== made) return
    this.#pending = undefined
    eraseEpoch(made.next)
  }

  #enter(next: GroupState): void {
    if (this.#state !== undefined) eraseEpoch(this.#state)
    this.#state = next
    this.#epoch = next.context.epoch
  }
}
