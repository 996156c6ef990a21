/** The sockets of a server and how many of them anybody may have. */
import type { AddressBlock } from "../wire/address.ts"
import type { Bytes, Milliseconds, NodeId, PeerKeyId } from "../wire/types.ts"
import { networkKey } from "./evidence.ts"
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
  /** Room it registered in last. */
  namespace?: string
  /** An address beside that of the socket that STUN saw it at, with port 0, and until when it is attested. */
  extra?: { address: AddressBlock; until: Milliseconds }
  /** The address of its socket was attested to it. */
  attested: boolean
}

export class Sessions {
  readonly #limits: ServerLimits
  readonly #all = new Map<SessionId, Session>()
  readonly #perVisitor = new Map<string, number>()
  /** How many sessions of a visitor have had its address attested. */
  readonly #attested = new Map<string, number>()
  /** By network: the session that was attested there beside its socket, the newest one. */
  readonly #extras = new Map<string, { session: SessionId; until: Milliseconds }>()
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
    this.#all.set(id, { id, visitor, peer: undefined, routedBytes: 0, faults: 0, attested: false })
    this.#perVisitor.set(visitor, own + 1)
    return true
  }

  /** The address of the session's socket was attested to it. */
  attested(id: SessionId): void {
    const session = this.#all.get(id)
    if (session === undefined || session.attested) return
    session.attested = true
    this.#attested.set(session.visitor, (this.#attested.get(session.visitor) ?? 0) + 1)
  }

  /** The session was seen at another address too, which is attested from now on. */
  attestedToo(session: Session, address: AddressBlock, until: Milliseconds): void {
    this.#forgetExtra(session)
    session.extra = { address, until }
    this.#extras.set(networkKey(address), { session: session.id, until })
  }

  /** Somebody is connected now who is attested at this address, or in this /64. */
  isAttested(address: AddressBlock, now: Milliseconds): boolean {
    const key = networkKey(address)
    return this.#attested.has(key) || now < (this.#extras.get(key)?.until ?? 0)
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
    countDown(this.#perVisitor, session.visitor)
    if (session.attested) countDown(this.#attested, session.visitor)
    this.#forgetExtra(session)
    return session
  }

  #forgetExtra({ id, extra }: Session): void {
    const key = extra && networkKey(extra.address)
    if (key !== undefined && this.#extras.get(key)?.session === id) this.#extras.delete(key)
  }
}

function countDown(counts: Map<string, number>, key: string): void {
  const left = (counts.get(key) ?? 1) - 1
  if (left === 0) counts.delete(key)
  else counts.set(key, left)
}
