/** Follows the group from epoch to epoch: takes commits in order, settles rivals, holds what comes early (RM-13, RM-17, RM-29, RM-33). */
import { EPOCH_KEEP_COUNT, EPOCH_KEEP_MS, type EpochChange } from "../group/types.ts"
import type { AvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds, PeerKeyId, U64 } from "../wire/types.ts"
import { type Carrier, type Flooded, mlsMessage } from "./carrier.ts"
import { CommitBook, type KnownCommit } from "./commit-book.ts"
import { earliest, type RoomCore } from "./core.ts"
import { EpochQueue, epochVerdict } from "./epoch-order.ts"
import type { OwnCommit, TakenCommit } from "./ops.ts"
import { ParkedCommits } from "./parked-commits.ts"
import type { SessionId } from "./types.ts"

interface TrackHooks {
  /** A new epoch is in force. `own` when this peer made the commit. */
  changed(change: EpochChange, how: { own: boolean; rolledBack: boolean }): void
  /** The group goes on without this peer. `authenticatedData` says why (RM-14). */
  removedMe(authenticatedData: Bytes): void
  /** The group could not be brought to the state that counts: only joining again helps. */
  broken(): void
  /** Own commits that do not count any more. */
  lostCommits(commits: readonly KnownCommit[]): void
  /** A message could not be taken although its epoch is ours: its sender may be on another branch. */
  foreign(session: SessionId): void
  /** A commit of a later epoch came without the ones before it. */
  behind(session: SessionId, epoch: U64): void
  /** Leaves are needed before a commit can be taken (D-43 d). */
  needLeaves(keyIds: readonly PeerKeyId[], session: SessionId): void
  /** An application message can be opened now. */
  open(item: Flooded): void
}

export class GroupTrack {
  readonly book = new CommitBook()
  readonly #core: RoomCore
  readonly #carrier: Carrier
  readonly #hooks: TrackHooks
  readonly #queue = new EpochQueue<Flooded>()
  readonly #left = new Map<U64, Milliseconds>()
  readonly #own = new Map<U64, KnownCommit>()
  #tasks: (() => void)[] = []
  #busy = false
  readonly #parked: ParkedCommits

  constructor(core: RoomCore, carrier: Carrier, hooks: TrackHooks) {
    this.#core = core
    this.#carrier = carrier
    this.#hooks = hooks
    this.#parked = new ParkedCommits(core, hooks.needLeaves)
  }

  /** Runs a task that changes the group; tasks follow one another, each calls `release` when it is through. */
  exclusive(task: (release: () => void) => void): void {
    this.#tasks.push(() => {
      let released = false
      task(() => {
        if (released) return
        released = true
        this.#busy = false
        this.#next()
      })
    })
    this.#next()
  }

  get busy(): boolean {
    return this.#busy || this.#tasks.length > 0
  }

  /** What to do with a commit or an application message, by its epoch. Before the Welcome everything waits. */
  take(item: Flooded): void {
    const { epoch, content } = item.head
    const kind = content === "commit" ? "commit" : "app"
    const mine = this.#core.view?.epoch
    const verdict = mine === undefined ? this.#early(kind, item) : this.#verdict(kind, item, mine)
    switch (verdict) {
      case "drop":
        this.#core.count(`${kind}-epoch-dropped`)
        return
      case "hold":
        if (mine !== undefined) {
          this.#carrier.forward(item, false, mine)
          this.#hooks.behind(item.from, epoch)
        }
        this.#queue.hold(kind, { epoch, bytes: item.message.bytes, at: this.#core.now, extra: item })
        return
      case "open":
        this.#hooks.open(item)
        return
      default:
        this.exclusive((release) => this.#takeCommit(item, release))
    }
  }

  /** Puts the result of an own commit in force, floods it, and lets `after` send the Welcomes. */
  ownCommit(made: OwnCommit, removes: readonly number[]): void {
    const view = this.#core.view
    if (view === undefined) return
    const commit: KnownCommit = {
      epoch: made.epoch,
      bytes: made.bytes,
      hash: made.hash,
      authorLeaf: view.ownLeaf,
      removes,
      records: made.records,
    }
    this.#own.set(made.epoch, commit)
    this.#carrier.flood("commit", made.bytes, made.records)
    this.#enter(made.change, commit, { own: true, rolledBack: false })
  }

  /**
   * An empty commit that a member asks this peer, the committer, to accept (RM-12). `answer` gets the hash of what was accepted in that
   * epoch, ours or the winner's; it is not called for an offer that is no empty commit of `author`.
   */
  offered(item: Flooded, author: PeerKeyId, answer: (accepted: Bytes) => void): void {
    const core = this.#core
    this.exclusive((release) => {
      const { view, room } = core
      if (view === undefined || room === undefined || item.head.epoch !== view.epoch) {
        const winner = this.book.appliedIn(item.head.epoch)
        if (winner !== undefined) answer(winner.hash)
        release()
        return
      }
      const input = { bytes: item.message.bytes, records: [], roomId: room.roomId, root: room.root }
      const failed = (error: AvError) => {
        core.count(error.code)
        release()
      }
      core.run(
        "take",
        { ...input, apply: false },
        ({ preview }) => {
          if (preview.author !== author || preview.adds.length > 0 || preview.removes.length > 0) {
            core.count("offer-refused")
            release()
            return
          }
          core.run(
            "take",
            { ...input, apply: true },
            ({ change }) => {
              if (change !== undefined) {
                this.#carrier.flood("commit", item.message.bytes)
                answer(item.hash)
                const { hash } = item
                this.#enter(
                  change,
                  {
                    epoch: item.head.epoch,
                    bytes: item.message.bytes,
                    hash,
                    authorLeaf: preview.authorLeaf,
                    removes: [],
                    records: [],
                  },
                  { own: false, rolledBack: false },
                )
              }
              release()
            },
            failed,
          )
        },
        failed,
      )
    })
  }

  /** New leaves were verified: tries again what waited for them. */
  leavesLearned(): void {
    for (const item of this.#parked.takeAll()) this.take(item)
  }

  /** The answer to `room.commits?`: the commits from that epoch on, or undefined when they are gone. */
  commitsSince(epoch: U64): ReturnType<typeof mlsMessage>[] | undefined {
    const { room, now } = this.#core
    if (room === undefined) return undefined
    return this.book.since(epoch, now)?.map(({ bytes, records }) => mlsMessage(room.roomId, "commit", bytes, records))
  }

  /** The group is founded or joined: what waited for it is looked at. */
  started(): void {
    this.#left.clear()
    this.#releaseHeld()
  }

  tick(): void {
    const { now } = this.#core
    this.#queue.expire(now)
    this.#parked.tick()
    let expired = false
    for (const [epoch, at] of this.#left) {
      if (now - at < EPOCH_KEEP_MS) continue
      this.#left.delete(epoch)
      this.#own.delete(epoch)
      expired = true
    }
    if (expired) this.#core.run("expire", {}, () => {})
  }

  wake(): Milliseconds | undefined {
    let time = earliest(this.#queue.expiresAt(), this.#parked.wake())
    for (const at of this.#left.values()) time = earliest(time, at + EPOCH_KEEP_MS)
    return time
  }

  reset(): void {
    this.book.clear()
    this.#queue.clear()
    this.#left.clear()
    this.#own.clear()
    this.#parked.takeAll()
    this.#tasks = []
    this.#busy = false
  }

  #next(): void {
    if (this.#busy) return
    const task = this.#tasks.shift()
    if (task === undefined) return
    this.#busy = true
    task()
  }

  #early(kind: "commit" | "app", item: Flooded): "hold" | "drop" {
    if (kind === "app") return "hold"
    const { waiting, waitingBytes } = this.#queue.load(kind)
    return waiting < 16 && waitingBytes + item.message.bytes.length <= 8 * 1024 * 1024 ? "hold" : "drop"
  }

  #verdict(kind: "commit" | "app", item: Flooded, mine: U64): ReturnType<typeof epochVerdict> {
    const left = this.#left.get(item.head.epoch)
    return epochVerdict({
      kind,
      theirs: item.head.epoch,
      mine,
      leftAgoMs: left === undefined ? EPOCH_KEEP_MS : this.#core.now - left,
      ...this.#queue.load(kind),
      bytes: item.message.bytes.length,
    })
  }

  #takeCommit(item: Flooded, release: () => void): void {
    const { view, room } = this.#core
    if (view === undefined || room === undefined) {
      release()
      return
    }
    const apply = item.head.epoch === view.epoch
    if (!apply && this.book.knows(item.head.epoch, item.hash)) {
      release()
      return
    }
    this.#core.run(
      "take",
      { bytes: item.message.bytes, records: item.message.records ?? [], roomId: room.roomId, root: room.root, apply },
      (taken) => {
        this.#taken(item, taken, release)
      },
      (error) => {
        this.#core.count(error.code)
        if (error.code !== "CommitReasonInvalid") this.#hooks.foreign(item.from)
        release()
      },
    )
  }

  #taken(item: Flooded, { preview, change, removedMe }: TakenCommit, release: () => void): void {
    const view = this.#core.view
    if (view === undefined) {
      release()
      return
    }
    const commit: KnownCommit = {
      epoch: item.head.epoch,
      bytes: item.message.bytes,
      hash: item.hash,
      authorLeaf: preview.authorLeaf,
      removes: preview.removes.map(({ leafIndex }) => leafIndex),
      records: item.message.records ?? [],
    }
    if (removedMe === true) {
      this.#carrier.forward(item, true, view.epoch)
      release()
      this.#hooks.removedMe(preview.authenticatedData)
      return
    }
    if (change === undefined && preview.unverified.length > 0) {
      this.#parked.park(item, preview.unverified)
      release()
      return
    }
    this.#carrier.forward(item, true, view.epoch)
    if (change !== undefined) {
      this.#enter(change, commit, { own: false, rolledBack: false })
      release()
      return
    }
    const winner = this.book.rival(commit)
    if (winner === undefined) {
      this.#core.count("commit-lost-choice")
      release()
      return
    }
    this.#rollBack(winner, release)
  }

  /** Goes back to the state that `winner` was made on and takes it instead of what was applied there. */
  #rollBack(winner: KnownCommit, release: () => void): void {
    this.#core.run(
      "rollback",
      { epoch: winner.epoch, bytes: winner.bytes },
      (result) => {
        const lost = [...this.#own.values()].filter(({ epoch }) => epoch >= winner.epoch)
        for (const { epoch } of lost) this.#own.delete(epoch)
        for (const epoch of this.#left.keys()) if (epoch > winner.epoch) this.#left.delete(epoch)
        if (result === "removed-me") {
          release()
          this.#hooks.removedMe(new Uint8Array(0))
          return
        }
        this.#core.count("fork-resolved")
        this.#core.emit({ type: "forkResolved", epoch: winner.epoch })
        this.#enter(result, winner, { own: false, rolledBack: true })
        this.#hooks.lostCommits(lost)
        release()
      },
      (error: AvError) => {
        // The group stands at the older state now, and nothing that is known leads on from there.
        this.#core.count(error.code)
        release()
        this.#hooks.broken()
      },
    )
  }

  #enter(change: EpochChange, commit: KnownCommit, how: { own: boolean; rolledBack: boolean }): void {
    const { now } = this.#core
    this.book.applied(commit, now)
    this.#left.set(commit.epoch, now)
    for (const epoch of this.#left.keys()) {
      if (epoch + BigInt(EPOCH_KEEP_COUNT) < change.view.epoch) this.#left.delete(epoch)
    }
    this.#hooks.changed(change, how)
    this.#releaseHeld()
  }

  #releaseHeld(): void {
    const mine = this.#core.view?.epoch
    if (mine === undefined) return
    const { commits, messages } = this.#queue.release(mine)
    for (const { extra } of messages) this.take(extra)
    for (const { extra } of commits) this.take(extra)
  }
}
