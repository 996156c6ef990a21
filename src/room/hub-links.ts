/** Links being made: offers and answers that cross, come too early, are refused or forged; and those that are up. */
import {
  type AddressJudge,
  AttemptLog,
  answerLink,
  checkDescription,
  type DescriptionHead,
  type LinkDescription,
  offerLink,
  ourOfferWins,
  type PeerLink,
  type PeerLinkOptions,
  peekDescription,
} from "../link/index.ts"
import { type IncomingIntroduction, ResponderBudget } from "../rendezvous/index.ts"
import { toHex } from "../wire/bytes.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import type { Bytes, NodeId, U64 } from "../wire/types.ts"
import { monotonicNow } from "./clock.ts"
import { EarlyCandidates } from "./early-candidates.ts"
import type { LinkHost, PeerHubOptions } from "./hub-types.ts"
import { LinkRepair } from "./link-repair.ts"
import type { Signal } from "./signalling.ts"

/** Direct links at once, those being made included: a browser has only so many peer connections. */
const MAX_LINKS = 64
/** An answer to our offer is due within this time, ms. */
const ANSWER_MS = 10_000
/** Offers whose signatures are being checked; more at once are a flood. */
const MAX_CHECKING = 32

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

export class HubLinks {
  readonly #options: PeerHubOptions
  readonly #host: LinkHost
  readonly #repair: LinkRepair
  readonly #seen = new AttemptLog()
  readonly #responder = new ResponderBudget()
  /** Links being made, by node. */
  readonly #attempts = new Map<NodeId, Attempt | Preparing>()
  readonly #links = new Map<string, PeerLink>()
  readonly #early = new EarlyCandidates()
  readonly #stop = new AbortController()
  #counter = 0
  #checking = 0

  constructor(options: PeerHubOptions, host: LinkHost) {
    this.#options = options
    this.#host = host
    this.#repair = new LinkRepair({
      self: options.signer.nodeId,
      links: () => this.#links.values(),
      ways: (node) => host.ways(node),
      dropped: (error) => options.events.dropped(error),
      now: monotonicNow,
    })
  }

  /** Makes a direct link unless there is one or one is being made. `signal`: the way to the node, where there is one. */
  connect(node: NodeId, signal: Signal | undefined): void {
    if (this.#attempts.has(node) || this.#host.directSession(node) !== undefined) return
    if (signal === undefined || this.#links.size >= MAX_LINKS || this.#options.attempts?.isWorthIt(node) === false) {
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

  link(id: string): PeerLink | undefined {
    return this.#links.get(id)
  }

  /** Every link, those included that are being made. */
  get links(): readonly PeerLink[] {
    return [...this.#links.values()]
  }

  /** Nothing new is begun or answered any more. */
  stop(): void {
    this.#stop.abort()
    for (const attempt of this.#attempts.values()) if (isAttempt(attempt)) clearTimeout(attempt.timer)
    this.#attempts.clear()
  }

  /** Nothing is touched before the description proved to be what it says: forged ones must not disturb an attempt. */
  introduced(introduction: Introduced, signal: Signal): void {
    const { from, description } = introduction
    const head = peekDescription(description)
    if (head === undefined || head.fromNode !== from) return
    if (!this.#mayIntroduce(introduction, head, signal)) return
    if (this.#checking >= MAX_CHECKING) {
      this.#options.events.dropped(new AvError("LimitExceeded", { what: "introductions", max: MAX_CHECKING }))
      return
    }
    const { signer, pins, wallClock, evidence } = this.#options
    const expected = { selfNode: signer.nodeId, fromNode: from, kind: "offer" as const, restart: head.iceRestart, pins }
    const { attestation, byMember } = introduction
    const word = { subject: head.fromEntity, byMember, ...(attestation && { attestation }) }
    this.#checking++
    Promise.all([checkDescription(description, { ...expected, now: wallClock() }), evidence.vouches(word, wallClock())])
      .then(async ([, attested]) => {
        if (await this.#isWelcome(head, signal)) this.#verified(introduction, head, signal, attested)
        else signal.reject(signer.nodeId, head.attemptId, "policy")
      })
      .catch((error: unknown) => this.#options.events.dropped(asDropped(error)))
      .finally(() => {
        this.#checking--
      })
  }

  /** What the application says of a new caller; whoever has a link already was asked about. */
  async #isWelcome({ iceRestart, fromNode, fromEntity }: DescriptionHead, signal: Signal): Promise<boolean> {
    const { acceptPeer, events } = this.#options
    if (acceptPeer === undefined || (iceRestart && this.#host.directSession(fromNode) !== undefined)) return true
    const caller = { node: fromNode, entity: toHex(fromEntity), introducer: this.#host.introducerOf(signal) }
    try {
      return (await acceptPeer(caller)) === true
    } catch (error) {
      events.dropped(new AvError("UsageError", { why: "acceptPeer failed" }, { cause: error }))
      return false
    }
  }

  /** Budgets come before anything is looked at (control-plane 6.6). A restart of a link that is up calls nobody new. */
  #mayIntroduce({ from }: Introduced, head: DescriptionHead, signal: Signal): boolean {
    if (head.iceRestart && this.#host.directSession(from) !== undefined) return true
    const wait = this.#responder.take(this.#host.introducerOf(signal), monotonicNow())
    if (wait === 0) return true
    this.#options.events.dropped(new AvError("LimitExceeded", { what: "introductions" }))
    if (this.#responder.mayRefuse(from, head.attemptId)) {
      signal.reject(this.#options.signer.nodeId, head.attemptId, "rate-limited", Math.ceil(wait))
    }
    return false
  }

  answered(answer: LinkDescription): void {
    const head = peekDescription(answer.description)
    if (head !== undefined && this.#repair.answered(head, answer)) return
    const attempt = head === undefined ? undefined : this.#attempts.get(head.fromNode)
    if (attempt === undefined || !isAttempt(attempt)) return
    if (attempt.link.attemptId !== head?.attemptId || attempt.role !== "offerer") return
    attempt.link.acceptAnswer(answer).then(
      () => {
        clearTimeout(attempt.timer)
        this.#options.attempts?.answered(attempt.link.id, attempt.link.peerNode)
      },
      (error: unknown) => this.#options.events.dropped(asDropped(error)),
    )
  }

  candidates(description: Bytes): void {
    const head = peekDescription(description)
    if (head === undefined) return
    const link = [...this.#links.values()].find(
      ({ peerNode, attemptId }) => peerNode === head.fromNode && attemptId === head.attemptId,
    )
    if (link !== undefined) {
      link.addCandidates({ description }).catch((error: unknown) => this.#options.events.dropped(asDropped(error)))
    } else if (this.#attempts.has(head.fromNode)) {
      this.#early.add(head.fromNode, description)
    }
  }

  /** A REJECT counts when it names our attempt and came the way the offer went; anybody could guess a node id. */
  rejected(node: NodeId, attemptId: U64, way: string, reason: string): void {
    if (this.#repair.rejected(node, attemptId, way, reason)) return
    const attempt = this.#attempts.get(node)
    if (attempt === undefined || !isAttempt(attempt) || attempt.role !== "offerer") return
    if (attempt.link.attemptId === attemptId && attempt.signal.way === way) this.#giveUp(node)
  }

  /** `attested`: somebody trusted saw the caller at an address; what only looks like an attestation is none. */
  #verified(introduction: Introduced, head: DescriptionHead, signal: Signal, attested: boolean): void {
    const { from } = introduction
    if (this.#stop.signal.aborted || !this.#seen.admit(from, head.attemptId)) return
    if (head.iceRestart) this.#repair.introduced(head, introduction, signal)
    else if (attested || this.#options.requireAttestation !== true) this.#answer(introduction, head, signal, attested)
    else signal.reject(this.#options.signer.nodeId, head.attemptId, "unattested")
  }

  #answer(introduction: Introduced, head: DescriptionHead, signal: Signal, attested: boolean): void {
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
    if (this.#links.size >= MAX_LINKS || !this.#responder.room(this.#host.introducerOf(signal), attested, answering)) {
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
        this.#options.attempts?.answered(link.id, from)
        if (!signal.answer(from, answer)) link.close()
      },
      (error: unknown) => {
        if (isAvError(error)) this.#options.events.dropped(error)
        if (this.#attempts.get(from) === preparing) this.#giveUp(from)
      },
    )
  }

  #linkOptions(peerNode: NodeId): PeerLinkOptions {
    const { evidence, signer, laneSink, pins, videoLanes, forwardMedia, webrtc } = this.#options
    const id = `link-${++this.#counter}`
    const iceServers = this.#options.iceServers()
    const wallClock = () => this.#options.wallClock()
    const { signal } = this.#stop
    const addresses: AddressJudge = {
      gateFor: (word) => evidence.gateFor(word, wallClock()),
      ownGate: () => evidence.ownGate(),
    }
    const lanes = { laneSink, videoLanes, forwardMedia, ...(webrtc && { webrtc }) }
    return { id, signer, peerNode, addresses, pins, iceServers, wallClock, signal, ...lanes }
  }

  #track(link: PeerLink, signal: Signal): void {
    this.#links.set(link.id, link)
    for (const description of this.#early.take(link.peerNode)) this.candidates(description)
    link.on("candidates", (more) => (this.#repair.way(link) ?? signal).candidates(link.peerNode, more.description))
    link.on("ice", ({ state }) => link.session !== undefined && this.#options.events.linkIce(link, state))
    link.on("ready", ({ session, sessionKey }) => {
      this.#options.attempts?.succeeded(link.id)
      this.#settle(link)
      this.#options.events.linkKey(link, session, sessionKey)
      this.#host.adopt(session)
    })
    link.on("path", () => this.#options.events.pathChanged(link))
    link.on("sessionKey", ({ sessionKey }) => {
      if (link.session !== undefined) this.#options.events.linkKey(link, link.session, sessionKey)
    })
    link.on("closed", ({ reason }) => {
      this.#options.attempts?.closed(link.id, reason)
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

  #giveUp(node: NodeId): void {
    this.#early.take(node)
    const attempt = this.#attempts.get(node)
    if (attempt === undefined) return
    if (isAttempt(attempt)) {
      attempt.link.close()
      return
    }
    this.#attempts.delete(node)
    this.#options.events.connectFailed(node)
  }
}

export function asDropped(error: unknown): AvError {
  return isAvError(error) ? error : new AvError("DescriptionInvalid", { at: monotonicNow() }, { cause: error })
}

function isAttempt(attempt: Attempt | Preparing): attempt is Attempt {
  return "link" in attempt
}
