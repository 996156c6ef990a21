/** A direct link to one peer: the control connection, its proof and session, and the lanes beside it (link-lanes 2, 3). */
import { secureRandom } from "../crypto/random.ts"
import { SessionProof } from "../identity/session-proof.ts"
import type { CandidateEntry } from "../wire/address.ts"
import { compareUtf8, equalBytes } from "../wire/bytes.ts"
import type { SessionDescription } from "../wire/description.ts"
import { AvError } from "../wire/errors.ts"
import type { LaneBlock } from "../wire/lane-block.ts"
import { decodeLaneControl, encodeLaneControl, LINK_LANE_NAME } from "../wire/lane-control.ts"
import type { Bytes } from "../wire/types.ts"
import { ControlChannels } from "./control-channels.ts"
import { checkDescription, type DescriptionExpectation, signDescription } from "./descriptions.ts"
import { Emitter } from "./emitter.ts"
import { asAvError } from "./errors.ts"
import { MAX_VIDEO_LANES } from "./lane-capacity.ts"
import { openLaneKey, signLaneKey } from "./lane-key.ts"
import { LanePeer } from "./lane-peer.ts"
import { LaneSet } from "./lane-set.ts"
import type { TransportFields } from "./sdp.ts"
import { SessionCore } from "./session-core.ts"
import { transportStats } from "./transport-stats.ts"
import type {
  CandidateGate,
  ClosedInfo,
  CloseReason,
  ControlSession,
  LinkDescription,
  LinkEvents,
  LinkTransportStats,
  PeerLink,
  PeerLinkOptions,
} from "./types.ts"

const GATHER_MS = 300
const CONNECT_MS = 20_000
/** An end that must wait for the other one's checks waits so long (control-plane 6.6), ms. */
const PASSIVE_MS = 10_000
const VIDEO_LANES = 2
/** The control connection has been `disconnected` or `failed` for this long: the end of the link, ms. */
const DISCONNECTED_MS = 15_000
/** A GOAWAY gets this long to leave before the connections are closed, ms. */
const LINGER_MS = 150
/** New candidates are collected this long before they are sent, ms. */
const TRICKLE_MS = 100
/** `link.lane` frames kept until the peer may send them: one offer per lane. */
const MAX_HELD_CONTROL = 9

export class DirectLink implements PeerLink {
  readonly id: string
  readonly role: "offerer" | "answerer"
  readonly peerNode: string
  readonly #options: PeerLinkOptions
  readonly #events = new Emitter<LinkEvents>()
  readonly on = this.#events.on
  readonly #control: LanePeer
  readonly #channels: ControlChannels
  readonly #lanes: LaneSet
  readonly #core: SessionCore
  readonly #videoLanes: number
  readonly #drops = new Map<string, number>()
  readonly #timers = new Set<ReturnType<typeof setTimeout>>()
  readonly #onAbort = () => this.close()
  #attemptId: bigint
  /** Our ICE restart that waits for its answer. */
  #restart: bigint | undefined
  /** Exchanges of descriptions come one after another. */
  #exchange: Promise<unknown> = Promise.resolve()
  #session: ControlSession | undefined
  #local: TransportFields | undefined
  #remote: SessionDescription | undefined
  /** Of the newest exchange of descriptions. */
  #gate: CandidateGate | undefined
  /** For our own candidates of that exchange. */
  #ownGate: CandidateGate
  #laneControl = false
  #heldControl: Bytes[] = []
  #laneWork: Promise<void> = Promise.resolve()
  #answered: Promise<void> = Promise.resolve()
  #fresh: CandidateEntry[] = []
  #trickleTimer: ReturnType<typeof setTimeout> | undefined
  #disconnected: ReturnType<typeof setTimeout> | undefined
  #closed: ClosedInfo | undefined

  constructor(role: "offerer" | "answerer", options: PeerLinkOptions, certificate: RTCCertificate) {
    if (options.signal?.aborted) throw new AvError("Aborted")
    this.id = options.id
    this.role = role
    this.peerNode = options.peerNode
    this.#options = options
    this.#attemptId = options.attemptId ?? randomAttempt(options.random ?? secureRandom)
    this.#videoLanes = Math.min(Math.max(1, options.videoLanes ?? VIDEO_LANES), MAX_VIDEO_LANES)
    const iceServers = options.iceServers ?? []
    this.#ownGate = options.addresses.ownGate()
    this.#control = new LanePeer({
      laneId: 0,
      certificate,
      iceServers,
      webrtc: options.webrtc,
      onCandidate: (candidate) => this.#trickle(candidate),
      onState: (state) => this.#connection(state),
    })
    this.#channels = new ControlChannels(this.#control.connection, role, {
      onOpen: () => this.#prove(),
      onControl: (frame) => this.#core.receive(frame),
      onRpc: (frame) => this.#core.receiveRpc(frame),
      onDrain: () => this.#core.flush(),
      onClosed: () => this.#end({ reason: "channel-closed" }),
    })
    this.#core = new SessionCore({
      id: options.id,
      kind: "direct",
      signer: options.signer,
      control: this.#channels.control,
      rpc: this.#channels.rpc,
      random: options.random ?? secureRandom,
      clock: () => performance.now(),
      wallClock: () => this.#now(),
      onReady: (session, sessionKey) => this.#ready(session, sessionKey),
      onSessionKey: (sessionKey) => this.#events.emit("sessionKey", { sessionKey }),
      onLaneControl: (bytes) => this.#receiveLaneControl(bytes),
      onClosed: (info) => this.#end(info),
    })
    this.#core.on("dropped", ({ error }) => this.#drop(error))
    this.#lanes = new LaneSet({
      link: options.id,
      certificate,
      iceServers,
      webrtc: options.webrtc,
      sink: options.laneSink,
      forward: options.forwardMedia ?? false,
      videoLanes: this.#videoLanes,
      gatherMs: options.gatherMs ?? GATHER_MS,
      shown: (candidates) => this.#shown(candidates),
      onState: (lane, state) => this.#events.emit("lane", { laneId: lane.laneId, role: lane.role, state }),
      onPathChange: () => this.#events.emit("path", {}),
      sendControl: (message) => {
        if (!this.#core.closed) this.#core.sendBinary(LINK_LANE_NAME, encodeLaneControl(message))
      },
    })
    options.signal?.addEventListener("abort", this.#onAbort, { once: true })
    this.#after(options.connectTimeoutMs ?? CONNECT_MS, () => {
      if (this.#session === undefined)
        this.#end({ reason: "connect-timeout", error: new AvError("LinkFailed", { why: "timeout" }) })
    })
  }

  get session(): ControlSession | undefined {
    return this.#session
  }

  get attemptId(): bigint {
    return this.#attemptId
  }

  get remoteFingerprint(): Bytes | undefined {
    return this.#remote?.dtlsFingerprint
  }

  /** Runs the first steps; on any failure nothing stays open. */
  async attempt<T>(work: () => Promise<T>): Promise<T> {
    try {
      const result = await work()
      if (this.#closed === undefined) return result
      throw this.#closed.error ?? new AvError("Aborted")
    } catch (cause) {
      this.#end({ reason: "local" })
      throw asAvError(cause)
    }
  }

  async makeOffer(): Promise<LinkDescription> {
    const [fields] = await Promise.all([this.#control.offer(), this.#lanes.offerFirst(LaneSet.firstIds(this.#videoLanes))])
    return this.#describe(fields, { answer: false, iceRestart: false })
  }

  async makeAnswer(offer: LinkDescription, description: SessionDescription): Promise<LinkDescription> {
    this.#remote = description
    const blocks = await this.#blocksOf(offer, description)
    const trust = await this.#trusted(offer, description)
    this.#gate = trust.gate
    const [fields] = await Promise.all([this.#control.answer(fieldsOf(description)), this.#lanes.answerFirst(blocks, trust)])
    await this.#addRemote(trust.listed)
    if (trust.listed.every((candidate) => candidate === undefined))
      this.#after(this.#options.passiveMs ?? PASSIVE_MS, () => this.#uncalled())
    return this.#describe(fields, { answer: true, iceRestart: false })
  }

  restart(): Promise<LinkDescription> {
    return this.#inTurn(async () => {
      this.#requireRestarts()
      this.#restart = this.#attemptId = randomAttempt(this.#options.random ?? secureRandom)
      const [fields] = await Promise.all([this.#control.restart(), this.#lanes.offerRestart()])
      return this.#describe(fields, { answer: false, iceRestart: true })
    })
  }

  answerRestart(offer: LinkDescription): Promise<LinkDescription> {
    return this.#inTurn(async () => {
      this.#requireRestarts()
      const description = await checkDescription(offer.description, this.#expect("offer", true))
      const trust = await this.#renewed(offer, description)
      this.#attemptId = description.attemptId
      this.#restart = undefined
      const [fields] = await Promise.all([
        this.#control.answerRestart(fieldsOf(description)),
        this.#lanes.answerRestart(trust.blocks, trust),
      ])
      await this.#addRemote(trust.listed)
      return this.#describe(fields, { answer: true, iceRestart: true })
    })
  }

  async #acceptRestart(answer: LinkDescription): Promise<void> {
    const description = await checkDescription(answer.description, this.#expect("answer", true))
    const trust = await this.#renewed(answer, description)
    this.#restart = undefined
    const setup = this.role === "offerer" ? "active" : "passive"
    await Promise.all([this.#control.acceptRestart(fieldsOf(description), setup), this.#lanes.acceptRestart(trust.blocks, trust)])
    await this.#addRemote(trust.listed)
  }

  /** The peer's new addresses, if they come with the certificate that was proven. */
  async #renewed(from: LinkDescription, description: SessionDescription) {
    const { dtlsFingerprint } = description
    if (this.#remote === undefined || !equalBytes(dtlsFingerprint, this.#remote.dtlsFingerprint)) {
      throw new AvError("LaneFingerprint")
    }
    const blocks = await this.#blocksOf(from, description)
    const trust = await this.#trusted(from, description)
    this.#remote = description
    this.#gate = trust.gate
    return { blocks, ...trust }
  }

  async acceptAnswer(answer: LinkDescription): Promise<void> {
    if (this.#restart !== undefined) return this.#inTurn(() => this.#acceptRestart(answer))
    if (this.role !== "offerer") throw new AvError("UsageError", {}, { message: "only an offerer accepts an answer" })
    const work = this.#applyAnswer(answer)
    this.#answered = work.catch(() => undefined)
    await work
  }

  async #applyAnswer(answer: LinkDescription): Promise<void> {
    const description = await checkDescription(answer.description, this.#expect("answer"))
    const blocks = await this.#blocksOf(answer, description)
    const trust = await this.#trusted(answer, description)
    if (this.#closed !== undefined) throw new AvError("SessionClosed")
    if (this.#remote !== undefined) throw new AvError("DescriptionInvalid", { why: "answered already" })
    this.#remote = description
    this.#gate = trust.gate
    try {
      await Promise.all([this.#control.acceptAnswer(fieldsOf(description)), this.#lanes.acceptFirst(blocks, trust)])
      await this.#addRemote(trust.listed)
    } catch (cause) {
      const error = asAvError(cause)
      this.#end({ reason: "ice-failed", error })
      throw error
    }
  }

  async addCandidates(more: LinkDescription): Promise<void> {
    const description = await checkDescription(more.description, this.#expect("trickle"))
    // Candidates of the answerer may overtake the check of its answer.
    await this.#answered
    const remote = this.#remote
    if (remote === undefined || this.#closed !== undefined) throw new AvError("DescriptionInvalid", { why: "no attempt" })
    if (!equalBytes(description.dtlsFingerprint, remote.dtlsFingerprint)) throw new AvError("LaneFingerprint")
    if (description.ufrag !== remote.ufrag) throw new AvError("DescriptionInvalid", { why: "other credentials" })
    await this.#addRemote(this.#gate?.admit(description.candidates) ?? [])
  }

  addVideoLane(): void {
    this.#lanes.addVideoLane()
  }

  allowLaneControl(): void {
    this.#laneControl = true
    this.#lanes.allow()
    for (const bytes of this.#heldControl.splice(0)) this.#receiveLaneControl(bytes)
  }

  check(): void {
    this.#core.check()
  }

  hold(held: boolean): void {
    this.#lanes.hold(held)
  }

  loseLane(): boolean {
    return this.#lanes.lose()
  }

  abandon(reason: CloseReason): void {
    this.#end({ reason })
  }

  replaceLane(laneId: number): void {
    this.#lanes.replaceLane(laneId)
  }

  closeLane(laneId: number): void {
    this.#lanes.closeLane(laneId)
  }

  async stats(): Promise<LinkTransportStats> {
    const control = { laneId: 0, role: "control" as const, path: "page" as const, state: this.#channels.state }
    const transport = this.#closed === undefined ? await transportStats(this.#control.connection) : {}
    return { ...transport, lanes: [control, ...this.#lanes.infos], drops: Object.fromEntries(this.#drops) }
  }

  close(code?: number, text?: string): void {
    if (this.#closed === undefined) this.#core.close(code, text)
  }

  #now(): number {
    return this.#options.wallClock?.() ?? Date.now()
  }

  #expect(kind: DescriptionExpectation["kind"], restart = false): DescriptionExpectation {
    const { signer, peerNode, pins } = this.#options
    const attempt = kind === "offer" ? {} : { attemptId: this.#attemptId }
    return { selfNode: signer.nodeId, fromNode: peerNode, kind, restart, ...attempt, now: this.#now(), ...(pins && { pins }) }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#exchange.then(work)
    this.#exchange = run.catch(() => undefined)
    return run
  }

  #requireRestarts(): void {
    this.#requireReady()
    if (this.#options.webrtc?.restarts === false) throw new AvError("RestartUnsupported")
  }

  #requireReady(): void {
    if (this.#session === undefined || this.#closed !== undefined) throw new AvError("SessionClosed")
  }

  /** Key 8 that does not verify drops the blocks and never the description. */
  async #blocksOf(from: LinkDescription, description: SessionDescription): Promise<LaneBlock[]> {
    if (from.key8 === undefined) return []
    try {
      return await openLaneKey(from.key8, from.description, description.fromEntity, description.candidates.length)
    } catch (error) {
      this.#drop(asAvError(error, "LaneBlockInvalid"))
      return []
    }
  }

  /** What the lanes go by from now on. The addresses are judged by what came beside the description, once its signature is known. */
  async #trusted({ attestation, byMember }: LinkDescription, { fromEntity, dtlsFingerprint, candidates }: SessionDescription) {
    const word = { ...(attestation && { attestation }), ...(byMember !== undefined && { byMember }) }
    const gate = await this.#options.addresses.gateFor({ subject: fromEntity, ...word })
    return { fingerprint: dtlsFingerprint, listed: gate.admit(candidates), gate }
  }

  /** Without any the end is passive: it answers whoever reaches it, and sends nothing before (control-plane 6.6). */
  async #addRemote(candidates: readonly (CandidateEntry | undefined)[]): Promise<void> {
    await this.#control.addRemoteCandidates(candidates.filter((candidate) => candidate !== undefined))
  }

  async #describe(fields: TransportFields, kind: { answer: boolean; iceRestart: boolean }): Promise<LinkDescription> {
    this.#local = fields
    const gatherMs = this.#options.gatherMs ?? GATHER_MS
    const gathered = this.#lanes.gathered(gatherMs)
    await this.#control.settle(gatherMs)
    this.#ownGate = this.#options.addresses.ownGate()
    const listed = this.#shown(this.#control.candidates)
    await gathered
    const description = await this.#sign(fields, listed, { ...kind, trickle: false })
    const key8 = await signLaneKey(description, this.#lanes.blocks(listed), this.#options.signer)
    return key8 === undefined ? { description } : { description, key8 }
  }

  #sign(
    fields: TransportFields,
    candidates: CandidateEntry[],
    flags: { answer: boolean; iceRestart: boolean; trickle: boolean },
  ): Promise<Bytes> {
    const { signer, peerNode } = this.#options
    return signDescription(
      {
        ...flags,
        endOfCandidates: false,
        fromEntity: signer.entityId,
        toNode: peerNode,
        attemptId: this.#attemptId,
        issuedMs: BigInt(Math.floor(this.#now())),
        dtlsFingerprint: fields.fingerprint,
        ufrag: fields.ufrag,
        pwd: fields.pwd,
        candidates,
      },
      signer,
    )
  }

  /** Our own candidates without those that the peer would have to refuse. */
  #shown(candidates: readonly CandidateEntry[]): CandidateEntry[] {
    return this.#ownGate.admit(candidates).filter((candidate) => candidate !== undefined)
  }

  #trickle(candidate: CandidateEntry): void {
    const fields = this.#local
    if (this.#options.trickle === false || fields === undefined || this.#closed !== undefined) return
    this.#fresh.push(...this.#shown([candidate]))
    this.#trickleTimer ??= this.#after(TRICKLE_MS, () => {
      this.#trickleTimer = undefined
      const candidates = this.#fresh
      this.#fresh = []
      if (candidates.length === 0) return
      this.#sign(fields, candidates, { answer: this.role === "answerer", iceRestart: false, trickle: true }).then(
        (description) => this.#closed === undefined && this.#events.emit("candidates", { description }),
        () => this.#drop(new AvError("SignerError")),
      )
    })
  }

  /** Passive, and time is up: `new` says that nobody has sent a check. */
  #uncalled(): void {
    if (this.#control.connection.iceConnectionState !== "new") return
    this.#end({ reason: "connect-timeout", error: new AvError("LinkFailed", { why: "not called" }) })
  }

  #prove(): void {
    const local = this.#local
    const remote = this.#remote
    if (local === undefined || remote === undefined || this.#core.closed) return
    const { signer, pins, random } = this.#options
    this.#core.prove(
      new SessionProof({
        signer,
        localFingerprint: local.fingerprint,
        remoteFingerprint: remote.dtlsFingerprint,
        wallMs: this.#now(),
        now: performance.now(),
        expectedEntity: remote.fromEntity,
        ...(pins && { pins }),
        ...(random && { random }),
      }),
    )
  }

  #ready(session: ControlSession, sessionKey: Bytes): void {
    this.#session = session
    this.#events.emit("ready", { session, sessionKey })
    if (this.#closed === undefined) this.#lanes.start(compareUtf8(this.#options.signer.keyId, session.peer.keyId) < 0)
  }

  #receiveLaneControl(bytes: Bytes): void {
    if (!this.#laneControl) {
      // The peer may learn that we are members a moment before we learn it of the peer.
      if (this.#heldControl.length < MAX_HELD_CONTROL) this.#heldControl.push(bytes)
      else this.#drop(new AvError("LaneLimit", { max: MAX_HELD_CONTROL }))
      return
    }
    const work = async () => {
      try {
        await this.#lanes.receive(decodeLaneControl(bytes, this.#remote?.candidates.length ?? 0))
      } catch (error) {
        this.#drop(asAvError(error, "LaneBlockInvalid"))
      }
    }
    this.#laneWork = this.#laneWork.then(work)
  }

  #connection(state: RTCPeerConnectionState): void {
    clearTimeout(this.#disconnected)
    const failed = () => this.#end({ reason: "ice-failed", error: new AvError("LinkFailed", { why: state }) })
    if (state === "closed" || (state === "failed" && this.#session === undefined)) failed()
    // A restart revives a connection that has failed; its owner gets the time to make one.
    else if (state === "disconnected" || state === "failed") this.#disconnected = this.#after(DISCONNECTED_MS, failed)
    this.#events.emit("ice", { state })
  }

  #drop(error: AvError): void {
    this.#drops.set(error.code, (this.#drops.get(error.code) ?? 0) + 1)
  }

  #after(ms: number, run: () => void): ReturnType<typeof setTimeout> {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      run()
    }, ms)
    this.#timers.add(timer)
    return timer
  }

  #end(info: ClosedInfo): void {
    if (this.#closed !== undefined) return
    this.#closed = info
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
    this.#options.signal?.removeEventListener("abort", this.#onAbort)
    this.#core.abandon(info.reason as CloseReason, info.error)
    this.#lanes.close()
    const release = () => {
      this.#channels.close()
      this.#control.close()
    }
    // What was queued last, a GOAWAY as a rule, gets a moment to leave.
    if (this.#channels.state === "open") setTimeout(release, LINGER_MS)
    else release()
    this.#events.emit("closed", info)
    this.#events.clear()
  }
}

function fieldsOf(description: SessionDescription): TransportFields {
  return { ufrag: description.ufrag, pwd: description.pwd, fingerprint: description.dtlsFingerprint }
}

function randomAttempt(random: (length: number) => Bytes): bigint {
  return new DataView(random(8).slice().buffer).getBigUint64(0)
}
