/**
 * The rendezvous server without its sockets: proven sessions and their frames come in, frames to send come out
 * (control-plane 6.2, 6.7). Session proof, PING and reassembly lie below it in `socket-session.ts`.
 */
import type { AddressBlock } from "../wire/address.ts"
import { FRAME_GOAWAY, FRAME_JSON, FRAME_RENDEZVOUS, FRAME_ROUTED, FRAME_ROUTED_HELLO } from "../wire/control-frame.ts"
import { isAvError } from "../wire/errors.ts"
import { decodeGoaway } from "../wire/goaway.ts"
import { decodeRendezvousMessage, encodeRendezvousMessage, type RendezvousMessage } from "../wire/rendezvous-message.ts"
import type { Bytes, Milliseconds, NodeId } from "../wire/types.ts"
import { Coordinator, type Forward } from "./coordinator.ts"
import { attestationFits, readDescription } from "./evidence.ts"
import { deltaPages, forwardToMessage, introductionOf, rejectMessage } from "./messages.ts"
import { addressOfVisitor, namesOnlyOthers } from "./named-addresses.ts"
import type { StunObservers } from "./nat/stun-observers.ts"
import { type Delta, Registry, type SessionId } from "./registry.ts"
import { DirectoryDesk, type ShelfTicket } from "./server-directory.ts"
import { IceDesk } from "./server-ice.ts"
import { ReflexDesk } from "./server-reflex.ts"
import { Routing } from "./server-routing.ts"
import { type ProvenPeer, type Session, Sessions } from "./server-sessions.ts"
import type { ServerAction, ServerMachineOptions, ServerStats } from "./server-types.ts"
import type { RejectReason, RendezvousDrops } from "./types.ts"
import { FixedWindows } from "./windows.ts"

export type * from "./server-types.ts"

/** A session whose frames are wrong this often is not confused, it is probing. */
const MAX_FAULTS = 32
/** The id of no socket. */
const NO_SESSION: SessionId = -1

/**
 * Feed it events, carry out the actions it returns, in order. `now` is Unix milliseconds. It never throws on what the network
 * says, and every map in it is bounded by its limits.
 */
export class ServerMachine {
  readonly #sessions: Sessions
  readonly #registry: Registry
  readonly #coordinator: Coordinator
  readonly #routing: Routing
  readonly #desk: DirectoryDesk
  readonly #registers: FixedWindows
  /** The socket on which a node is registered; it may be in several rooms. */
  readonly #byNode = new Map<NodeId, SessionId>()
  readonly #ice: IceDesk
  readonly #reflex: ReflexDesk
  readonly #observers: StunObservers | undefined
  readonly #drops: RendezvousDrops = {}
  #routedBytes = 0

  constructor(options: ServerMachineOptions) {
    const { limits, observers, allowObservedMismatch = false } = options
    this.#observers = observers
    this.#ice = new IceDesk(options.iceFor)
    this.#sessions = new Sessions(limits)
    const drop = (why: string) => this.#drop(why)
    this.#reflex = new ReflexDesk({ observers, sessions: this.#sessions, allowObservedMismatch, drop })
    this.#registry = new Registry(limits)
    this.#desk = new DirectoryDesk(limits, (why) => this.#drop(why))
    this.#registers = new FixedWindows(limits.register)
    const mayMeet = (a: NodeId, b: NodeId) => this.#registry.share(a, b)
    const hasSession = (node: NodeId) => this.#byNode.has(node)
    this.#coordinator = new Coordinator(
      {
        hasSession,
        mayMeet,
        read: readDescription,
        attestationFits,
        namesOnlyOthers: (description, requester, target) =>
          namesOnlyOthers(description, this.#seenAt(requester), this.#seenAt(target)),
      },
      limits.coordinator,
    )
    this.#routing = new Routing(limits, (a, b) => hasSession(b) && mayMeet(a, b))
  }

  /** A socket wants in; `false` means that it must be refused (too many in all, or of this visitor). */
  admit(session: SessionId, visitor: string): boolean {
    const admitted = this.#sessions.admit(session, visitor)
    if (!admitted) this.#drop("session-limit")
    return admitted
  }

  /** Raw bytes came, before anything looks at them: the place where floods end. */
  received(session: SessionId, bytes: number, now: Milliseconds): ServerAction[] {
    if (this.#sessions.mayReceive(session, bytes, now)) return []
    this.#drop("flood")
    return [{ type: "close", session, reason: "limit", text: "too much" }]
  }

  /** The session proof of the socket is complete. */
  proven(session: SessionId, peer: ProvenPeer): void {
    const known = this.#sessions.get(session)
    if (known !== undefined) known.peer = peer
  }

  /** A whole message of a proven session; HELLO, PING and PONG never come here. */
  message(id: SessionId, frameType: number, payload: Bytes, now: Milliseconds): ServerAction[] {
    const session = this.#sessions.get(id)
    if (session?.peer === undefined) return []
    const { peer } = session
    switch (frameType) {
      case FRAME_RENDEZVOUS:
        return this.#rendezvous(session, peer, payload, now)
      case FRAME_ROUTED:
      case FRAME_ROUTED_HELLO:
        return this.#routed(session, peer, frameType, payload, now)
      case FRAME_JSON:
        return this.#desk.message(id, peer, payload, now)
      case FRAME_GOAWAY:
        return this.#goaway(session, peer, payload, now)
      default:
        this.#drop("frame-type")
        return []
    }
  }

  /** The answer to an `attest` action; without bytes the address could not be attested and the registration is refused. */
  attested(id: SessionId, namespace: string, attestation: Bytes | undefined, now: Milliseconds): ServerAction[] {
    const peer = this.#sessions.get(id)?.peer
    // A newer socket of the same entity may have taken the registration while the signature was made.
    if (peer === undefined || this.#byNode.get(peer.nodeId) !== id) return []
    if (attestation === undefined) {
      this.#registry.unregister(namespace, peer.nodeId, now)
      return [this.#reject(id, undefined, 0n, "unspecified", 0)]
    }
    this.#sessions.attested(id)
    const { nodes, registered } = this.#registry.roster(namespace, peer.nodeId)
    return [
      this.#send(id, { kind: "attest", attestation }),
      this.#send(id, { kind: "roster", namespace, nodes, registered }),
      ...this.#iceServers(id, peer, now),
    ]
  }

  /** The signature of a `verify` action was checked. */
  verified(ticket: ShelfTicket, right: boolean, now: Milliseconds): ServerAction[] {
    return this.#desk.verified(ticket, right, now)
  }

  closed(id: SessionId, now: Milliseconds): void {
    const session = this.#sessions.remove(id)
    if (session === undefined) return
    this.#ice.forget(id)
    this.#routing.forget(session)
    const node = session.peer?.nodeId
    if (node === undefined) return
    if (this.#byNode.get(node) === id) this.#byNode.delete(node)
    this.#registry.socketLost(node, id, now)
  }

  /** Call four times a second: tells changes of rooms, ends lingering registrations, renews ICE servers. */
  tick(now: Milliseconds): ServerAction[] {
    const actions: ServerAction[] = []
    for (const delta of this.#registry.due(now)) actions.push(...this.#tell(delta))
    for (const id of this.#ice.due(now)) {
      const peer = this.#sessions.get(id)?.peer
      if (peer !== undefined) actions.push(...this.#iceServers(id, peer, now))
    }
    return actions
  }

  /** GOAWAY `draining` for everybody; the driver closes the sockets. */
  drain(): ServerAction[] {
    return this.#sessions.ids().map((session) => ({ type: "close", session, reason: "draining", text: "restarting" }))
  }

  /** Somebody is connected who is attested at this address. */
  isAttested(address: AddressBlock, now: Milliseconds): boolean {
    return this.#sessions.isAttested(address, now)
  }

  stats(): ServerStats {
    return {
      sessions: this.#sessions.size,
      registered: this.#byNode.size,
      rooms: this.#registry.rooms,
      attempts: this.#coordinator.openAttempts,
      ...this.#desk.stats(),
      routedBytes: this.#routedBytes,
      stunAnswers: this.#observers?.counts.answered ?? 0,
      dialBacks: this.#observers?.counts.dialBacks ?? 0,
      drops: { ...this.#drops, ...this.#observers?.drops },
    }
  }

  #rendezvous(session: Session, peer: ProvenPeer, payload: Bytes, now: Milliseconds): ServerAction[] {
    let message: RendezvousMessage
    try {
      message = decodeRendezvousMessage(payload)
    } catch (error) {
      if (!isAvError(error)) throw error
      return this.#fault(session, "rendezvous-malformed")
    }
    switch (message.kind) {
      case "register":
        return this.#register(session, peer, message.namespace, now)
      case "unregister":
        if (this.#byNode.get(peer.nodeId) === session.id) this.#registry.unregister(message.namespace, peer.nodeId, now)
        return []
      case "reflex-query":
        return this.#reflexQuery(session, peer, message, now)
      case "connect":
        if (this.#byNode.get(peer.nodeId) !== session.id) {
          const attemptId = readDescription(message.description)?.attemptId ?? 0n
          return [this.#reject(session.id, message.targetNode, attemptId, "policy", 0)]
        }
        return this.#forward(this.#coordinator.connect(peer.nodeId, message.targetNode, introductionOf(message), now))
      case "answer":
        return this.#forward(this.#coordinator.answer(peer.nodeId, message.toNode, introductionOf(message), now))
      case "candidates":
        return this.#forward(this.#coordinator.candidates(peer.nodeId, message.toNode, message.description, now))
      case "reject":
        return this.#forward(this.#coordinator.refuse(peer.nodeId, message.attemptId, message.reason, message.retryAfterMs, now))
      default:
        return this.#fault(session, "rendezvous-direction")
    }
  }

  #register(session: Session, peer: ProvenPeer, namespace: string, now: Milliseconds): ServerAction[] {
    const refuse = (reason: RejectReason, retryAfterMs: Milliseconds = 0) => {
      this.#drop(`register-${reason}`)
      return [this.#reject(session.id, undefined, 0n, reason, retryAfterMs)]
    }
    const wait = this.#registers.take(peer.nodeId, now)
    if (wait > 0) return refuse("rate-limited", wait)
    const outcome = this.#registry.register(namespace, peer.nodeId, session.id, now)
    if (outcome !== "ok") return refuse(outcome)
    const actions: ServerAction[] = []
    const older = this.#byNode.get(peer.nodeId)
    this.#byNode.set(peer.nodeId, session.id)
    if (older !== undefined && older !== session.id) {
      actions.push({ type: "close", session: older, reason: "identity", text: "registered again elsewhere" })
    }
    session.namespace = namespace
    actions.push(this.#attest(session, namespace, peer, now))
    return actions
  }

  #reflexQuery(
    session: Session,
    peer: ProvenPeer,
    message: Extract<RendezvousMessage, { kind: "reflex-query" }>,
    now: Milliseconds,
  ): ServerAction[] {
    const { answer, attest } = this.#reflex.query(session, peer, message, now)
    const actions = [this.#send(session.id, answer)]
    const { namespace } = session
    const registered = this.#byNode.get(peer.nodeId) === session.id
    if (attest && registered && namespace !== undefined) actions.push(this.#attest(session, namespace, peer, now))
    return actions
  }

  #attest(session: Session, namespace: string, { entityId: subject }: ProvenPeer, now: Milliseconds): ServerAction {
    return { type: "attest", session: session.id, namespace, subject, extra: this.#reflex.extraOf(session, now) }
  }

  /** Where the server saw a registered node: its socket's address, and what is attested beside it. */
  #seenAt(node: NodeId): AddressBlock[] {
    const session = this.#sessions.get(this.#byNode.get(node) ?? NO_SESSION)
    const address = session && addressOfVisitor(session.visitor)
    if (session === undefined || address === undefined) return []
    return session.extra === undefined ? [address] : [address, session.extra.address]
  }

  #forward(forward: Forward): ServerAction[] {
    if (forward.kind === "drop") {
      this.#drop(`introduction-${forward.why}`)
      return []
    }
    if (forward.kind === "reject") this.#drop(`connect-${forward.reason}`)
    const session = this.#byNode.get(forward.to)
    return session === undefined ? [] : [this.#send(session, forwardToMessage(forward))]
  }

  #routed(session: Session, peer: ProvenPeer, frameType: number, payload: Bytes, now: Milliseconds): ServerAction[] {
    if (this.#byNode.get(peer.nodeId) !== session.id) return this.#fault(session, "routed-unregistered")
    const result = this.#routing.route(session, peer.nodeId, frameType, payload, now)
    // A neighbour that has just left and a burst above the budget happen to everybody; only forged frames are held against a session.
    if (result.kind === "drop" && (result.why === "routed-target" || result.why === "routed-budget")) {
      this.#drop(result.why)
      return []
    }
    if (result.kind === "drop") return this.#fault(session, result.why)
    if (result.kind === "reject") {
      this.#drop(`routed-${result.reason}`)
      return [this.#reject(session.id, result.target, 0n, result.reason, result.retryAfterMs)]
    }
    const target = this.#byNode.get(result.to)
    if (target === undefined) return []
    this.#routedBytes += payload.length
    return [{ type: "send", session: target, frameType, payload: result.payload }]
  }

  #goaway(session: Session, peer: ProvenPeer, payload: Bytes, now: Milliseconds): ServerAction[] {
    try {
      if (decodeGoaway(payload).reason === "leaving") this.#registry.unregisterAll(peer.nodeId, session.id, now)
    } catch (error) {
      if (!isAvError(error)) throw error
    }
    return [{ type: "close", session: session.id, reason: "leaving", text: "" }]
  }

  #iceServers(id: SessionId, peer: ProvenPeer, now: Milliseconds): ServerAction[] {
    const message = this.#ice.message(id, peer, now)
    return message === undefined ? [] : [this.#send(id, message)]
  }

  /**
   * A change for everybody in the room, encoded once: in a rush of joins it goes to hundreds. Who just joined finds its own id
   * in it and knows better.
   */
  #tell({ namespace, joined, left }: Delta): ServerAction[] {
    const pages = deltaPages(namespace, joined, left)
    const onlyNews = joined.length === 1 && left.length === 0 ? joined[0] : undefined
    return this.#registry.sessionsIn(namespace).flatMap(({ node, session }) => {
      if (node === onlyNews) return []
      return pages.map((payload): ServerAction => ({ type: "send", session, frameType: FRAME_RENDEZVOUS, payload }))
    })
  }

  #reject(
    session: SessionId,
    target: NodeId | undefined,
    attemptId: bigint,
    reason: RejectReason,
    retryAfterMs: Milliseconds,
  ): ServerAction {
    return this.#send(session, rejectMessage({ target, attemptId, reason, retryAfterMs }))
  }

  #send(session: SessionId, message: RendezvousMessage): ServerAction {
    return { type: "send", session, frameType: FRAME_RENDEZVOUS, payload: encodeRendezvousMessage(message) }
  }

  /** Counts a frame that broke a rule; too many of them end the session. */
  #fault(session: Session, why: string): ServerAction[] {
    this.#drop(why)
    session.faults++
    if (session.faults < MAX_FAULTS) return []
    return [{ type: "close", session: session.id, reason: "protocol", text: "too many faults" }]
  }

  #drop(why: string): void {
    this.#drops[why] = (this.#drops[why] ?? 0) + 1
  }
}
