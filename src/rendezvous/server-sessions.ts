/** The sockets of a server and how many of them anybody may have. */
import type { Bytes, Milliseconds, NodeId, PeerKeyId } from "../wire/types.ts"
import type { ServerLimits } from "./limits.ts"
import type { SessionId } from "./registry.ts"
import { FixedWindows } from "./windows.ts"

/** Who proved its key on a socket. */
export interface ProvenPeer {
  entityId: Bytes
  nodeId: NodeId
  keyId: PeerKeyId
}

export interface Session {
  readonly id: SessionId
  /** Groups the sockets of one visitor; see `visitorKey`. */
  readonly visitor: string
  peer: ProvenPeer | undefined
  /** Bytes of routed frames forwarded for it so far (D48). */
  routedBytes: number
  /** Frames it sent that broke a rule. */
  faults: number
}

export class Sessions {
  readonly #limits: ServerLimits
  readonly #all = new Map<SessionId, Session>()
  readonly #perVisitor = new Map<string, number>()
  readonly #frames: FixedWindows
  readonly #bytes: FixedWindows

  constructor(limits: ServerLimits) {
    this.#limits = limits
    this.#frames = new FixedWindows(limits.frames)
    this.#bytes = new FixedWindows(limits.bytes)
  }

  get size(): number {
    return this.#all.size
  }

  get(id: SessionId): Session | undefined {
    return this.#all.get(id)
  }

  ids(): SessionId[] {
    return [...this.#all.keys()]
  }

  /** Takes a new socket in; `false` when the server or the visitor has too many. */
  admit(id: SessionId, visitor: string): boolean {
    const own = this.#perVisitor.get(visitor) ?? 0
    if (this.#all.size >= this.#limits.sessions || own >= this.#limits.sessionsPerAddress) return false
    this.#all.set(id, { id, visitor, peer: undefined, routedBytes: 0, faults: 0 })
    this.#perVisitor.set(visitor, own + 1)
    return true
  }

  /** True while the session keeps to its frames and bytes per time. */
  mayReceive(id: SessionId, bytes: number, now: Milliseconds): boolean {
    const key = String(id)
    return this.#frames.take(key, now) === 0 && this.#bytes.take(key, now, bytes) === 0
  }

  remove(id: SessionId): Session | undefined {
    const session = this.#all.get(id)
    if (session === undefined) return undefined
    this.#all.delete(id)
    this.#frames.forget(String(id))
    this.#bytes.forget(String(id))
    const left = (this.#perVisitor.get(session.visitor) ?? 1) - 1
    if (left === 0) this.#perVisitor.delete(session.visitor)
    else this.#perVisitor.set(session.visitor, left)
    return session
  }
}
