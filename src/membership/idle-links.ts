/** Which direct links are let go of: those that neither the ring nor a stream needs (RM-20). */
import type { Milliseconds, PeerKeyId } from "../wire/types.ts"
import { earliest, type RoomCore } from "./core.ts"
import type { RoomSession } from "./sessions.ts"

/** A link that nothing needs is kept for so long: streams come and go. */
const IDLE_MS = 30_000
/** The peer made a new one each time: it has reasons that are not known here, so it is let be for longer and longer. */
const LONGEST_MS = 16 * 60_000

export class IdleLinks {
  readonly #core: RoomCore
  /** How often links of a member were ended here; bounded by the members. */
  readonly #ended = new Map<PeerKeyId, number>()

  constructor(core: RoomCore) {
    this.#core = core
  }

  /** Ends idle links. `needed` says whether a link to that member is wanted by anybody. */
  tick(needed: (keyId: PeerKeyId) => boolean): void {
    const { now } = this.#core
    for (const session of this.#links()) {
      const { keyId } = session.peer
      if (needed(keyId)) session.usedAt = now
      else if (now >= this.#endsAt(session)) {
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
    for (const session of this.#links()) if (!needed(session.peer.keyId)) time = earliest(time, this.#endsAt(session))
    return time
  }

  membersChanged(): void {
    for (const keyId of this.#ended.keys()) if (!this.#core.members.has(keyId)) this.#ended.delete(keyId)
  }

  #links(): RoomSession[] {
    const { sessions, members } = this.#core
    return [...sessions.all()].filter(({ kind, parted, peer }) => kind === "direct" && !parted && members.has(peer.keyId))
  }

  #endsAt({ usedAt, peer }: RoomSession): Milliseconds {
    return usedAt + Math.min(LONGEST_MS, IDLE_MS * 2 ** (this.#ended.get(peer.keyId) ?? 0))
  }
}
