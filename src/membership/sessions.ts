/** The open sessions of a room: who is behind them, what they have proven, and which one is best for a peer. */
import type { Bytes, Milliseconds, NodeId, PeerKeyId } from "../wire/types.ts"
import type { PeerClass, RoomPeer, SessionId } from "./types.ts"

/** Sessions of peers that are not members (room.md 9, limits). */
export const MAX_OUTSIDERS = 256
/** A stranger has this long to prove something. */
export const STRANGER_MS = 15_000

export interface RoomSession {
  readonly id: SessionId
  readonly kind: "direct" | "routed"
  readonly peer: RoomPeer
  readonly bind: Bytes
  readonly openedAt: Milliseconds
  /** What the peer proved with a knock or join of its own. */
  proven: "invite" | "relay" | undefined
  /** The key it proved that with: answers and Welcome use the same, the peer may not know a newer one. */
  provenKey: Bytes | undefined
  /** The peer answered a knock of ours with a right proof of role 2 or 4. */
  isHolder: boolean
  /** When we sent the last knock on it. */
  knockedAt: Milliseconds | undefined
  /** When its peer was last answered with a head: who knocks and does not join may be in another group (RM-11). */
  headSentAt: Milliseconds | undefined
  /** Last `room.join` that came in on it. */
  joinedAt: Milliseconds | undefined
  /** A peer that has a leaf behaves like a newcomer here: its old leaf is dead, and what is heard says nothing about that one. */
  returning: boolean
  /** It said something on this session that only a member says. */
  spoke: boolean
  /** When it last did; a member does every five seconds. */
  spokeAt: Milliseconds
  /** When its peer was last asked for settings that it says it has. */
  settingsAskedAt: Milliseconds | undefined
  /** One end said that it needs this session no more: its end is no loss. */
  parted: boolean
  /** Something last needed it. */
  usedAt: Milliseconds
  /** The class last told to the driver, and since when. */
  peerClass: PeerClass
  classSince: Milliseconds
}

export class SessionTable {
  readonly #byId = new Map<SessionId, RoomSession>()

  get(id: SessionId): RoomSession | undefined {
    return this.#byId.get(id)
  }

  all(): IterableIterator<RoomSession> {
    return this.#byId.values()
  }

  get size(): number {
    return this.#byId.size
  }

  open(id: SessionId, kind: "direct" | "routed", peer: RoomPeer, bind: Bytes, now: Milliseconds): RoomSession {
    const session: RoomSession = {
      id,
      kind,
      peer,
      bind,
      openedAt: now,
      proven: undefined,
      provenKey: undefined,
      isHolder: false,
      knockedAt: undefined,
      headSentAt: undefined,
      joinedAt: undefined,
      returning: false,
      spoke: false,
      spokeAt: now,
      settingsAskedAt: undefined,
      parted: false,
      usedAt: now,
      peerClass: "stranger",
      classSince: now,
    }
    this.#byId.set(id, session)
    return session
  }

  close(id: SessionId): RoomSession | undefined {
    const session = this.#byId.get(id)
    this.#byId.delete(id)
    return session
  }

  /** The session to use for a peer: direct before routed, then the newest. */
  best(matches: (session: RoomSession) => boolean): RoomSession | undefined {
    let best: RoomSession | undefined
    for (const session of this.#byId.values()) {
      if (!matches(session)) continue
      if (best === undefined || session.kind === "direct" || best.kind === "routed") best = session
    }
    return best
  }

  ofKey(keyId: PeerKeyId): RoomSession | undefined {
    return this.best(({ peer }) => peer.keyId === keyId)
  }

  ofNode(nodeId: NodeId): RoomSession | undefined {
    return this.best(({ peer }) => peer.nodeId === nodeId)
  }
}
