/** Everybody this page is connected to: direct links, routed sessions, frames passed on; hands their events to the room. */
import {
  type ControlSession,
  createRoutedHub,
  forwardRouted,
  GOAWAY,
  type LinkTransportStats,
  type PeerLink,
  type RoutedHub,
  routedAddress,
} from "../link/index.ts"
import { FixedWindows, type IntroducerAction, IntroducerMachine, type Rejection } from "../rendezvous/index.ts"
import { AvError } from "../wire/errors.ts"
import { FRAME_RENDEZVOUS, FRAME_ROUTED, FRAME_ROUTED_HELLO } from "../wire/frame.ts"
import type { Bytes, NodeId } from "../wire/types.ts"
import { monotonicNow } from "./clock.ts"
import { asDropped, HubLinks } from "./hub-links.ts"
import type { PeerHubOptions } from "./hub-types.ts"
import { memberSignal, ownSignal, type Signal, serverSignal, trySend } from "./signalling.ts"

export type { PeerHubOptions } from "./hub-types.ts"

/** A routed session beside a direct one with the same peer ends after this time, ms. */
const ROUTED_LINGER_MS = 10_000
/** Routed frames that are passed on for one neighbour, as the server does it (D48): bytes in each time, ms. */
const ROUTED_BUDGET = [256 * 1024, 10_000] as const

export class PeerHub {
  readonly #options: PeerHubOptions
  readonly #server: Signal
  readonly #routed: RoutedHub
  readonly #introducer: IntroducerMachine
  readonly #links: HubLinks
  readonly #routedBudget = new FixedWindows(ROUTED_BUDGET)
  readonly #sessions = new Map<string, ControlSession>()
  /** Of routed sessions that a direct one replaces. */
  readonly #lingering = new Set<ReturnType<typeof setTimeout>>()

  constructor(options: PeerHubOptions) {
    this.#options = options
    this.#server = serverSignal(options.rendezvous)
    this.#routed = createRoutedHub({ signer: options.signer, pins: options.pins, wallClock: () => options.wallClock() })
    this.#routed.on("session", ({ session }) => this.#adopt(session))
    this.#routed.on("failed", ({ peerNode }) => options.events.routedFailed(peerNode))
    this.#routed.on("dropped", ({ error }) => options.events.dropped(error))
    this.#introducer = new IntroducerMachine({
      self: options.signer.nodeId,
      hasSession: (node) => this.directSession(node) !== undefined,
    })
    const { rendezvous } = options
    this.#links = new HubLinks(options, {
      ways: (node) => this.#waysTo(node),
      directSession: (node) => this.directSession(node),
      introducerOf: (signal) => this.#introducerOf(signal),
      adopt: (session) => this.#adopt(session),
    })
    options.evidence.onRefused = (reason) => options.events.dropped(new AvError("CandidateRefused", { reason }))
    rendezvous.on("introduce", (introduction) => this.#links.introduced({ ...introduction, byMember: false }, this.#server))
    rendezvous.on("answer", (answer) => this.#links.answered({ ...answer, byMember: false }))
    rendezvous.on("candidates", ({ description }) => this.#links.candidates(description))
    rendezvous.on("reject", ({ target, attemptId, reason }) => {
      if (target === undefined) return
      // Attempt 0 answers a routed frame: the node behind that session is gone.
      if (attemptId !== 0n) this.#links.rejected(target, attemptId, "server", reason)
      else if (reason === "no-session-with-target") this.#endRouted(target)
    })
    rendezvous.on("routed", ({ payload }) => this.#routed.receive(FRAME_ROUTED, payload, this.#server.routed))
    rendezvous.on("routedHello", ({ payload }) => this.#routed.receive(FRAME_ROUTED_HELLO, payload, this.#server.routed))
  }

  /** Makes a direct link unless there is one or one is being made. `via`: the server, or a session with a common neighbour. */
  connect(node: NodeId, via: "server" | string): void {
    this.#links.connect(node, this.#signal(via, node))
  }

  /** Gives a ready link new addresses. False when the peer cannot be told at the moment. */
  restart(link: PeerLink): boolean {
    return this.#links.restart(link)
  }

  /** Opens a routed session with a node through the server or a session. */
  openRouted(node: NodeId, via: "server" | string): void {
    const signal = this.#signal(via)
    if (signal === undefined) queueMicrotask(() => this.#options.events.routedFailed(node))
    else this.#routed.open(node, signal.routed)
  }

  session(id: string): ControlSession | undefined {
    return this.#sessions.get(id)
  }

  get sessions(): readonly ControlSession[] {
    return [...this.#sessions.values()]
  }

  /** The newest direct session with a node: after a reload an older one may not have noticed yet that its page is gone. */
  directSession(node: NodeId): ControlSession | undefined {
    let newest: ControlSession | undefined
    for (const session of this.#sessions.values()) {
      if (session.kind === "direct" && session.peer.nodeId === node && !session.closed) newest = session
    }
    return newest
  }

  /** Every link that is up. */
  get readyLinks(): readonly PeerLink[] {
    return this.#links.links.filter(({ session }) => session !== undefined)
  }

  /** The link under a direct session. */
  link(session: string): PeerLink | undefined {
    return this.#links.link(session)
  }

  /** Transport figures of every ready link. */
  async transportStats(): Promise<{ session: ControlSession; stats: LinkTransportStats }[]> {
    const entries = this.#links.links.flatMap((link) => (link.session === undefined ? [] : [{ link, session: link.session }]))
    return Promise.all(entries.map(async ({ link, session }) => ({ session, stats: await link.stats() })))
  }

  /** Ends everything. With `code` each peer hears why. */
  close(code: number = GOAWAY.unspecified): void {
    this.#links.stop()
    for (const timer of this.#lingering) clearTimeout(timer)
    this.#lingering.clear()
    for (const session of this.sessions) session.close(code)
    for (const link of this.#links.links) link.close(code)
    this.#routed.close()
  }

  /** `target`: who is to be called; on a routed session with that very node nobody is between. */
  #signal(via: "server" | string, target?: NodeId): Signal | undefined {
    if (via === "server") return this.#server
    const session = this.#sessions.get(via)
    if (session === undefined) return undefined
    if (session.peer.nodeId !== target) return this.#memberSignal(session)
    return ownSignal(session, this.#options.signer.nodeId, this.#attestation)
  }

  #memberSignal(session: ControlSession): Signal {
    return memberSignal(session, this.#attestation)
  }

  readonly #attestation = (): Bytes | undefined => this.#options.rendezvous.attestation

  /** Ways to a node beside its own link: the server, and members that are linked to both. */
  #waysTo(node: NodeId): Signal[] {
    const members = this.sessions.filter(({ kind, peer, closed }) => kind === "direct" && !closed && peer.nodeId !== node)
    return [
      ...(this.#options.rendezvous.state === "registered" ? [this.#server] : []),
      ...members.map((session) => this.#memberSignal(session)),
    ]
  }

  #adopt(session: ControlSession): void {
    const { events } = this.#options
    this.#sessions.set(session.id, session)
    session.on("message", (message) => events.message(session, message))
    session.on("heard", () => events.heard(session))
    session.on("goaway", ({ code }) => events.goaway(session, code))
    session.on("dropped", ({ error }) => events.dropped(error))
    session.on("frame", ({ type, payload }) => this.#frame(session, type, payload))
    session.on("binary", ({ name, bytes }) => events.binary?.(session, name, bytes))
    session.on("closed", ({ reason }) => {
      if (!this.#sessions.delete(session.id)) return
      events.sessionClosed(session, reason)
    })
    events.sessionOpen(session)
    // What was asked on the routed session is answered there, so it gets a little time before the direct one replaces it.
    if (session.kind === "direct") this.#endRoutedLater(session.peer.nodeId)
  }

  #endRoutedLater(node: NodeId): void {
    const timer = setTimeout(() => {
      this.#lingering.delete(timer)
      this.#endRouted(node)
    }, ROUTED_LINGER_MS)
    this.#lingering.add(timer)
  }

  #endRouted(node: NodeId): void {
    for (const session of this.sessions) {
      // Not `leaving`: the member stays, only this way to it ends.
      if (session.kind === "routed" && session.peer.nodeId === node) session.close(GOAWAY.unspecified)
    }
  }

  #introducerOf(signal: Signal): "server" | NodeId {
    return this.#sessions.get(signal.way)?.peer.nodeId ?? "server"
  }

  #frame(session: ControlSession, type: number, payload: Bytes): void {
    if (type === FRAME_RENDEZVOUS) {
      if (!this.#options.accepts(session.id, "RENDEZVOUS")) return
      for (const action of this.#introducer.receive(session.peer.nodeId, payload, this.#options.wallClock()))
        this.#introduce(action, session)
    } else if (type === FRAME_ROUTED || type === FRAME_ROUTED_HELLO) {
      if (session.kind === "direct" && this.#options.accepts(session.id, "ROUTED")) this.#forward(session, type, payload)
    } else this.#options.events.frame(session, type, payload)
  }

  #introduce(action: IntroducerAction, session: ControlSession): void {
    const byMember = this.#options.isMember(session.id)
    switch (action.type) {
      case "send": {
        // Over a routed session only its two ends are introduced, and to each other.
        const to = session.kind === "direct" ? this.directSession(action.to) : undefined
        if (to !== undefined) trySend(to, action.frameType, action.payload)
        return
      }
      case "introduce":
        this.#links.introduced({ ...action.introduction, byMember }, this.#memberSignal(session))
        return
      case "answer":
        this.#links.answered({ ...action.introduction, byMember })
        return
      case "candidates":
        this.#links.candidates(action.description)
        return
      case "reject":
        this.#refused(action.rejection, session)
    }
  }

  #refused({ target, attemptId, reason }: Rejection, session: ControlSession): void {
    if (target !== undefined) this.#links.rejected(target, attemptId, session.id, reason)
  }

  /** A routed frame that came over a session: for us, or one hop further. */
  #forward(session: ControlSession, type: number, payload: Bytes): void {
    const self = this.#options.signer.nodeId
    try {
      if (routedAddress(type, payload).dst === self) {
        this.#routed.receive(type, payload, this.#memberSignal(session).routed)
        return
      }
      const step = forwardRouted(type, payload, session.peer.nodeId, self)
      if (step === undefined) return
      const from = session.peer.nodeId
      const next = this.directSession(step.dst) ?? this.#sessions.get(this.#options.routeTo(step.dst, from) ?? "")
      if (next === undefined || next.kind !== "direct" || next.peer.nodeId === from) return
      if (this.#routedBudget.take(from, monotonicNow(), payload.length) > 0) {
        throw new AvError("LimitExceeded", { what: "routed bytes", max: ROUTED_BUDGET[0] })
      }
      trySend(next, type, step.payload)
    } catch (error) {
      this.#options.events.dropped(asDropped(error))
    }
  }
}
