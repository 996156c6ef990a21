/** Which direct links are let go of: those that neither the ring nor a stream needs (RM-20). */
import type { Milliseconds, PeerKeyId } from "../wire/types.ts"
import { earliest, type RoomCore } from "./core.ts"
import type { RoomSession } from "./sessions.ts"

/** A link that nothing needs is kept for so long: streams come and go. */
const IDLE_MS = 30_000
/** So many of them; of more, those that were needed longest ago end sooner. Every newcomer calls the acting committer. */
const MAX_SPARE = 8
const SURPLUS_MS = 3_000
/** The peer made a new one each time: it has reasons that are not known here, so it is let be for longer and longer. */
const LONGEST_MS = 16 * 60_000

export class IdleLinks {
  readonly #core: RoomCore
  /** How often links of a member were ended here since one was needed; bounded by the members. */
  readonly #ended = new Map<PeerKeyId, number>()
  /** What was looked at last, and when the next link ends by that. */
  #last: { plan: number; sessions: number; next: Milliseconds | undefined } | undefined

  constructor(core: RoomCore) {
    this.#core = core
  }

  /**
   * Ends idle links. `needed` says whether a link to that member is wanted by anybody, `plan` changes whenever its answers may. Called with
   * every event; all links are looked at only when something changed or one is due.
   */
  tick(needed: (keyId: PeerKeyId) => boolean, plan: number): void {
    const { now, sessions } = this.#core
    const last = this.#last
    const same = last !== undefined && last.plan === plan && last.sessions === sessions.changes
    if (same && (last.next === undefined || now < last.next)) return
    for (const session of this.#links()) {
      const { keyId } = session.peer
      const is = needed(keyId)
      // It was needed up to this change.
      if (is || session.needed) session.usedAt = now
      session.needed = is
      if (is) this.#ended.delete(keyId)
    }
    let next: Milliseconds | undefined
    for (const { session, endsAt } of this.#idle()) {
      if (now < endsAt) {
        next = earliest(next, endsAt)
        continue
      }
      const { keyId } = session.peer
      session.parted = true
      this.#ended.set(keyId, (this.#ended.get(keyId) ?? 0) + 1)
      this.#core.count("link-idle")
      // Not `leaving`: the member stays, only this link ends.
      this.#core.act({ type: "goaway", session: session.id, code: 0 })
    }
    this.#last = { plan, sessions: sessions.changes, next }
  }

  /** When the next link ends, as of the last {@link IdleLinks.tick}. */
  wake(): Milliseconds | undefined {
    return this.#last?.next
  }

  membersChanged(): void {
    for (const keyId of this.#ended.keys()) if (!this.#core.members.has(keyId)) this.#ended.delete(keyId)
  }

  #links(): RoomSession[] {
    const { sessions, members } = this.#core
    return [...sessions.all()].filter(({ kind, parted, peer }) => kind === "direct" && !parted && members.has(peer.keyId))
  }

  /** Links that nothing needs, and when each of them ends. */
  #idle(): { session: RoomSession; endsAt: Milliseconds }[] {
    const idle = this.#links().filter(({ needed }) => !needed)
    if (idle.length > MAX_SPARE) idle.sort((a, b) => b.usedAt - a.usedAt)
    return idle.map((session, place) => {
      const times = this.#ended.get(session.peer.keyId) ?? 0
      const wait = Math.min(LONGEST_MS, (place < MAX_SPARE ? IDLE_MS : SURPLUS_MS) * 2 ** times)
      return { session, endsAt: session.usedAt + wait }
    })
  }
}
