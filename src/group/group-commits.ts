/** Commits of the room's group: our own, staged until it is known to be in force, and those of others, looked at before they are applied. */
import { sha256 } from "../crypto/hash.ts"
import { equalBytes, toHex } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds } from "../wire/types.ts"
import type { MadeCommit, OpenedCommit } from "./commit.ts"
import { checkCommitInput, checkRoomCommit } from "./commit-input.ts"
import { previewCommit, previewOwn } from "./commit-preview.ts"
import { makeWelcomes } from "./joining.ts"
import type { LiveGroup } from "./live-group.ts"
import { readMessageHead } from "./message-head.ts"
import { eraseEpoch, type GroupState } from "./state.ts"
import type { CommitInput, CommitPreview, EpochChange, StagedCommit } from "./types.ts"

interface Staged {
  token: number
  made: MadeCommit
  hash: Bytes
  preview: CommitPreview
}

export class GroupCommits {
  readonly #group: LiveGroup
  /** Erases everything of the group: a commit has removed this peer. */
  readonly #onRemoved: () => void
  #staged: Staged | undefined
  #nextToken = 1
  #lastOpened: { state: GroupState; hash: Bytes; opened: OpenedCommit } | undefined

  constructor(group: LiveGroup, onRemoved: () => void) {
    this.#group = group
    this.#onRemoved = onRemoved
  }

  async stage(input: CommitInput): Promise<StagedCommit> {
    const { epochs, engine, directory, identity } = this.#group
    if (this.#staged !== undefined) throw new AvError("CommitPending", { epoch: epochs.epoch })
    const { current } = epochs
    const checked = await checkCommitInput(input, current, directory, identity.keyId, engine.suite)
    const adds = checked.adds.map(({ keyPackage }) => keyPackage)
    const authenticatedData = input.authenticatedData ?? new Uint8Array()
    const made = await engine.commit(current, { adds, removes: checked.removes }, { authenticatedData })
    const welcomes = await makeWelcomes(made, checked.adds, identity)
    const hash = await sha256(made.bytes)
    epochs.replace(made.current)
    const preview = previewOwn(made, identity.keyId, hash, authenticatedData)
    const token = this.#nextToken++
    this.#staged = { token, made, hash, preview }
    epochs.rememberOwn(toHex(hash), preview)
    const records = checked.adds.map(({ binding }) => binding)
    return { token, epoch: epochs.epoch, bytes: made.bytes, hash, welcomes, records }
  }

  async confirm(token: number, now: Milliseconds): Promise<EpochChange> {
    const { epochs } = this.#group
    const staged = this.#staged
    if (staged === undefined || staged.token !== token) throw new AvError("CommitConflict", { epoch: epochs.epoch })
    this.#staged = undefined
    return this.#advance(staged.made.next, staged.preview, now)
  }

  abort(token: number): void {
    if (this.#staged?.token === token) this.dropStaged()
  }

  /** What a commit of the present or a kept epoch would do, changing nothing. */
  async preview(bytes: Bytes): Promise<CommitPreview> {
    const { epochs, engine, directory } = this.#group
    const { epoch } = readMessageHead(bytes)
    const state = epochs.at(epoch)
    const hash = await sha256(bytes)
    const own = epochs.own(toHex(hash))
    if (own !== undefined) return { ...own, superseded: epoch !== epochs.epoch }
    const opened = await this.#open(state, bytes, hash)
    const superseded = epoch !== epochs.epoch
    // A commit that takes part in the choice of RM-29 must be one that can be applied.
    if (superseded && !opened.removesMe) eraseEpoch(await engine.apply(state, opened))
    return { ...previewCommit(state, opened, hash, directory), superseded }
  }

  async process(bytes: Bytes, now: Milliseconds): Promise<EpochChange> {
    const { epochs, engine, directory } = this.#group
    const hash = await sha256(bytes)
    if (this.#staged !== undefined && equalBytes(this.#staged.hash, hash)) return this.confirm(this.#staged.token, now)
    const { epoch, content } = readMessageHead(bytes)
    if (content !== "commit") throw new AvError("NotACommit", { content })
    if (epoch !== epochs.epoch) throw new AvError("ProcessFailed", { why: "other epoch", epoch })
    const opened = await this.#open(epochs.current, bytes, hash)
    const preview = previewCommit(epochs.current, opened, hash, directory)
    const [stranger] = preview.unverified
    if (stranger !== undefined) throw new AvError("LeafIdentityUnverified", { key_id: stranger })
    if (opened.removesMe) {
      this.#onRemoved()
      throw new AvError("RemovedFromGroup", { epoch })
    }
    const next = await engine.apply(epochs.current, opened)
    this.dropStaged()
    return this.#advance(next, preview, now)
  }

  dropStaged(): void {
    if (this.#staged !== undefined) eraseEpoch(this.#staged.made.next)
    this.#staged = undefined
  }

  /** The group is left. */
  erase(): void {
    this.dropStaged()
    this.#lastOpened = undefined
  }

  #advance(next: GroupState, preview: CommitPreview, now: Milliseconds): Promise<EpochChange> {
    this.#lastOpened = undefined
    return this.#group.advance(next, preview, now)
  }

  /** A commit is looked at and then processed: what was opened once is not opened again. */
  async #open(state: GroupState, bytes: Bytes, hash: Bytes): Promise<OpenedCommit> {
    const last = this.#lastOpened
    // Messages opened in between make a new state of the same epoch.
    if (last?.state.context === state.context && equalBytes(last.hash, hash)) return last.opened
    const opened = await this.#group.engine.open(state, bytes)
    checkRoomCommit(opened, state)
    this.#lastOpened = { state, hash, opened }
    return opened
  }
}
