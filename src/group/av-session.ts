/** `AvSession` (av-mesh 6.5): the content keys of one stream, moved on by changes of its roster. A convenience over a group of its own. */
import { compareUtf8 } from "../wire/bytes.ts"
import type { Bytes, PeerKeyId, U64 } from "../wire/types.ts"
import { EpochDek } from "./epoch-dek.ts"
import type { OwnKeyPackage } from "./key-package.ts"
import type { Member } from "./member.ts"
import { MlsSession, type MlsSessionOptions, type RosterOp } from "./mls-session.ts"

/** A wanted change: `replace` names all the other members, the own one is always kept (D-12.1). */
type RosterDelta = { join: Member } | { leave: PeerKeyId } | { replace: Member[] } | { batch: RosterOp[] }

/** A staged step to the next epoch: to be distributed, then confirmed or aborted. */
interface EpochRekeyArtifacts {
  newEpoch: U64
  commitBytes: Bytes
  /** One per newcomer, all the same bytes. */
  welcomeBytes: Bytes[]
  newDek: EpochDek
  /** The commit was accepted: epoch and content key move now. @throws AvError `CommitConflict { epoch }` */
  confirm(): void
  abort(): void
}

interface AvSessionOptions extends MlsSessionOptions {
  /** The reference's behaviour, for rooms with a single committer: commits are in force at once. */
  autoConfirm?: boolean
}

export class AvSession {
  readonly #streamId: Bytes
  readonly #mls: MlsSession
  readonly #autoConfirm: boolean

  private constructor(streamId: Bytes, mls: MlsSession, options: AvSessionOptions) {
    this.#streamId = streamId.slice()
    this.#mls = mls
    this.#autoConfirm = options.autoConfirm ?? false
  }

  /** Errors as `MlsSession.create`. `welcomes` bring the initial members in. */
  static async create(
    streamId: Bytes,
    own: OwnKeyPackage,
    ownKeyId: PeerKeyId,
    initialMembers: Member[],
    options: AvSessionOptions = {},
  ): Promise<{ session: AvSession; dek: EpochDek; welcomes: Bytes[] }> {
    const { session, rootSecret, welcomes } = await MlsSession.create(own, ownKeyId, initialMembers, options)
    return { session: new AvSession(streamId, session, options), dek: new EpochDek(rootSecret), welcomes }
  }

  /** Joins by a Welcome. Errors as `MlsSession.processWelcome`. */
  static async processWelcome(
    streamId: Bytes,
    ownKeyId: PeerKeyId,
    own: OwnKeyPackage,
    welcome: Bytes,
    options: AvSessionOptions = {},
  ): Promise<{ session: AvSession; dek: EpochDek }> {
    const { session, rootSecret } = await MlsSession.processWelcome(ownKeyId, own, welcome, options)
    return { session: new AvSession(streamId, session, options), dek: new EpochDek(rootSecret) }
  }

  /** Stages one commit for the change. Errors as `MlsSession.stageBatch`; a `replace` that changes nothing is `EmptyBatch`. */
  async advanceEpoch(delta: RosterDelta): Promise<EpochRekeyArtifacts> {
    const staged = await this.#mls.stageBatch(this.#operations(delta))
    if (this.#autoConfirm) staged.confirm()
    return {
      newEpoch: staged.newEpoch,
      commitBytes: staged.commit,
      welcomeBytes: staged.welcomes,
      newDek: new EpochDek(staged.rootSecret),
      confirm: this.#autoConfirm ? () => {} : staged.confirm,
      abort: this.#autoConfirm ? () => {} : staged.abort,
    }
  }

  /** Applies another member's commit and returns the new content key. Errors as `MlsSession.processCommit`. */
  async processCommit(bytes: Bytes): Promise<EpochDek> {
    return new EpochDek(await this.#mls.processCommit(bytes))
  }

  streamId(): Bytes {
    return this.#streamId.slice()
  }

  epoch(): U64 {
    return this.#mls.epoch()
  }

  /** The own member included. */
  rosterSize(): number {
    return this.#mls.memberCount()
  }

  #operations(delta: RosterDelta): RosterOp[] {
    if ("join" in delta) return [{ add: delta.join }]
    if ("leave" in delta) return [{ remove: delta.leave }]
    if ("batch" in delta) return delta.batch
    const wanted = delta.replace.filter(({ keyId }) => keyId !== this.#mls.ownKeyId)
    const wantedIds = new Set(wanted.map(({ keyId }) => keyId))
    const present = new Set(this.#mls.memberKeyIds())
    const removes = [...present].filter((keyId) => keyId !== this.#mls.ownKeyId && !wantedIds.has(keyId)).sort(compareUtf8)
    const adds = wanted.filter(({ keyId }) => !present.has(keyId))
    return [...removes.map((remove) => ({ remove })), ...adds.map((add) => ({ add }))]
  }
}
