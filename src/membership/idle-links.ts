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

  constructor(core: RoomCore) {
    this.#core = core
  }

  /** Ends idle links. `needed` says whether a link to that member is wanted by anybody. */
  tick(needed: (keyId: PeerKeyId) => boolean): void {
    const { now } = this.#core
    for (const session of this.#links()) {
      const { keyId } = session.peer
      if (!needed(keyId)) continue
      session.usedAt = now
      this.#ended.delete(keyId)
    }
    for (const { session, endsAt } of this.#idle(needed)) {
      if (now >= endsAt) {
        const { keyId } = session.peer
        session.parted = true
        this.#ended.set(keyId, (this.#ended.get(keyId) ?? 0) + 1)
        this.#core.count("link-idle")
        // Not `leaving`: the member stays, only this link ends.
        this.#core.act({ type: "goaway", session: session.id, code: 0 })
      }
    }
  }

  wake(needed: (keyId: PeerKeyId) => boolean): Milliseconds | undefined {
    let time: Milliseconds | undefined
    for (const { endsAt } of this.#idle(needed)) time = earliest(time, endsAt)
    return time
  }

  membersChanged(): void {
    for (const keyId of this.#ended.keys()) if (!this.#core.members.has(keyId)) this.#ended.delete(keyId)
  }

  #links(): RoomSession[] {
    const { sessions, members } = this.#core
    return [...sessions.all()].filter(({ kind, parted, peer }) => kind === "direct" && !parted && members.has(peer.keyId))
  }

  /** Links that nothing needs, and when each of them ends. */
  #idle(needed: (keyId: PeerKeyId) => boolean): { session: RoomSession; endsAt: Milliseconds }[] {
    const idle = this.#links().filter(({ peer }) => !needed(peer.keyId))
    if (idle.length > MAX_SPARE) idle.sort((a, b) => b.usedAt - a.usedAt)
    return idle.map((session, place) => {
      const times = this.#ended.get(session.peer.keyId) ?? 0
      const wait = Math.min(LONGEST_MS, (place < MAX_SPARE ? IDLE_MS : SURPLUS_MS) * 2 ** times)
      return { session, endsAt: session.usedAt + wait }
    })
  }
}
