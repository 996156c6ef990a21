/** Offer and answer of a link, the restarts of ICE after them, and candidates that come late (link-lanes LL-16, control-plane 6.3). */
import type { CandidateEntry } from "../wire/address.ts"
import type { SessionDescription } from "../wire/description.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds, RandomBytes, U64 } from "../wire/types.ts"
import { asAvError } from "./errors.ts"
import type { LanePeer } from "./lane-peer.ts"
import { LaneSet } from "./lane-set.ts"
import { OwnDescription } from "./own-description.ts"
import { PeerDescription } from "./peer-description.ts"
import type { TransportFields } from "./sdp.ts"
import type { LinkDescription, PeerLinkOptions } from "./types.ts"

interface LinkExchangeParts {
  link: PeerLinkOptions
  role: "offerer" | "answerer"
  videoLanes: number
  random: RandomBytes
  control: LanePeer
  lanes: LaneSet
  /** Unix time in ms. */
  now(): Milliseconds
  isOver(): boolean
  /** Throws unless the link has its session. */
  requireReady(): void
  /** The offer names no address that may be called: whether the peer calls is to be watched. */
  onPassive(): void
  onCandidates(description: Bytes): void
  /** What was refused without harm. */
  onFault(error: AvError): void
  /** The browser refused the peer's answer: the link can not come up. */
  onFailed(error: AvError): void
}

export class LinkExchange {
  readonly own: OwnDescription
  readonly peer: PeerDescription
  readonly #parts: LinkExchangeParts
  #attemptId: U64
  /** Our ICE restart that waits for its answer. */
  #restart: U64 | undefined
  /** Exchanges of descriptions come one after another. */
  #turn: Promise<unknown> = Promise.resolve()
  #answered: Promise<void> = Promise.resolve()

  constructor(parts: LinkExchangeParts) {
    this.#parts = parts
    const { link, role, control, lanes, now, onCandidates, onFault } = parts
    this.#attemptId = link.attemptId ?? randomAttempt(parts.random)
    const attemptId = () => this.#attemptId
    this.own = new OwnDescription({
      link,
      answerer: role === "answerer",
      control,
      lanes,
      attemptId,
      now,
      onCandidates,
      onFault,
    })
    this.peer = new PeerDescription({ link, now, onFault })
  }

  get attemptId(): U64 {
    return this.#attemptId
  }

  async makeOffer(): Promise<LinkDescription> {
    const { control, lanes, videoLanes } = this.#parts
    const [fields] = await Promise.all([control.offer(), lanes.offerFirst(LaneSet.firstIds(videoLanes))])
    return this.own.describe(fields, { answer: false, iceRestart: false })
  }

  async makeAnswer(offer: LinkDescription, description: SessionDescription): Promise<LinkDescription> {
    const { control, lanes, onPassive } = this.#parts
    const weighed = await this.peer.weigh(offer, description)
    this.peer.keep(weighed)
    const [fields] = await Promise.all([control.answer(fieldsOf(description)), lanes.answerFirst(weighed.blocks, weighed)])
    await this.#addRemote(weighed.listed)
    if (weighed.listed.every((candidate) => candidate === undefined)) onPassive()
    return this.own.describe(fields, { answer: true, iceRestart: false })
  }

  async acceptAnswer(answer: LinkDescription): Promise<void> {
    if (this.#restart !== undefined) return this.#inTurn(() => this.#acceptRestart(answer))
    if (this.#parts.role !== "offerer") throw new AvError("UsageError", {}, { message: "only an offerer accepts an answer" })
    const work = this.#applyAnswer(answer)
    this.#answered = work.catch(() => undefined)
    await work
  }

  restart(): Promise<LinkDescription> {
    return this.#inTurn(async () => {
      this.#requireRestarts()
      const { random, control, lanes } = this.#parts
      this.#restart = this.#attemptId = randomAttempt(random)
      const [fields] = await Promise.all([control.restart(), lanes.offerRestart()])
      return this.own.describe(fields, { answer: false, iceRestart: true })
    })
  }

  answerRestart(offer: LinkDescription): Promise<LinkDescription> {
    return this.#inTurn(async () => {
      this.#requireRestarts()
      const { control, lanes } = this.#parts
      const description = await this.peer.check(offer.description, { kind: "offer", restart: true })
      const weighed = await this.peer.renew(offer, description)
      this.#attemptId = description.attemptId
      this.#restart = undefined
      const work = [control.answerRestart(fieldsOf(description)), lanes.answerRestart(weighed.blocks, weighed)] as const
      const [fields] = await Promise.all(work)
      await this.#addRemote(weighed.listed)
      return this.own.describe(fields, { answer: true, iceRestart: true })
    })
  }

  async addCandidates(more: LinkDescription): Promise<void> {
    const description = await this.peer.check(more.description, { kind: "trickle", attemptId: this.#attemptId })
    // Candidates of the answerer may overtake the check of its answer.
    await this.#answered
    if (this.#parts.isOver()) throw new AvError("DescriptionInvalid", { why: "no attempt" })
    await this.#addRemote(this.peer.admitMore(description))
  }

  async #applyAnswer(answer: LinkDescription): Promise<void> {
    const { control, lanes, isOver, onFailed } = this.#parts
    const description = await this.peer.check(answer.description, { kind: "answer", attemptId: this.#attemptId })
    const weighed = await this.peer.weigh(answer, description)
    if (isOver()) throw new AvError("SessionClosed")
    if (this.peer.current !== undefined) throw new AvError("DescriptionInvalid", { why: "answered already" })
    this.peer.keep(weighed)
    try {
      await Promise.all([control.acceptAnswer(fieldsOf(description)), lanes.acceptFirst(weighed.blocks, weighed)])
      await this.#addRemote(weighed.listed)
    } catch (cause) {
      const error = asAvError(cause)
      onFailed(error)
      throw error
    }
  }

  async #acceptRestart(answer: LinkDescription): Promise<void> {
    const { control, lanes, role } = this.#parts
    const expected = { kind: "answer" as const, attemptId: this.#attemptId, restart: true }
    const description = await this.peer.check(answer.description, expected)
    const weighed = await this.peer.renew(answer, description)
    this.#restart = undefined
    const setup = role === "offerer" ? "active" : "passive"
    await Promise.all([control.acceptRestart(fieldsOf(description), setup), lanes.acceptRestart(weighed.blocks, weighed)])
    await this.#addRemote(weighed.listed)
  }

  /** Without any the end is passive: it answers whoever reaches it, and sends nothing before (control-plane 6.6). */
  async #addRemote(candidates: readonly (CandidateEntry | undefined)[]): Promise<void> {
    await this.#parts.control.addRemoteCandidates(candidates.filter((candidate) => candidate !== undefined))
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#turn.then(work)
    this.#turn = run.catch(() => undefined)
    return run
  }

  #requireRestarts(): void {
    this.#parts.requireReady()
    if (this.#parts.link.webrtc?.restarts === false) throw new AvError("RestartUnsupported")
  }
}

function fieldsOf(description: SessionDescription): TransportFields {
  return { ufrag: description.ufrag, pwd: description.pwd, fingerprint: description.dtlsFingerprint }
}

function randomAttempt(random: RandomBytes): U64 {
  return new DataView(random(8).slice().buffer).getBigUint64(0)
}
