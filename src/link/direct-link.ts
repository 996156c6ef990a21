/** A direct link to one peer: puts together its control connection, session and lanes, and ends them as one (link-lanes 2, 3). */
import { secureRandom } from "../crypto/random.ts"
import { SessionProof } from "../identity/session-proof.ts"
import { compareUtf8 } from "../wire/bytes.ts"
import type { SessionDescription } from "../wire/description.ts"
import { AvError } from "../wire/errors.ts"
import { encodeLaneControl, LINK_LANE_NAME } from "../wire/lane-control.ts"
import type { Bytes } from "../wire/types.ts"
import { ControlChannels } from "./control-channels.ts"
import { Emitter } from "./emitter.ts"
import { asAvError } from "./errors.ts"
import { MAX_VIDEO_LANES } from "./lane-capacity.ts"
import { LaneInbox } from "./lane-inbox.ts"
import { LanePeer } from "./lane-peer.ts"
import { LaneSet } from "./lane-set.ts"
import { LinkExchange } from "./link-exchange.ts"
import { GATHER_MS } from "./own-description.ts"
import { patiently } from "./patience.ts"
import { SessionCore } from "./session-core.ts"
import { transportStats } from "./transport-stats.ts"
import type {
  ClosedInfo,
  CloseReason,
  ControlSession,
  LinkDescription,
  LinkEvents,
  LinkTransportStats,
  PeerLink,
  PeerLinkOptions,
} from "./types.ts"

const CONNECT_MS = 20_000
/** An end that must wait for the other one's checks waits so long (control-plane 6.6), ms. */
const PASSIVE_MS = 10_000
const VIDEO_LANES = 2
/** The control connection has been `disconnected` or `failed` for this long: the end of the link, ms. */
const DISCONNECTED_MS = 15_000
/** A GOAWAY gets this long to leave before the connections are closed, ms. */
const LINGER_MS = 150
/** Without what the browser knows of the path after so long, ms. */
const TRANSPORT_STATS_MS = 2_000

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
  readonly #laneInbox: LaneInbox
  readonly #exchange: LinkExchange
  readonly #core: SessionCore
  readonly #drops = new Map<string, number>()
  readonly #timers = new Set<ReturnType<typeof setTimeout>>()
  readonly #onAbort = () => this.close()
  readonly #now: () => number
  #session: ControlSession | undefined
  #disconnected: ReturnType<typeof setTimeout> | undefined
  #closed: ClosedInfo | undefined

  constructor(role: "offerer" | "answerer", options: PeerLinkOptions, certificate: RTCCertificate) {
    if (options.signal?.aborted) throw new AvError("Aborted")
    this.id = options.id
    this.role = role
    this.peerNode = options.peerNode
    this.#options = options
    this.#now = () => options.wallClock?.() ?? Date.now()
    const random = options.random ?? secureRandom
    const videoLanes = Math.min(Math.max(1, options.videoLanes ?? VIDEO_LANES), MAX_VIDEO_LANES)
    const iceServers = options.iceServers ?? []
    this.#control = new LanePeer({
      laneId: 0,
      certificate,
      iceServers,
      webrtc: options.webrtc,
      onCandidate: (candidate) => this.#exchange.own.found(candidate),
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
      random,
      clock: () => performance.now(),
      wallClock: this.#now,
      onReady: (session, sessionKey) => this.#ready(session, sessionKey),
      onSessionKey: (sessionKey) => this.#events.emit("sessionKey", { sessionKey }),
      onLaneControl: (bytes) => this.#laneInbox.receive(bytes),
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
      videoLanes,
      gatherMs: options.gatherMs ?? GATHER_MS,
      shown: (candidates) => this.#exchange.own.shown(candidates),
      onState: (lane, state) => this.#events.emit("lane", { laneId: lane.laneId, role: lane.role, state }),
      onPathChange: () => this.#events.emit("path", {}),
      sendControl: (message) => {
        if (!this.#core.closed) this.#core.sendBinary(LINK_LANE_NAME, encodeLaneControl(message))
      },
    })
    this.#exchange = new LinkExchange({
      link: options,
      role,
      videoLanes,
      random,
      control: this.#control,
      lanes: this.#lanes,
      now: this.#now,
      isOver: () => this.#closed !== undefined,
      requireReady: () => this.#requireReady(),
      onPassive: () => this.#after(options.passiveMs ?? PASSIVE_MS, () => this.#uncalled()),
      onCandidates: (description) => this.#events.emit("candidates", { description }),
      onFault: (error) => this.#drop(error),
      onFailed: (error) => this.#end({ reason: "ice-failed", error }),
    })
    this.#laneInbox = new LaneInbox({
      lanes: this.#lanes,
      listed: () => this.#exchange.peer.current?.candidates.length ?? 0,
      onFault: (error) => this.#drop(error),
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
    return this.#exchange.attemptId
  }

  get remoteFingerprint(): Bytes | undefined {
    return this.#exchange.peer.current?.dtlsFingerprint
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

  makeOffer(): Promise<LinkDescription> {
    return this.#exchange.makeOffer()
  }

  makeAnswer(offer: LinkDescription, description: SessionDescription): Promise<LinkDescription> {
    return this.#exchange.makeAnswer(offer, description)
  }

  acceptAnswer(answer: LinkDescription): Promise<void> {
    return this.#exchange.acceptAnswer(answer)
  }

  restart(): Promise<LinkDescription> {
    return this.#exchange.restart()
  }

  answerRestart(offer: LinkDescription): Promise<LinkDescription> {
    return this.#exchange.answerRestart(offer)
  }

  addCandidates(more: LinkDescription): Promise<void> {
    return this.#exchange.addCandidates(more)
  }

  addVideoLane(): void {
    this.#lanes.addVideoLane()
  }

  allowLaneControl(): void {
    this.#laneInbox.allow()
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
    const transport = await this.#transportStats()
    return { ...transport, lanes: [control, ...this.#lanes.infos], drops: Object.fromEntries(this.#drops) }
  }

  close(code?: number, text?: string): void {
    if (this.#closed === undefined) this.#core.close(code, text)
  }

  /** Nothing promises that a browser answers for a connection that is closed while it is asked. */
  async #transportStats(): ReturnType<typeof transportStats> {
    if (this.#closed !== undefined) return {}
    const look = (waitedMs: number) => (this.#closed !== undefined || waitedMs >= TRANSPORT_STATS_MS ? {} : undefined)
    return patiently(transportStats(this.#control.connection), look)
  }

  #requireReady(): void {
    if (this.#session === undefined || this.#closed !== undefined) throw new AvError("SessionClosed")
  }

  /** Passive, and time is up: `new` says that nobody has sent a check. */
  #uncalled(): void {
    if (this.#control.connection.iceConnectionState !== "new") return
    this.#end({ reason: "connect-timeout", error: new AvError("LinkFailed", { why: "not called" }) })
  }

  #prove(): void {
    const { own, peer } = this.#exchange
    const { fingerprint } = own
    const remote = peer.current
    if (fingerprint === undefined || remote === undefined || this.#core.closed) return
    const { signer, pins, random } = this.#options
    this.#core.prove(
      new SessionProof({
        signer,
        localFingerprint: fingerprint,
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
    this.#exchange.own.close()
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
