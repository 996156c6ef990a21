/**
 * One end of the socket between client and server: session proof, frames, PING and silence (control-plane 0.5, 1.5).
 * Both ends use it. It owns no timer and no socket: bytes and the clock come in, bytes go out through hooks.
 */
import { type AuthenticatedPeer, SessionProof, type SessionProofAction } from "../identity/session-proof.ts"
import type { IdentitySigner } from "../identity/signer.ts"
import {
  FRAME_GOAWAY,
  FRAME_HELLO,
  FRAME_HELLO_AUTH,
  FRAME_PING,
  FRAME_PONG,
  FrameAssembler,
  FrameSplitter,
  PING_LENGTH,
} from "../wire/control-frame.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import { encodeGoaway, type GoawayReason } from "../wire/goaway.ts"
import type { Bytes, Milliseconds, RandomBytes } from "../wire/types.ts"

/** PING goes out after this long without another frame. */
const PING_AFTER_MS = 2_000
/** There are no certificates to bind on a WebSocket (control-plane 1.5). */
const NO_FINGERPRINT = /* @__PURE__ */ new Uint8Array(32)

interface SocketSessionHooks {
  send(bytes: Bytes): void
  proven(peer: AuthenticatedPeer): void
  /** A whole message of the proven peer, GOAWAY included; HELLO, PING and PONG are handled here. */
  message(frameType: number, payload: Bytes): void
  /** The session is over and the socket must be closed. Called once, and nothing after it. */
  lost(error: AvError): void
}

interface SocketSessionOptions {
  signer: IdentitySigner
  random: RandomBytes
  /** Silence after which the peer counts as gone. */
  idleMs: Milliseconds
  /** Unix milliseconds. */
  now: Milliseconds
}

export class SocketSession {
  readonly #options: SocketSessionOptions
  readonly #hooks: SocketSessionHooks
  readonly #proof: SessionProof
  readonly #splitter = new FrameSplitter()
  readonly #assembler = new FrameAssembler()
  #heardAt: Milliseconds
  #sentAt: Milliseconds
  #ready = false
  #over = false

  constructor(options: SocketSessionOptions, hooks: SocketSessionHooks) {
    this.#options = options
    this.#hooks = hooks
    const { signer, random, now } = options
    const fingerprints = { localFingerprint: NO_FINGERPRINT, remoteFingerprint: NO_FINGERPRINT }
    this.#proof = new SessionProof({ signer, random, now, wallMs: now, ...fingerprints })
    this.#heardAt = now
    this.#sentAt = now
  }

  get ready(): boolean {
    return this.#ready && !this.#over
  }

  /** Sends our HELLO; call it when the socket is open. */
  start(now: Milliseconds): void {
    this.#perform(this.#proof.start(), now)
  }

  /** One binary message of the socket. */
  receive(bytes: Bytes, now: Milliseconds): void {
    if (this.#over) return
    this.#heardAt = now
    let frame: { type: number; payload: Bytes } | undefined
    try {
      frame = this.#assembler.push(bytes, now)
    } catch (error) {
      if (!isAvError(error)) throw error
      this.close("protocol", error.code, now, error)
      return
    }
    if (frame === undefined) return
    const { type, payload } = frame
    const handshake = type === FRAME_HELLO || type === FRAME_HELLO_AUTH
    if (this.#ready && !handshake) {
      this.#deliver(type, payload, now)
      return
    }
    // Frames that arrive while the proof is being verified wait behind it, in order.
    void this.#proof.receive(type, payload).then(
      (actions) => {
        this.#perform(actions, now)
        if (this.#ready && !handshake) this.#deliver(type, payload, now)
      },
      (cause) => this.#end(new AvError("SessionProofFailed", { why: "signer" }, { cause })),
    )
  }

  /** Queues a message and sends it at once; dropped when the session is over. */
  send(frameType: number, payload: Bytes, now: Milliseconds): void {
    if (this.#over) return
    this.#sentAt = now
    this.#splitter.enqueue(frameType, payload)
    for (let bytes = this.#splitter.next(); bytes !== undefined; bytes = this.#splitter.next()) this.#hooks.send(bytes)
  }

  /** Call about once a second. */
  tick(now: Milliseconds): void {
    if (this.#over) return
    this.#perform(this.#proof.tick(now), now)
    this.#assembler.expire(now)
    if (!this.ready) return
    if (now - this.#heardAt >= this.#options.idleMs) this.close("unspecified", "silence", now, new AvError("SessionTimeout"))
    else if (now - this.#sentAt >= PING_AFTER_MS) this.send(FRAME_PING, this.#options.random(PING_LENGTH), now)
  }

  /** GOAWAY, then the end. */
  close(reason: GoawayReason, text: string, now: Milliseconds, error = new AvError("SessionClosed", { reason })): void {
    if (this.#over) return
    this.send(FRAME_GOAWAY, encodeGoaway({ reason, text }), now)
    this.#end(error)
  }

  /** The socket closed under the session. */
  socketClosed(): void {
    this.#end(new AvError("SessionClosed", { reason: "socket" }))
  }

  #deliver(type: number, payload: Bytes, now: Milliseconds): void {
    if (this.#over) return
    if (type === FRAME_PING) {
      if (payload.length === PING_LENGTH) this.send(FRAME_PONG, payload, now)
      return
    }
    if (type !== FRAME_PONG) this.#hooks.message(type, payload)
  }

  #perform(actions: SessionProofAction[], now: Milliseconds): void {
    for (const action of actions) {
      if (this.#over) return
      if (action.kind === "send") this.send(action.type, action.payload, now)
      else if (action.kind === "ready") {
        this.#ready = true
        this.#hooks.proven(action.peer)
      } else if (action.goaway === undefined) this.#end(action.error)
      else this.close(action.goaway, "", now, action.error)
    }
  }

  #end(error: AvError): void {
    if (this.#over) return
    this.#over = true
    this.#hooks.lost(error)
  }
}
