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
/** Somebody else is asked sooner than the same one again. */
const ASK_OTHER_MS = 700
/** After so many questions without progress, and one to each of so many neighbours, the others are taken for another branch. */
const MAX_TRIES = 3
const MAX_ASKED = 6
/** Two tips in one epoch: rivals settle by themselves while the states are kept; then it is an older fork. */
const FORK_MS = 3_000
/** How long an answer to `room.commits?` is taken although it was seen before, and beyond the budget of its session. */
const SOLICITED_MS = 5_000
/** Commits in an answer: as many as members keep (RM-17). */
const MAX_SOLICITED = 64
/** Answers to `room.commits?` that one session gets in a second; each can be megabytes. */
const ANSWERS_PER_SECOND = 4
/** Tips of past epochs remembered, as many as commits are kept for others. */
const MAX_TIPS = 64

interface CatchUpHooks {
  /** The peer is on another branch that no commit leads to: compare the groups (RM-11). */
  otherBranch(session: SessionId): void
  /** The room is too far ahead to catch up with. */
  tooOld(): void
  links(): RoomSession[]
  /** Commits are being taken: what is missing may be among them. */
  busy(): boolean
}

/** What a neighbour last said about its epoch. */
interface PeerEpoch {
  roomId: Bytes
  epoch: U64
  tip: Bytes
}

/** Commits that are missing here. */
interface Gap {
  /** Who told of them; asked when no neighbour has shown a later epoch. */
  hint: SessionId
  epoch: U64
  since: Milliseconds
  /** Whom was asked last, and when. */
  asked: { session: SessionId; at: Milliseconds } | undefined
  tries: number
  /** Questions by session. */
  questions: Map<SessionId, number>
  /** They do not have them (any more): a member that came in later never had. */
  without: Set<SessionId>
}

export class CatchUp {
  readonly #core: RoomCore
  readonly #hooks: CatchUpHooks
  readonly #shown = new Map<SessionId, PeerEpoch>()
  #behind: Gap | undefined
  /** By epoch, since this peer came in: what leads to the present tip. */
  readonly #tips = new Map<U64, Bytes>()
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
    if (this.#behind === undefined) this.#behind = newGap(session, epoch, now)
    else if (epoch > this.#behind.epoch) this.#behind.epoch = epoch
  }

  /** A commit of our epoch could not be opened: its sender may be on another branch; its next `room.alive` will tell. */
  foreign(session: SessionId): void {
    const { view, now } = this.#core
    const shown = this.#shown.get(session)
    if (view === undefined || shown === undefined || shown.epoch <= view.epoch) return
    this.#behind ??= newGap(session, shown.epoch, now)
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

  /** Whether this peer was itself where the other one is: then that one is only behind. Undefined: it was not here then, or is behind too. */
  wasAt({ epoch, tip }: PeerEpoch): boolean | undefined {
    const known = this.#tips.get(epoch)
    return known === undefined ? undefined : equalBytes(known, tip)
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

  /**
   * The commits that were asked for are not kept there (RM-17). Whoever came in after them never had them, so the others are asked; when
   * nobody has them, the way back is to join again.
   */
  tooOld(session: SessionId): void {
    const gap = this.#behind
    // Asked for more than the gap, it only says that the peer was not there yet.
    if (gap === undefined || gap.questions.get(session) !== 1) return
    gap.without.add(session)
    if (this.#whom(gap) === undefined) this.#hooks.tooOld()
    else if (gap.asked?.session === session) gap.asked.at = Number.NEGATIVE_INFINITY
  }

  epochChanged(): void {
    const view = this.#core.view
    if (view === undefined) return
    this.#remember(view.epoch, view.tip)
    if (this.#behind !== undefined && this.#behind.epoch <= view.epoch) this.#behind = undefined
    // Progress was made: what is still missing gets its full patience again.
    if (this.#behind !== undefined) this.#behind = newGap(this.#behind.hint, this.#behind.epoch, this.#core.now)
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
    // What others have shown still stands.
    if (this.#behind?.hint === session && this.#later().length === 0) this.#behind = undefined
  }

  tick(): void {
    const { now, view } = this.#core
    if (view === undefined) return
    if (this.#behind !== undefined && !this.#hooks.busy()) this.#askBehind(view.epoch)
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
    let time = behind === undefined ? undefined : this.#dueAt(behind, this.#whom(behind))
    for (const { since, asked } of this.#forks.values()) time = earliest(time, since + (asked ? FORK_MS : PATIENCE_MS))
    return time
  }

  reset(): void {
    this.#behind = undefined
    this.#tips.clear()
    this.#forks.clear()
    this.#solicited.clear()
  }

  #remember(mine: U64, tip: Bytes): void {
    for (const epoch of this.#tips.keys()) if (epoch >= mine || epoch + BigInt(MAX_TIPS) < mine) this.#tips.delete(epoch)
    this.#tips.set(mine, tip)
  }

  #askBehind(mine: U64): void {
    const gap = this.#behind
    const { now } = this.#core
    if (gap === undefined) return
    const session = this.#whom(gap)
    if (now < this.#dueAt(gap, session)) return
    const everybody = session === undefined || gap.questions.has(session) || gap.tries >= MAX_ASKED
    if (session === undefined || (gap.tries >= MAX_TRIES && everybody)) {
      this.#behind = undefined
      this.#hooks.otherBranch(gap.asked?.session ?? gap.hint)
      return
    }
    // A first question assumes a gap, the next ones to the same peer that the branches parted earlier.
    const before = gap.questions.get(session) ?? 0
    this.#ask(session, before === 0 ? mine : keptFrom(mine))
    gap.asked = { session, at: now }
    gap.questions.set(session, before + 1)
    gap.tries++
  }

  /** Of those who have shown a later epoch the one that was asked least; else who told of it. */
  #whom(gap: Gap): SessionId | undefined {
    const later = this.#later().filter((id) => !gap.without.has(id))
    const asked = (id: SessionId) => gap.questions.get(id) ?? 0
    const [least] = later.sort((a, b) => asked(a) - asked(b) || Number(b === gap.hint) - Number(a === gap.hint))
    if (least !== undefined) return least
    return gap.without.has(gap.hint) || this.#core.sessions.get(gap.hint) === undefined ? undefined : gap.hint
  }

  /** Neighbours that have shown an epoch of this room after ours. */
  #later(): SessionId[] {
    const { view, room } = this.#core
    if (view === undefined || room === undefined) return []
    return this.#hooks.links().flatMap(({ id }) => {
      const shown = this.#shown.get(id)
      return shown !== undefined && shown.epoch > view.epoch && equalBytes(shown.roomId, room.roomId) ? [id] : []
    })
  }

  #dueAt(gap: Gap, next: SessionId | undefined): Milliseconds {
    if (gap.asked === undefined) return gap.since + PATIENCE_MS
    const other = next !== undefined && !gap.questions.has(next)
    return gap.asked.at + (other ? ASK_OTHER_MS : ASK_AGAIN_MS)
  }

  #ask(session: SessionId, fromEpoch: U64): void {
    const { room, now } = this.#core
    if (room === undefined) return
    this.#solicited.set(session, { until: now + SOLICITED_MS, left: MAX_SOLICITED })
    this.#core.act({ type: "send", session, message: { t: "room.commits?", roomId: room.roomId, fromEpoch } })
  }
}

function newGap(hint: SessionId, epoch: U64, since: Milliseconds): Gap {
  return { hint, epoch, since, asked: undefined, tries: 0, questions: new Map(), without: new Set() }
}

/** The oldest epoch that rivals can still be settled in. */
function keptFrom(mine: U64): U64 {
  const kept = BigInt(EPOCH_KEEP_COUNT)
  return mine > kept ? mine - kept : 0n
}
