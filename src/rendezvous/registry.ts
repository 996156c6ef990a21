/** Who is registered in which room, and which changes the others have not been told yet (control-plane 6.2, D43). */
import type { Milliseconds, NodeId } from "../wire/types.ts"
import { ROSTER_LIMIT, type ServerLimits } from "./limits.ts"

/** Identifies one socket of a server for as long as the process lives. */
export type SessionId = number

interface Registration {
  session: SessionId | undefined
  /** Set while the socket is gone: when the registration ends. */
  endsAt: Milliseconds
}

interface Room {
  /** In order of registration, so that the latest are at the end. */
  nodes: Map<NodeId, Registration>
  joined: Set<NodeId>
  left: Set<NodeId>
  /** When the collected changes are told; undefined while there are none. */
  tellAt: Milliseconds | undefined
}

/** Changes of one room that are due. */
export interface Delta {
  namespace: string
  joined: NodeId[]
  left: NodeId[]
}

const NAMESPACE = /^[a-z0-9][a-z0-9._-]{0,63}$/

/** A room name in the sense of RM-1; the server serves no other namespaces. */
export function isRoomName(text: string): boolean {
  return NAMESPACE.test(text)
}

export class Registry {
  readonly #limits: ServerLimits
  readonly #rooms = new Map<string, Room>()
  readonly #namespacesOf = new Map<NodeId, Set<string>>()

  constructor(limits: ServerLimits) {
    this.#limits = limits
  }

  get rooms(): number {
    return this.#rooms.size
  }

  /** Adds or renews a registration; the text names the bound that forbids it. A node that lingers comes back unnoticed. */
  register(
    namespace: string,
    node: NodeId,
    session: SessionId,
    now: Milliseconds,
  ): "ok" | "bad-namespace" | "room-full" | "limit" {
    if (!isRoomName(namespace)) return "bad-namespace"
    const room = this.#rooms.get(namespace)
    const old = room?.nodes.get(node)
    if (room !== undefined && old !== undefined) {
      room.nodes.delete(node)
      room.nodes.set(node, { session, endsAt: 0 })
      return "ok"
    }
    const own = this.#namespacesOf.get(node)
    if (own !== undefined && own.size >= this.#limits.roomsPerSession) return "limit"
    if (room === undefined && this.#rooms.size >= this.#limits.rooms) return "limit"
    if (room !== undefined && room.nodes.size >= this.#limits.peersPerRoom) return "room-full"
    const target = room ?? { nodes: new Map(), joined: new Set(), left: new Set(), tellAt: undefined }
    this.#rooms.set(namespace, target)
    target.nodes.set(node, { session, endsAt: 0 })
    if (own === undefined) this.#namespacesOf.set(node, new Set([namespace]))
    else own.add(namespace)
    // A leave that nobody heard of and a join cancel out only for those who still list the node: tell the join again.
    target.left.delete(node)
    target.joined.add(node)
    target.tellAt ??= now + this.#limits.deltaMs
    return "ok"
  }

  unregister(namespace: string, node: NodeId, now: Milliseconds): void {
    const room = this.#rooms.get(namespace)
    if (room?.nodes.delete(node) !== true) return
    const own = this.#namespacesOf.get(node)
    own?.delete(namespace)
    if (own?.size === 0) this.#namespacesOf.delete(node)
    if (room.nodes.size === 0) {
      this.#rooms.delete(namespace)
      return
    }
    room.joined.delete(node)
    room.left.add(node)
    room.tellAt ??= now + this.#limits.deltaMs
  }

  /** The node says that it goes: no lingering. */
  unregisterAll(node: NodeId, session: SessionId, now: Milliseconds): void {
    for (const namespace of [...(this.#namespacesOf.get(node) ?? [])]) {
      if (this.#rooms.get(namespace)?.nodes.get(node)?.session === session) this.unregister(namespace, node, now)
    }
  }

  /** The socket is gone; its registrations end after the linger time unless the node comes back. */
  socketLost(node: NodeId, session: SessionId, now: Milliseconds): void {
    for (const namespace of this.#namespacesOf.get(node) ?? []) {
      const registration = this.#rooms.get(namespace)?.nodes.get(node)
      if (registration?.session !== session) continue
      registration.session = undefined
      registration.endsAt = now + this.#limits.lingerMs
    }
  }

  /** The session that holds a registration of the node, in any room. */
  isRegistered(node: NodeId, session: SessionId): boolean {
    for (const namespace of this.#namespacesOf.get(node) ?? []) {
      if (this.#rooms.get(namespace)?.nodes.get(node)?.session === session) return true
    }
    return false
  }

  namespacesOf(node: NodeId): string[] {
    return [...(this.#namespacesOf.get(node) ?? [])]
  }

  share(a: NodeId, b: NodeId): boolean {
    const ofB = this.#namespacesOf.get(b)
    if (ofB === undefined) return false
    for (const namespace of this.#namespacesOf.get(a) ?? []) if (ofB.has(namespace)) return true
    return false
  }

  /** Latest first, without `self`, at most 256; `registered` counts everybody, `self` included. */
  roster(namespace: string, self: NodeId): { nodes: NodeId[]; registered: number } {
    const all = [...(this.#rooms.get(namespace)?.nodes.keys() ?? [])]
    const nodes = all.filter((node) => node !== self)
    return { nodes: nodes.reverse().slice(0, ROSTER_LIMIT), registered: all.length }
  }

  /** Sockets registered in the room. */
  sessionsIn(namespace: string): { node: NodeId; session: SessionId }[] {
    const found: { node: NodeId; session: SessionId }[] = []
    for (const [node, { session }] of this.#rooms.get(namespace)?.nodes ?? []) {
      if (session !== undefined) found.push({ node, session })
    }
    return found
  }

  /** Ends what has lingered long enough and hands out the changes that are due. */
  due(now: Milliseconds): Delta[] {
    for (const [namespace, room] of [...this.#rooms]) {
      for (const [node, registration] of [...room.nodes]) {
        if (registration.session === undefined && now >= registration.endsAt) this.unregister(namespace, node, now)
      }
    }
    const deltas: Delta[] = []
    for (const [namespace, room] of this.#rooms) {
      if (room.tellAt === undefined || now < room.tellAt) continue
      deltas.push({ namespace, joined: [...room.joined], left: [...room.left] })
      room.joined.clear()
      room.left.clear()
      room.tellAt = undefined
    }
    return deltas
  }
}
