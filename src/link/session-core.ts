/** One authenticated control conversation, direct or routed: frames, `av.keys`, `av.kex`, PING and the end (control-plane 0.5). */
import { linkBind } from "../crypto/room-keys.ts"
import type { SessionProof, SessionProofAction } from "../identity/session-proof.ts"
import {
  type AssembledFrame,
  decodeBinaryPayload,
  decodePing,
  encodeBinaryPayload,
  FRAME_BINARY,
  FRAME_GOAWAY,
  FRAME_HELLO,
  FRAME_HELLO_AUTH,
  FRAME_JSON,
  FRAME_PING,
  FRAME_PONG,
  FRAME_RPC,
  FrameAssembler,
  PING_LENGTH,
} from "../wire/control-frame.ts"
import {
  type ControlMessage,
  decodeControlMessage,
  encodeControlMessage,
  type KnownControlMessage,
} from "../wire/control-json.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import { decodeGoaway, encodeGoaway, GOAWAY_REASONS } from "../wire/goaway.ts"
import { LINK_LANE_NAME } from "../wire/lane-control.ts"
import type { Bytes } from "../wire/types.ts"
import { Emitter } from "./emitter.ts"
import { asAvError, GOAWAY, goawayCodeOf, isHandshakeTimeout } from "./errors.ts"
import { FrameOutbox } from "./frame-outbox.ts"
import { KEX_TIMEOUT_MS, type KexAction, KexMachine } from "./kex.ts"
import { checkPeerKeys, type ProvenPeer } from "./peer-keys.ts"
import { MAX_INBOX, SessionInbox } from "./session-inbox.ts"
import { PASSED_ON, type SessionCoreOptions } from "./session-options.ts"
import { SessionPulse } from "./session-pulse.ts"
import type { AuthenticatedPeer, ClosedInfo, CloseReason, ControlSession, SessionEvents } from "./types.ts"

const TICK_MS = 500
/** Faulty messages after which the session ends: one bug should not end a call, a flood of garbage should. */
const MAX_FAULTS = 256
type Job = () => Promise<void>

export class SessionCore implements ControlSession {
  readonly id: string
  readonly kind: "direct" | "routed"
  readonly #options: SessionCoreOptions
  readonly #events = new Emitter<SessionEvents>()
  readonly on = this.#events.on
  readonly #control: FrameOutbox
  readonly #rpc: FrameOutbox | undefined
  readonly #assembler = new FrameAssembler()
  /** Of those that the assemblers dropped without a word, how many were counted. */
  #lostMessages = 0
  readonly #rpcAssembler = new FrameAssembler()
  readonly #inbox: SessionInbox<AssembledFrame | Job>
  readonly #pulse: SessionPulse
  readonly #timer: ReturnType<typeof setInterval>
  #proof: SessionProof | undefined
  #proven: ProvenPeer | undefined
  #peer: AuthenticatedPeer | undefined
  #kex: KexMachine | undefined
  #bind: Bytes | undefined
  #keysDeadline: number | undefined
  /** The hourly renewal waits for its turn. */
  #renewing = false
  #closed = false
  #faults = 0

  constructor(options: SessionCoreOptions) {
    this.id = options.id
    this.kind = options.kind
    this.#options = options
    this.#control = new FrameOutbox(options.control)
    this.#rpc = options.rpc && new FrameOutbox(options.rpc)
    this.#pulse = new SessionPulse(options.clock())
    this.#inbox = new SessionInbox({
      work: (item) => (typeof item === "function" ? item() : this.#dispatch(item)),
      failed: (error) => this.#fail(asAvError(error)),
      isOver: () => this.#closed,
    })
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
  }

  get peer(): AuthenticatedPeer {
    return this.#peer ?? neverReady()
  }

  get bind(): Bytes {
    return this.#bind ?? neverReady()
  }

  get ready(): boolean {
    return this.#bind !== undefined
  }

  get closed(): boolean {
    return this.#closed
  }

  /** Round trip of the last PING, ms. */
  get rttMs(): number | undefined {
    return this.#pulse.rttMs
  }

  /** Begins a direct session: HELLO goes out, and frames go to the proof until it names the peer. */
  prove(proof: SessionProof): void {
    this.#proof = proof
    this.#carryOut(proof.start())
  }

  /** Begins with a peer that is proven already: `av.keys`, then `av.kex`. */
  begin(peer: ProvenPeer): void {
    this.#exchangeKeys(peer)
  }

  /** One frame as it came from the channel. */
  receive(frame: Bytes): void {
    this.#receive(frame, this.#assembler)
  }

  /** One frame of the `rpc` channel, which carries nothing but calls. */
  receiveRpc(frame: Bytes): void {
    if (this.ready) this.#receive(frame, this.#rpcAssembler, FRAME_RPC)
  }

  /** Asks the peer for a sign of life now; it shows as `heard`. */
  check(): void {
    if (this.ready && !this.#closed) this.#ping(this.#options.clock())
  }

  /** A channel drained. */
  flush(): void {
    if (this.#closed) return
    this.#control.flush()
    this.#rpc?.flush()
    this.#events.emit("drained", {})
  }

  buffered(type: number): number {
    return this.#box(type).bufferedBytes
  }

  send(message: KnownControlMessage): void {
    this.sendFrame(FRAME_JSON, encodeControlMessage(message))
  }

  sendBinary(name: string, bytes: Bytes): void {
    this.sendFrame(FRAME_BINARY, encodeBinaryPayload(name, bytes))
  }

  sendFrame(type: number, payload: Bytes, order?: bigint): void {
    if (this.#closed) throw new AvError("SessionClosed")
    this.#pulse.sent(this.#options.clock())
    try {
      this.#box(type).push(type, payload, order)
    } catch (error) {
      if (isAvError(error, "LimitExceeded")) this.#end("overflow", { code: GOAWAY.limit, error })
      throw error
    }
  }

  /** Calls have a channel of their own where there is one: a large body must not hold up control. */
  #box(type: number): FrameOutbox {
    return type === FRAME_RPC ? (this.#rpc ?? this.#control) : this.#control
  }

  /** Without a code nothing is said about the peer itself: it may have other sessions, and stays in its rooms. */
  close(code: number = GOAWAY.unspecified, text = ""): void {
    this.#end("local", { code, text })
  }

  /** The transport is gone or something above failed: the end without a word to the peer. */
  abandon(reason: CloseReason, error?: AvError): void {
    this.#finish({ reason, ...(error && { error }) })
  }

  #fail(error: AvError, code = goawayCodeOf(error)): void {
    const reason: CloseReason = this.ready ? "protocol" : isHandshakeTimeout(error) ? "handshake-timeout" : "handshake-failed"
    this.#end(reason, { code, error })
  }

  #receive(frame: Bytes, assembler: FrameAssembler, only?: number): void {
    if (this.#closed) return
    try {
      const message = assembler.push(frame, this.#options.clock())
      this.#countLost()
      if (message === undefined) return
      if (only !== undefined && message.type !== only) throw new AvError("FrameInvalid", { type: message.type })
      this.#enqueue(message)
    } catch (error) {
      this.#fault(asAvError(error))
    }
  }

  #enqueue(item: AssembledFrame | Job): void {
    if (this.#inbox.push(item)) return
    this.#end("overflow", { code: GOAWAY.limit, error: new AvError("LimitExceeded", { what: "inbox", max: MAX_INBOX }) })
  }

  #dispatch(frame: AssembledFrame): Promise<void> | undefined {
    if (this.#proof !== undefined && this.#proven === undefined) return this.#advanceProof(this.#proof, frame)
    const now = this.#options.clock()
    if (this.#pulse.heard(now)) this.#events.emit("heard", {})
    const { type, payload } = frame
    if (type === FRAME_HELLO || type === FRAME_HELLO_AUTH)
      throw new AvError("SessionProofFailed", { why: "HELLO after the proof" })
    try {
      if (type === FRAME_PING) this.sendFrame(FRAME_PONG, decodePing(payload))
      else if (type === FRAME_PONG) this.#pulse.ponged(decodePing(payload), now)
      else if (type === FRAME_GOAWAY) this.#goaway(payload)
      else if (type === FRAME_JSON) return this.#json(decodeControlMessage(payload), payload)
      else if (!this.ready) throw new AvError("FrameInvalid", { type, why: "before the key exchange" })
      else if (type === FRAME_BINARY) this.#binary(payload)
      else if (PASSED_ON.includes(type)) this.#events.emit("frame", { type, payload })
      // A newer peer may know more types: that is no fault, and is not counted as one.
      else this.#events.emit("dropped", { error: new AvError("FrameInvalid", { type, why: "unknown type" }) })
    } catch (error) {
      this.#fault(asAvError(error))
    }
    return undefined
  }

  async #advanceProof(proof: SessionProof, frame: AssembledFrame): Promise<void> {
    this.#carryOut(await proof.receive(frame.type, frame.payload))
  }

  #carryOut(actions: SessionProofAction[]): void {
    for (const action of actions) {
      if (this.#closed) return
      if (action.kind === "send") this.sendFrame(action.type, action.payload)
      else if (action.kind === "ready") {
        const { peer } = action
        this.#exchangeKeys({ ...peer, clockSkewMs: Number(peer.wallMs) - this.#options.wallClock() })
      } else if (action.goaway === undefined && action.error.code === "SessionClosed") {
        this.#finish({ reason: "goaway", error: action.error })
      } else this.#fail(action.error, GOAWAY_REASONS.indexOf(action.goaway ?? "unspecified"))
    }
  }

  #exchangeKeys(peer: ProvenPeer): void {
    this.#proven = peer
    this.#keysDeadline = this.#options.clock() + KEX_TIMEOUT_MS
    const { entityId, mlDsaPublicKey } = this.#options.signer
    if (mlDsaPublicKey.length === 0) throw new AvError("SignerLacksPqc")
    this.send({ t: "av.keys", entityId, mlDsa65: mlDsaPublicKey })
  }

  #json(message: ControlMessage, payload: Bytes): Promise<void> | undefined {
    if (message.t === "av.keys") return this.#keys(message.entityId, message.mlDsa65)
    if (message.t === "av.kex") return this.#kexMessage(message.step, message.body)
    if (!this.ready) throw new AvError("ControlMalformed", { t: message.t, why: "before the key exchange" })
    // The room's memory has a table of its own, and reads them where it runs.
    if (message.t === "unknown" && message.name.startsWith("holo.")) this.#events.emit("frame", { type: FRAME_JSON, payload })
    else this.#events.emit("message", message)
    return undefined
  }

  async #keys(entityId: Bytes, mlDsaPublicKey: Bytes): Promise<void> {
    if (this.#peer !== undefined || this.#proven === undefined)
      return this.#fault(new AvError("ControlMalformed", { t: "av.keys" }))
    const keyId = checkPeerKeys(this.#proven, entityId, mlDsaPublicKey)
    this.#peer = { ...this.#proven, keyId, mlDsaPublicKey }
    const { signer, random, clock } = this.#options
    this.#kex = new KexMachine(
      { keyId: signer.keyId, peer: this.#peer, sign: (message) => signer.signHybrid(message), random },
      clock(),
    )
    this.#keysDeadline = undefined
    if (this.#kex.initiator) this.#run(await this.#kex.start(clock()))
  }

  async #kexMessage(step: number, body: Bytes): Promise<void> {
    if (this.#kex === undefined) throw new AvError("KexInvalid", { why: "before av.keys" })
    this.#run(await this.#kex.receive(step, body, this.#options.clock()))
  }

  #run(actions: KexAction[]): void {
    if (this.#closed) return
    for (const action of actions) {
      if (action.kind === "send") this.send({ t: "av.kex", step: action.step, body: action.body })
      else if (this.ready) this.#options.onSessionKey?.(action.sessionKey)
      else {
        this.#bind = linkBind(action.sessionKey)
        this.#options.onReady(this, action.sessionKey)
      }
    }
  }

  #binary(payload: Bytes): void {
    const { name, bytes } = decodeBinaryPayload(payload)
    if (name !== LINK_LANE_NAME) this.#events.emit("binary", { name, bytes })
    else this.#options.onLaneControl?.(bytes)
  }

  #goaway(payload: Bytes): void {
    const { reason, text } = decodeGoaway(payload)
    const code = GOAWAY_REASONS.indexOf(reason)
    this.#events.emit("goaway", { code, text })
    this.#finish({ reason: "goaway", code, text })
  }

  /** A message that broke its rules is dropped and counted; too many end the session. */
  #fault(error: AvError): void {
    this.#faults++
    this.#events.emit("dropped", { error })
    if (this.#proven === undefined || this.#faults > MAX_FAULTS) this.#end("protocol", { code: GOAWAY.protocol, error })
  }

  /** Long messages that were too many, too large or too slow were dropped without a word; they are counted here. */
  #countLost(): void {
    const lost = this.#assembler.counters.silent + this.#rpcAssembler.counters.silent
    for (; this.#lostMessages < lost; this.#lostMessages++) {
      this.#events.emit("dropped", { error: new AvError("FragmentInvalid", { why: "too many or too slow" }) })
    }
  }

  #tick(): void {
    const now = this.#options.clock()
    this.#pulse.tick(now)
    try {
      if (this.#proven === undefined && this.#proof !== undefined) this.#carryOut(this.#proof.tick(now))
      if (this.#keysDeadline !== undefined && now >= this.#keysDeadline) throw new AvError("KexTimeout", { waiting: "av.keys" })
      this.#kex?.checkTimeout(now)
    } catch (error) {
      this.#fail(asAvError(error))
      return
    }
    this.#assembler.expire(now)
    this.#rpcAssembler.expire(now)
    this.#countLost()
    const kex = this.#kex
    // Its turn may come after several ticks: it is asked for once.
    if (kex?.renewalDue(now) && !this.#renewing) {
      this.#renewing = true
      this.#enqueue(async () => {
        try {
          this.#run(await kex.start(now))
        } finally {
          this.#renewing = false
        }
      })
    }
    if (this.#options.kind === "routed" && this.ready && this.#pulse.isSilent(now)) {
      this.#finish({ reason: "channel-closed" })
      return
    }
    if (this.ready && this.#pulse.pingDue(now)) this.#ping(now)
  }

  #ping(now: number): void {
    const token = this.#options.random(PING_LENGTH)
    this.#pulse.pinged(token, now)
    try {
      this.sendFrame(FRAME_PING, token)
    } catch {
      // sendFrame has ended the session already.
    }
  }

  #end(reason: CloseReason, detail: Omit<ClosedInfo, "reason">): void {
    if (this.#closed) return
    try {
      const goaway = { reason: GOAWAY_REASONS[detail.code ?? 0] ?? "unspecified", text: (detail.text ?? "").slice(0, 16) }
      if (reason !== "overflow") this.#control.push(FRAME_GOAWAY, encodeGoaway(goaway))
    } catch {
      // The transport is gone; the peer will see that by itself.
    }
    this.#finish({ reason, ...detail })
  }

  #finish(info: ClosedInfo): void {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#timer)
    this.#kex?.close()
    this.#inbox.clear()
    this.#options.onClosed(info)
    this.#events.emit("closed", info)
    this.#events.clear()
  }
}

function neverReady(): never {
  throw new AvError("UsageError", {}, { message: "the session is not ready" })
}
