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
  /** When its peer was last asked for states and settings. */
  syncedAt: Milliseconds | undefined
  /** One end said that it needs this session no more: its end is no loss. */
  parted: boolean
  /** Something last needed it, and whether something did at the last look. */
  usedAt: Milliseconds
  needed: boolean
  /** The class last told to the driver, and since when. */
  peerClass: PeerClass
  classSince: Milliseconds
}

export class SessionTable {
  readonly #byId = new Map<SessionId, RoomSession>()
  /** The sessions of each peer, oldest first: the machine asks for them with every event. */
  readonly #byKey = new Map<PeerKeyId, RoomSession[]>()
  readonly #byNode = new Map<NodeId, RoomSession[]>()
  #changes = 0

  /** Counts the sessions that came and went. */
  get changes(): number {
    return this.#changes
  }

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
      syncedAt: undefined,
      parted: false,
      usedAt: now,
      needed: false,
      peerClass: "stranger",
      classSince: now,
    }
    this.close(id)
    this.#changes++
    this.#byId.set(id, session)
    add(this.#byKey, peer.keyId, session)
    add(this.#byNode, peer.nodeId, session)
    return session
  }

  close(id: SessionId): RoomSession | undefined {
    const session = this.#byId.get(id)
    if (session === undefined) return undefined
    this.#changes++
    this.#byId.delete(id)
    drop(this.#byKey, session.peer.keyId, session)
    drop(this.#byNode, session.peer.nodeId, session)
    return session
  }

  /** The session to use for a peer: direct before routed, then the newest. */
  ofKey(keyId: PeerKeyId): RoomSession | undefined {
    return best(this.#byKey.get(keyId))
  }

  ofNode(nodeId: NodeId): RoomSession | undefined {
    return best(this.#byNode.get(nodeId))
  }
}

function best(sessions: readonly RoomSession[] = []): RoomSession | undefined {
  let best: RoomSession | undefined
  for (const session of sessions) if (best === undefined || session.kind === "direct" || best.kind === "routed") best = session
  return best
}

function add<K>(index: Map<K, RoomSession[]>, key: K, session: RoomSession): void {
  const sessions = index.get(key)
  if (sessions === undefined) index.set(key, [session])
  else sessions.push(session)
}

function drop<K>(index: Map<K, RoomSession[]>, key: K, session: RoomSession): void {
  const left = (index.get(key) ?? []).filter((other) => other !== session)
  if (left.length === 0) index.delete(key)
  else index.set(key, left)
}
