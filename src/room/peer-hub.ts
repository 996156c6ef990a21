/** Everybody this page is connected to: makes direct links and routed sessions, and hands their events to the room. */
import type { PinTable } from "../identity/index.ts"
import type { IdentitySigner } from "../identity/signer.ts"
import {
  type AddressJudge,
  AttemptLog,
  answerLink,
  type CloseReason,
  type ControlSession,
  checkDescription,
  createRoutedHub,
  type DescriptionHead,
  forwardRouted,
  GOAWAY,
  type LaneSink,
  type LinkDescription,
  type LinkTransportStats,
  offerLink,
  ourOfferWins,
  type PeerLink,
  type PeerLinkOptions,
  peekDescription,
  type RoutedHub,
  routedAddress,
} from "../link/index.ts"
import {
  type AddressEvidence,
  FixedWindows,
  type IncomingIntroduction,
  type IntroducerAction,
  IntroducerMachine,
  type Rejection,
  type RendezvousClient,
  ResponderBudget,
} from "../rendezvous/index.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import { FRAME_RENDEZVOUS, FRAME_ROUTED, FRAME_ROUTED_HELLO } from "../wire/frame.ts"
import type { ControlMessage } from "../wire/index.ts"
import type { Bytes, NodeId, U64 } from "../wire/types.ts"
import { monotonicNow } from "./clock.ts"
import { LinkRepair } from "./link-repair.ts"
import { memberSignal, ownSignal, type Signal, serverSignal, trySend } from "./signalling.ts"

/** Direct links at once, those being made included: a browser has only so many peer connections. */
const MAX_LINKS = 64
/** A routed session beside a direct one with the same peer ends after this time, ms. */
const ROUTED_LINGER_MS = 10_000
/** Descriptions with candidates kept for a link that is still being answered. */
const MAX_EARLY_CANDIDATES = 4
/** An answer to our offer is due within this time, ms. */
const ANSWER_MS = 10_000
/** Offers whose signatures are being checked; more at once are a flood. */
const MAX_CHECKING = 32

/** Routed frames that are passed on for one neighbour, as the server does it (D48): bytes in each time, ms. */
const ROUTED_BUDGET = [256 * 1024, 10_000] as const

/** What the hub tells the room. */
export interface PeerHubEvents {
  sessionOpen(session: ControlSession): void
  /** `reason`: why; a session of a link that was ended hears of it a moment before. */
  sessionClosed(session: ControlSession, reason: CloseReason): void
  /** A direct link's key: at once with its session, and again when it was renewed. */
  linkKey(link: PeerLink, session: ControlSession, sessionKey: Bytes): void
  linkClosed(link: PeerLink, reason: CloseReason): void
  /** ICE of the link's control connection is in another state. */
  linkIce(link: PeerLink, state: RTCPeerConnectionState): void
  /** The link runs over another path now. */
  pathChanged(link: PeerLink): void
  message(session: ControlSession, message: ControlMessage): void
  /** A frame that is neither a message nor on its way to somebody else. */
  frame(session: ControlSession, type: number, payload: Bytes): void
  /** A named BINARY frame that belongs to no lane. */
  binary?(session: ControlSession, name: string, bytes: Bytes): void
  heard(session: ControlSession): void
  goaway(session: ControlSession, code: number): void
  connectFailed(node: NodeId): void
  routedFailed(node: NodeId): void
  dropped(error: AvError): void
}

export interface PeerHubOptions {
  signer: IdentitySigner
  pins: PinTable
  laneSink: LaneSink
  rendezvous: RendezvousClient
  /** What speaks for the addresses that others name. */
  evidence: Pick<AddressEvidence, "gateFor" | "ownGate" | "onRefused">
  videoLanes: number
  forwardMedia: boolean
  iceServers(): RTCIceServer[]
  /** Unix milliseconds as the others count them: descriptions are compared with their clocks. */
  wallClock(): number
  /** Whether a peer may send a frame of that kind now (room.md RM-6). */
  accepts(session: string, frame: "ROUTED" | "RENDEZVOUS"): boolean
  /** Whether a member of the room is behind a session. */
  isMember(session: string): boolean
  /** Over which session a routed frame for `node` goes on that came from the neighbour `from`; undefined: no way is known. */
  routeTo(node: NodeId, from: NodeId): string | undefined
  events: PeerHubEvents
}

/** An offer or answer that is still being prepared; each is an object of its own, so that a later one is told apart. */
interface Preparing {
  role: "offerer" | "answerer"
}

/** With the hub's own word on who brought it. */
type Introduced = IncomingIntroduction & { byMember: boolean }

interface Attempt extends Preparing {
  link: PeerLink
  signal: Signal
  /** Our offer; undefined where we answer. */
  offer?: LinkDescription
  timer: ReturnType<typeof setTimeout> | undefined
}

export class PeerHub {
  readonly #options: PeerHubOptions
  readonly #server: Signal
  readonly #routed: RoutedHub
  readonly #introducer: IntroducerMachine
  readonly #repair: LinkRepair
  readonly #seen = new AttemptLog()
  readonly #responder = new ResponderBudget()
  readonly #routedBudget = new FixedWindows(ROUTED_BUDGET)
  /** Links being made, by node. */
  readonly #attempts = new Map<NodeId, Attempt | Preparing>()
  readonly #links = new Map<string, PeerLink>()
  readonly #sessions = new Map<string, ControlSession>()
  /** Of routed sessions that a direct one replaces. */
  readonly #lingering = new Set<ReturnType<typeof setTimeout>>()
  /** Candidates that came while the answer was still being prepared, by node. */
  readonly #early = new Map<NodeId, Bytes[]>()
  readonly #stop = new AbortController()
  #counter = 0
  #checking = 0

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
    this.#repair = new LinkRepair({
      self: options.signer.nodeId,
      links: () => this.#links.values(),
      ways: (node) => this.#waysTo(node),
      dropped: (error) => options.events.dropped(error),
      now: monotonicNow,
    })
    options.evidence.onRefused = (reason) => options.events.dropped(new AvError("CandidateRefused", { reason }))
    rendezvous.on("introduce", (introduction) => this.#introduced({ ...introduction, byMember: false }, this.#server))
    rendezvous.on("answer", (answer) => this.#answered({ ...answer, byMember: false }))
    rendezvous.on("candidates", ({ description }) => this.#moreCandidates(description))
    rendezvous.on("reject", ({ target, attemptId, reason }) => {
      if (target === undefined) return
      // Attempt 0 answers a routed frame: the node behind that session is gone.
      if (attemptId !== 0n) this.#rejected(target, attemptId, "server", reason)
      else if (reason === "no-session-with-target") this.#endRouted(target)
    })
    rendezvous.on("routed", ({ payload }) => this.#routed.receive(FRAME_ROUTED, payload, this.#server.routed))
    rendezvous.on("routedHello", ({ payload }) => this.#routed.receive(FRAME_ROUTED_HELLO, payload, this.#server.routed))
  }

  /** Makes a direct link unless there is one or one is being made. `via`: the server, or a session with a common neighbour. */
  connect(node: NodeId, via: "server" | string): void {
    if (this.#attempts.has(node) || this.directSession(node) !== undefined) return
    const signal = this.#signal(via, node)
    if (signal === undefined || this.#links.size >= MAX_LINKS) {
      queueMicrotask(() => this.#options.events.connectFailed(node))
      return
    }
    const preparing: Preparing = { role: "offerer" }
    this.#attempts.set(node, preparing)
    offerLink(this.#linkOptions(node)).then(
      ({ link, offer }) => {
        if (this.#attempts.get(node) !== preparing) {
          link.close()
          return
        }
        this.#track(link, signal)
        const timer = setTimeout(() => link.close(), ANSWER_MS)
        this.#attempts.set(node, { role: "offerer", link, signal, offer, timer })
        if (!signal.connect(node, offer)) link.close()
      },
      () => {
        if (this.#attempts.get(node) === preparing) this.#giveUp(node)
      },
    )
  }

  /** Gives a ready link new addresses. False when the peer cannot be told at the moment. */
  restart(link: PeerLink): boolean {
    return this.#repair.restart(link)
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
    return [...this.#links.values()].filter(({ session }) => session !== undefined)
  }

  /** The link under a direct session. */
  link(session: string): PeerLink | undefined {
    return this.#links.get(session)
  }

  /** Transport figures of every ready link. */
  async transportStats(): Promise<{ session: ControlSession; stats: LinkTransportStats }[]> {
    const entries = [...this.#links.values()].flatMap((link) =>
      link.session === undefined ? [] : [{ link, session: link.session }],
    )
    return Promise.all(entries.map(async ({ link, session }) => ({ session, stats: await link.stats() })))
  }

  /** Ends everything. With `code` each peer hears why. */
  close(code: number = GOAWAY.unspecified): void {
    this.#stop.abort()
    for (const attempt of this.#attempts.values()) if (isAttempt(attempt)) clearTimeout(attempt.timer)
    this.#attempts.clear()
    for (const timer of this.#lingering) clearTimeout(timer)
    this.#lingering.clear()
    for (const session of this.sessions) session.close(code)
    for (const link of [...this.#links.values()]) link.close(code)
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

  #linkOptions(peerNode: NodeId): PeerLinkOptions {
    const { evidence, signer, laneSink, pins, videoLanes, forwardMedia } = this.#options
    const id = `link-${++this.#counter}`
    const iceServers = this.#options.iceServers()
    const wallClock = () => this.#options.wallClock()
    const { signal } = this.#stop
    const addresses: AddressJudge = {
      gateFor: (word) => evidence.gateFor(word, wallClock()),
      ownGate: () => evidence.ownGate(),
    }
    return { id, signer, peerNode, laneSink, addresses, pins, iceServers, videoLanes, forwardMedia, wallClock, signal }
  }

  #track(link: PeerLink, signal: Signal): void {
    this.#links.set(link.id, link)
    const early = this.#early.get(link.peerNode) ?? []
    this.#early.delete(link.peerNode)
    for (const description of early) this.#moreCandidates(description)
    link.on("candidates", (more) => (this.#repair.way(link) ?? signal).candidates(link.peerNode, more.description))
    link.on("ice", ({ state }) => link.session !== undefined && this.#options.events.linkIce(link, state))
    link.on("ready", ({ session, sessionKey }) => {
      this.#settle(link)
      this.#options.events.linkKey(link, session, sessionKey)
      this.#adopt(session)
    })
    link.on("path", () => this.#options.events.pathChanged(link))
    link.on("sessionKey", ({ sessionKey }) => {
      if (link.session !== undefined) this.#options.events.linkKey(link, link.session, sessionKey)
    })
    link.on("closed", ({ reason }) => {
      this.#links.delete(link.id)
      this.#repair.closed(link)
      this.#options.events.linkClosed(link, reason)
      if (link.session === undefined && this.#settle(link)) this.#options.events.connectFailed(link.peerNode)
    })
  }

  /** The attempt of this link is over; false when another one has taken its place. */
  #settle(link: PeerLink): boolean {
    const attempt = this.#attempts.get(link.peerNode)
    if (attempt === undefined || !isAttempt(attempt) || attempt.link !== link) return false
    clearTimeout(attempt.timer)
    this.#attempts.delete(link.peerNode)
    return true
  }

  /** A REJECT counts when it names our attempt and came the way the offer went; anybody could guess a node id. */
  #rejected(node: NodeId, attemptId: U64, way: string, reason: string): void {
    if (this.#repair.rejected(node, attemptId, way, reason)) return
    const attempt = this.#attempts.get(node)
    if (attempt === undefined || !isAttempt(attempt) || attempt.role !== "offerer") return
    if (attempt.link.attemptId === attemptId && attempt.signal.way === way) this.#giveUp(node)
  }

  #giveUp(node: NodeId): void {
    this.#early.delete(node)
    const attempt = this.#attempts.get(node)
    if (attempt === undefined) return
    if (isAttempt(attempt)) {
      attempt.link.close()
      return
    }
    this.#attempts.delete(node)
    this.#options.events.connectFailed(node)
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

  /** Nothing is touched before the description proved to be what it says: forged ones must not disturb an attempt. */
  #introduced(introduction: Introduced, signal: Signal): void {
    const { from, description } = introduction
    const head = peekDescription(description)
    if (head === undefined || head.fromNode !== from) return
    if (!this.#mayIntroduce(introduction, head, signal)) return
    if (this.#checking >= MAX_CHECKING) {
      this.#options.events.dropped(new AvError("LimitExceeded", { what: "introductions", max: MAX_CHECKING }))
      return
    }
    const { signer, pins, wallClock } = this.#options
    const expected = { selfNode: signer.nodeId, fromNode: from, kind: "offer" as const, restart: head.iceRestart, pins }
    this.#checking++
    checkDescription(description, { ...expected, now: wallClock() })
      .then(
        () => this.#verified(introduction, head, signal),
        (error: unknown) => this.#options.events.dropped(asDropped(error)),
      )
      .finally(() => {
        this.#checking--
      })
  }

  /** Budgets come before anything is looked at (control-plane 6.6). A restart of a link that is up calls nobody new. */
  #mayIntroduce({ from }: Introduced, head: DescriptionHead, signal: Signal): boolean {
    if (head.iceRestart && this.directSession(from) !== undefined) return true
    const wait = this.#responder.take(this.#introducerOf(signal), monotonicNow())
    if (wait === 0) return true
    this.#options.events.dropped(new AvError("LimitExceeded", { what: "introductions" }))
    if (this.#responder.mayRefuse(from, head.attemptId)) {
      signal.reject(this.#options.signer.nodeId, head.attemptId, "rate-limited", Math.ceil(wait))
    }
    return false
  }

  #introducerOf(signal: Signal): "server" | NodeId {
    return this.#sessions.get(signal.way)?.peer.nodeId ?? "server"
  }

  #verified(introduction: Introduced, head: DescriptionHead, signal: Signal): void {
    const { from } = introduction
    if (this.#stop.signal.aborted || !this.#seen.admit(from, head.attemptId)) return
    if (head.iceRestart) this.#repair.introduced(head, introduction, signal)
    else this.#answer(introduction, head, signal)
  }

  #answer(introduction: Introduced, head: DescriptionHead, signal: Signal): void {
    const { from } = introduction
    const own = this.#attempts.get(from)
    if (own !== undefined) {
      // Two offers cross: one wins. An answer of ours to an older offer is void: the peer has started anew.
      if (own.role === "offerer" && ourOfferWins(this.#options.signer.nodeId, from)) {
        // A peer that was just reloaded never saw our offer: it went to the page before. One that did see it ignores it now.
        if (isAttempt(own) && own.offer !== undefined) own.signal.connect(from, own.offer)
        return
      }
      this.#attempts.delete(from)
      if (isAttempt(own)) {
        clearTimeout(own.timer)
        own.link.close()
      }
    }
    const answering = [...this.#attempts.values()].filter(({ role }) => role === "answerer").length
    const attested = introduction.attestation !== undefined
    if (this.#links.size >= MAX_LINKS || !this.#responder.room(this.#introducerOf(signal), attested, answering)) {
      signal.reject(this.#options.signer.nodeId, head.attemptId, "target-busy")
      return
    }
    const preparing: Preparing = { role: "answerer" }
    this.#attempts.set(from, preparing)
    answerLink(this.#linkOptions(from), introduction).then(
      ({ link, answer }) => {
        if (this.#attempts.get(from) !== preparing) {
          link.close()
          return
        }
        this.#attempts.set(from, { role: "answerer", link, signal, timer: undefined })
        this.#track(link, signal)
        if (!signal.answer(from, answer)) link.close()
      },
      (error: unknown) => {
        if (isAvError(error)) this.#options.events.dropped(error)
        if (this.#attempts.get(from) === preparing) this.#giveUp(from)
      },
    )
  }

  #answered(answer: LinkDescription): void {
    const head = peekDescription(answer.description)
    if (head !== undefined && this.#repair.answered(head, answer)) return
    const attempt = head === undefined ? undefined : this.#attempts.get(head.fromNode)
    if (attempt === undefined || !isAttempt(attempt)) return
    if (attempt.link.attemptId !== head?.attemptId || attempt.role !== "offerer") return
    attempt.link.acceptAnswer(answer).then(
      () => clearTimeout(attempt.timer),
      (error: unknown) => this.#options.events.dropped(asDropped(error)),
    )
  }

  #moreCandidates(description: Bytes): void {
    const head = peekDescription(description)
    if (head === undefined) return
    const link = [...this.#links.values()].find(
      ({ peerNode, attemptId }) => peerNode === head.fromNode && attemptId === head.attemptId,
    )
    if (link !== undefined) {
      link.addCandidates({ description }).catch((error: unknown) => this.#options.events.dropped(asDropped(error)))
    } else if (this.#attempts.has(head.fromNode)) {
      const early = this.#early.get(head.fromNode) ?? []
      if (early.length < MAX_EARLY_CANDIDATES) this.#early.set(head.fromNode, [...early, description])
    }
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
        this.#introduced({ ...action.introduction, byMember }, this.#memberSignal(session))
        return
      case "answer":
        this.#answered({ ...action.introduction, byMember })
        return
      case "candidates":
        this.#moreCandidates(action.description)
        return
      case "reject":
        this.#refused(action.rejection, session)
    }
  }

  #refused({ target, attemptId, reason }: Rejection, session: ControlSession): void {
    if (target !== undefined) this.#rejected(target, attemptId, session.id, reason)
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

function asDropped(error: unknown): AvError {
  return isAvError(error) ? error : new AvError("DescriptionInvalid", { at: monotonicNow() }, { cause: error })
}

function isAttempt(attempt: Attempt | Preparing): attempt is Attempt {
  return "link" in attempt
}
