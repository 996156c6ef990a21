/** Tells the application who is in the room: each coming and going once, whatever the group went through in between. */
import type { PeerKeyId } from "../wire/types.ts"
import type { RoomCore } from "./core.ts"
import type { Leaves } from "./leaves.ts"
import type { Presence } from "./presence.ts"
import type { StateBook } from "./state-book.ts"

export class Roll {
  readonly #core: RoomCore
  readonly #presence: Presence
  readonly #leaves: Leaves
  readonly #states: StateBook
  #shown = new Set<PeerKeyId>()

  constructor(core: RoomCore, presence: Presence, leaves: Leaves, states: StateBook) {
    this.#core = core
    this.#presence = presence
    this.#leaves = leaves
    this.#states = states
  }

  /** Tells the application who came and went, compared with what it was told before. */
  update(reasons: ReadonlyMap<PeerKeyId, "left" | "gone" | "removed">): void {
    const core = this.#core
    for (const keyId of this.#shown) {
      if (core.members.has(keyId)) continue
      this.#shown.delete(keyId)
      core.emit({ type: "memberLeft", keyId, reason: reasons.get(keyId) ?? "gone" })
    }
    for (const keyId of core.members.keys()) if (keyId !== core.me) this.show(keyId)
  }

  /** Shows a member that is not shown; one that said goodbye stays hidden. True when it appeared. */
  show(keyId: PeerKeyId): boolean {
    if (this.#shown.has(keyId) || this.#presence.saidGoodbye(keyId)) return false
    this.#shown.add(keyId)
    this.#core.emit({ type: "memberJoined", keyId, nodeId: this.#leaves.nodeOf(keyId) })
    const connection = this.#core.sessions.ofKey(keyId) === undefined ? "connecting" : "connected"
    this.#core.emit({ type: "connection", keyId, connection })
    // After a goodbye that was none, its state is known already and would not be told again.
    const known = this.#states.get(keyId)
    if (known !== undefined) this.#core.emit({ type: "state", keyId, state: known.state })
    return true
  }

  /** Reported lost; one that said goodbye disappears at once (RM-15). */
  lost(keyId: PeerKeyId, left: boolean): void {
    this.#core.emit({ type: "connection", keyId, connection: "lost" })
    if (left && this.#shown.delete(keyId)) this.#core.emit({ type: "memberLeft", keyId, reason: "left" })
  }
}
