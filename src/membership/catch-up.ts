/** Notices that others are in another epoch or on another branch, and asks for what is missing (RM-13, RM-17). */
import { EPOCH_KEEP_COUNT } from "../group/types.ts"
import { equalBytes } from "../wire/bytes.ts"
import type { ControlMessageOf } from "../wire/control-json.ts"
import type { Bytes, Milliseconds, U64 } from "../wire/types.ts"
import { AnswerLimit } from "./answer-limit.ts"
import { earliest, type RoomCore } from "./core.ts"
import type { RoomSession } from "./sessions.ts"
import type { SessionId } from "./types.ts"

/** A later epoch is given this long to arrive by itself. */
const PATIENCE_MS = 500
const ASK_AGAIN_MS = 1_500
/** After so many questions without progress the other side is taken for another branch. */
const MAX_TRIES = 3
/** Two tips in one epoch: rivals settle by themselves while the states are kept; then it is an older fork. */
const FORK_MS = 3_000
/** How long an answer to `room.commits?` is taken although it was seen before, and beyond the budget of its session. */
const SOLICITED_MS = 5_000
/** Commits in an answer: as many as members keep (RM-17). */
const MAX_SOLICITED = 64
/** Answers to `room.commits?` that one session gets in a second; each can be megabytes. */
const ANSWERS_PER_SECOND = 4

export interface CatchUpHooks {
  /** The peer is on another branch that no commit leads to: compare the groups (RM-11). */
  otherBranch(session: SessionId): void
  /** The room is too far ahead to catch up with. */
  tooOld(): void
  links(): RoomSession[]
}

/** What a neighbour last said about its epoch. */
export interface PeerEpoch {
  roomId: Bytes
  epoch: U64
  tip: Bytes
}

export class CatchUp {
  readonly #core: RoomCore
  readonly #hooks: CatchUpHooks
  readonly #shown = new Map<SessionId, PeerEpoch>()
  #behind: { session: SessionId; epoch: U64; since: Milliseconds; asked: Milliseconds | undefined; tries: number } | undefined
  readonly #forks = new Map<SessionId, { since: Milliseconds; asked: boolean }>()
  readonly #solicited = new Map<SessionId, { until: Milliseconds; left: number }>()
  readonly #answers = new AnswerLimit(ANSWERS_PER_SECOND)

  constructor(core: RoomCore, hooks: CatchUpHooks) {
    this.#core = core
    this.#hooks = hooks
  }

  shown(session: SessionId): PeerEpoch | undefined {
    return this.#shown.get(session)
  }

  alive(session: SessionId, message: ControlMessageOf<"room.alive">): void {
    const { view, room, now } = this.#core
    this.#shown.set(session, { roomId: message.roomId, epoch: message.epoch, tip: message.tip })
    if (view === undefined || room === undefined || !equalBytes(message.roomId, room.roomId)) return
    if (message.epoch > view.epoch) this.behind(session, message.epoch)
    const forked = message.epoch === view.epoch && !equalBytes(message.tip, view.tip)
    if (!forked) this.#forks.delete(session)
    else if (!this.#forks.has(session)) this.#forks.set(session, { since: now, asked: false })
  }

  /** Somebody is in a later epoch. */
  behind(session: SessionId, epoch: U64): void {
    const { view, now } = this.#core
    if (view === undefined || epoch <= view.epoch) return
    if (this.#behind === undefined) this.#behind = { session, epoch, since: now, asked: undefined, tries: 0 }
    else if (epoch > this.#behind.epoch) this.#behind.epoch = epoch
  }

  /** A commit of our epoch could not be opened: its sender may be on another branch; its next `room.alive` will tell. */
  foreign(session: SessionId): void {
    const { view, now } = this.#core
    const shown = this.#shown.get(session)
    if (view === undefined || shown === undefined || shown.epoch <= view.epoch) return
    this.#behind ??= { session, epoch: shown.epoch, since: now, asked: undefined, tries: 0 }
  }

  /** Whether a commit from that session answers a question of ours; each question is good for 64 of them. */
  solicited(session: SessionId): boolean {
    const asked = this.#solicited.get(session)
    if (asked === undefined || asked.left === 0 || this.#core.now >= asked.until) return false
    asked.left -= 1
    return true
  }

  /** Whether a `room.commits?` of that session is answered now. */
  mayAnswer(session: SessionId): boolean {
    if (this.#answers.admit(session, this.#core.now)) return true
    this.#core.count("commits-too-often")
    return false
  }

  /** Every linked member has shown this epoch (D-38). */
  allShow(epoch: U64): boolean {
    return this.#hooks.links().every(({ id }) => (this.#shown.get(id)?.epoch ?? -1n) >= epoch)
  }

  /** True when no linked member is on our branch although some have spoken: then we are the ones who are wrong. */
  alone(): boolean {
    const { view } = this.#core
    if (view === undefined) return false
    const links = this.#hooks.links()
    const shown = links.flatMap(({ id }) => this.#shown.get(id) ?? [])
    return (
      shown.length > 0 &&
      shown.every(({ epoch, tip }) => epoch > view.epoch || (epoch === view.epoch && !equalBytes(tip, view.tip)))
    )
  }

  /** The commits that were asked for are not kept any more (RM-17): the way back is to join again. */
  tooOld(session: SessionId): void {
    // Asked for more than the gap, it only says that the peer was not there yet.
    if (this.#behind?.session === session && this.#behind.tries === 1) this.#hooks.tooOld()
  }

  epochChanged(): void {
    const view = this.#core.view
    if (view === undefined) return
    if (this.#behind !== undefined && this.#behind.epoch <= view.epoch) this.#behind = undefined
    // Progress was made: what is still missing gets its full patience again.
    if (this.#behind !== undefined) Object.assign(this.#behind, { since: this.#core.now, asked: undefined, tries: 0 })
    for (const session of this.#forks.keys()) {
      const shown = this.#shown.get(session)
      if (shown === undefined || shown.epoch !== view.epoch || equalBytes(shown.tip, view.tip)) this.#forks.delete(session)
    }
  }

  closed(session: SessionId): void {
    this.#shown.delete(session)
    this.#forks.delete(session)
    this.#solicited.delete(session)
    this.#answers.forget(session)
    if (this.#behind?.session === session) this.#behind = undefined
  }

  tick(): void {
    const { now, view } = this.#core
    if (view === undefined) return
    this.#askBehind(view.epoch)
    for (const [session, fork] of this.#forks) {
      if (!fork.asked && now - fork.since >= PATIENCE_MS) {
        fork.asked = true
        this.#ask(session, keptFrom(view.epoch))
      }
      if (now - fork.since < FORK_MS) continue
      this.#forks.delete(session)
      this.#hooks.otherBranch(session)
    }
  }

  wake(): Milliseconds | undefined {
    const behind = this.#behind
    let time =
      behind === undefined ? undefined : behind.asked === undefined ? behind.since + PATIENCE_MS : behind.asked + ASK_AGAIN_MS
    for (const { since, asked } of this.#forks.values()) time = earliest(time, since + (asked ? FORK_MS : PATIENCE_MS))
    return time
  }

  reset(): void {
    this.#behind = undefined
    this.#forks.clear()
    this.#solicited.clear()
  }

  #askBehind(mine: U64): void {
    const behind = this.#behind
    const { now } = this.#core
    if (behind === undefined) return
    const due = behind.asked === undefined ? behind.since + PATIENCE_MS : behind.asked + ASK_AGAIN_MS
    if (now < due) return
    if (behind.tries >= MAX_TRIES) {
      this.#behind = undefined
      this.#hooks.otherBranch(behind.session)
      return
    }
    behind.asked = now
    // A first question assumes a gap, the next ones that the branches parted earlier.
    this.#ask(behind.session, behind.tries === 0 ? mine : keptFrom(mine))
    behind.tries++
  }

  #ask(session: SessionId, fromEpoch: U64): void {
    const { room, now } = this.#core
    if (room === undefined) return
    this.#solicited.set(session, { until: now + SOLICITED_MS, left: MAX_SOLICITED })
    this.#core.act({ type: "send", session, message: { t: "room.commits?", roomId: room.roomId, fromEpoch } })
  }
}

/** The oldest epoch that rivals can still be settled in. */
function keptFrom(mine: U64): U64 {
  const kept = BigInt(EPOCH_KEEP_COUNT)
  return mine > kept ? mine - kept : 0n
}
