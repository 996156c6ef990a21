/** Proves to both ends of a direct session which entity is on the other side (control-plane 1.5). No timers, no sockets. */
import {
  ctEqual,
  hmacSha256Sync,
  isEd25519PublicKey,
  nodeIdOf,
  peerKeyIdOf,
  secureRandom,
  signLabelled,
  verifyLabelled,
} from "../crypto/index.ts"
import { concatBytes, utf8Encode } from "../wire/bytes.ts"
import { AvError, type ErrorCode, isAvError } from "../wire/errors.ts"
import { FRAME_GOAWAY, FRAME_HELLO, FRAME_HELLO_AUTH } from "../wire/frame.ts"
import { decodeGoaway, type GoawayReason } from "../wire/goaway.ts"
import {
  decodeHello,
  decodeHelloAuth,
  encodeHello,
  encodeHelloAuth,
  HELLO_LABEL,
  type Hello,
  helloTranscript,
  NAMESPACE_KEY_LABEL,
  type TranscriptSide,
} from "../wire/hello.ts"
import type { Bytes, NodeId, PeerKeyId, RandomBytes, U64 } from "../wire/types.ts"
import type { PinTable } from "./pins.ts"
import type { IdentitySigner } from "./signer.ts"

/** Time for the whole exchange, in milliseconds. */
export const SESSION_PROOF_TIMEOUT_MS = 5_000

/** The other end, once proven. Everything is computed from keys it showed to hold, nothing is believed. */
export interface AuthenticatedPeer {
  entityId: Bytes
  nodeId: NodeId
  keyId: PeerKeyId
  /** SHA-256 of its ML-DSA-65 key; 32 zero bytes when it has none. */
  pqHash: Bytes
  /** Its wall clock in HELLO, milliseconds. A hint for gauges. */
  wallMs: U64
}

export type SessionProofAction =
  | { kind: "send"; type: typeof FRAME_HELLO | typeof FRAME_HELLO_AUTH; payload: Bytes }
  | { kind: "ready"; peer: AuthenticatedPeer }
  /** Send GOAWAY with `goaway` where given, then close. */
  | { kind: "close"; error: AvError; goaway?: GoawayReason }

export interface SessionProofOptions {
  signer: IdentitySigner
  /** SHA-256 fingerprint of our DTLS certificate; 32 zero bytes on a WebSocket. */
  localFingerprint: Bytes
  /** The fingerprint in the applied remote description; 32 zero bytes on a WebSocket. */
  remoteFingerprint: Bytes
  /** Our wall clock, milliseconds since the epoch. */
  wallMs: number
  /** Now on the clock that {@link SessionProof.tick} is called with, milliseconds. */
  now: number
  /** When we know whom we called: anybody else is refused with `identity`. */
  expectedEntity?: Bytes
  /** The namespace's 32-byte key (D39). */
  namespaceKey?: Bytes
  /** Where the proven entity is pinned; a rebind closes the session. */
  pins?: PinTable
  random?: RandomBytes
}

type State = "waiting-for-hello" | "waiting-for-auth" | "ready" | "closed"

/** One per session. Frames must be handed over in the order they arrived; each call's actions are to be carried out in order. */
export class SessionProof {
  readonly #options: SessionProofOptions
  readonly #nonce: Bytes
  #state: State = "waiting-for-hello"
  #peerHello: Hello | undefined
  /** Signing and verifying take time; the next frame waits for them. */
  #busy: Promise<unknown> = Promise.resolve()

  constructor(options: SessionProofOptions) {
    this.#options = options
    this.#nonce = (options.random ?? secureRandom)(32)
  }

  get state(): State {
    return this.#state
  }

  /** Our HELLO, to be sent as soon as the channel is open. */
  start(): SessionProofAction[] {
    const { signer, wallMs, namespaceKey } = this.#options
    const payload = encodeHello({
      namespaceKey: namespaceKey !== undefined,
      entityId: signer.entityId,
      nonce: this.#nonce,
      pqHash: signer.pqHash,
      wallMs: BigInt(Math.max(0, Math.trunc(wallMs))),
    })
    return [{ kind: "send", type: FRAME_HELLO, payload }]
  }

  /** A control frame of any type. Before the session is ready only HELLO, HELLO_AUTH and GOAWAY are legal. */
  receive(type: number, payload: Bytes): Promise<SessionProofAction[]> {
    const run = this.#busy.then(() => this.#handle(type, payload))
    this.#busy = run
    return run
  }

  /** To be called once per second or so until the session is ready; closes it after five seconds. */
  tick(now: number): SessionProofAction[] {
    if (this.#state === "ready" || this.#state === "closed") return []
    return now - this.#options.now < SESSION_PROOF_TIMEOUT_MS ? [] : this.#close("SessionTimeout", "no session proof")
  }

  async #handle(type: number, payload: Bytes): Promise<SessionProofAction[]> {
    if (this.#state === "closed") return []
    try {
      if (type === FRAME_HELLO) return await this.#hello(payload)
      if (type === FRAME_HELLO_AUTH) return await this.#auth(payload)
      if (type === FRAME_GOAWAY) {
        this.#state = "closed"
        return [{ kind: "close", error: new AvError("SessionClosed", { reason: decodeGoaway(payload).reason }) }]
      }
    } catch (error) {
      if (isAvError(error)) return this.#close("SessionProofFailed", error.code, "protocol", error)
      throw error
    }
    return this.#state === "ready" ? [] : this.#close("SessionProofFailed", "frame before the proof", "protocol")
  }

  async #hello(payload: Bytes): Promise<SessionProofAction[]> {
    if (this.#state !== "waiting-for-hello") return this.#close("SessionProofFailed", "second HELLO", "protocol")
    const hello = decodeHello(payload)
    const { signer, expectedEntity, namespaceKey } = this.#options
    if (ctEqual(hello.entityId, signer.entityId)) return this.#close("SessionSelf", "own entity", "self")
    if (!isEd25519PublicKey(hello.entityId)) return this.#close("SessionProofFailed", "entity is no key", "identity")
    if (expectedEntity !== undefined && !ctEqual(hello.entityId, expectedEntity)) {
      return this.#close("SessionProofFailed", "another entity than expected", "identity")
    }
    if (ctEqual(hello.nonce, this.#nonce)) return this.#close("SessionProofFailed", "repeated nonce", "protocol")
    if (hello.namespaceKey !== (namespaceKey !== undefined)) return this.#close("SessionProofFailed", "namespace key", "psk")
    this.#peerHello = hello
    this.#state = "waiting-for-auth"
    const transcript = helloTranscript(this.#mine(), this.#theirs(hello))
    let signature: Bytes
    try {
      signature = await signLabelled(HELLO_LABEL, transcript, signer)
    } catch (cause) {
      return this.#close("SignerError", "hello", undefined, cause)
    }
    if (this.#isClosed()) return []
    const auth = namespaceKey === undefined ? { signature } : { signature, namespaceMac: namespaceMac(namespaceKey, transcript) }
    return [{ kind: "send", type: FRAME_HELLO_AUTH, payload: encodeHelloAuth(auth) }]
  }

  async #auth(payload: Bytes): Promise<SessionProofAction[]> {
    const hello = this.#peerHello
    if (this.#state !== "waiting-for-auth" || hello === undefined) {
      return this.#close("SessionProofFailed", "HELLO_AUTH out of turn", "protocol")
    }
    const auth = decodeHelloAuth(payload)
    const { namespaceKey, pins } = this.#options
    const transcript = helloTranscript(this.#theirs(hello), this.#mine())
    if (!(await verifyLabelled(HELLO_LABEL, transcript, hello.entityId, auth.signature))) {
      return this.#close("SessionProofFailed", "signature", "identity")
    }
    if (this.#isClosed()) return []
    if (!macMatches(namespaceKey, auth.namespaceMac, transcript)) return this.#close("SessionProofFailed", "namespace key", "psk")
    const nodeId = nodeIdOf(hello.entityId)
    try {
      pins?.pin(nodeId, hello.entityId)
    } catch (cause) {
      return this.#close("EntityRebind", nodeId, "identity", cause)
    }
    this.#state = "ready"
    const keyId = peerKeyIdOf(hello.entityId, hello.pqHash)
    return [{ kind: "ready", peer: { entityId: hello.entityId, nodeId, keyId, pqHash: hello.pqHash, wallMs: hello.wallMs } }]
  }

  /** A timeout may close the session while a signature is being made. */
  #isClosed(): boolean {
    return this.#state === "closed"
  }

  #mine(): TranscriptSide {
    const { signer, localFingerprint } = this.#options
    return { entityId: signer.entityId, nonce: this.#nonce, fingerprint: localFingerprint, pqHash: signer.pqHash }
  }

  #theirs(hello: Hello): TranscriptSide {
    return { entityId: hello.entityId, nonce: hello.nonce, fingerprint: this.#options.remoteFingerprint, pqHash: hello.pqHash }
  }

  #close(code: ErrorCode, why: string, goaway?: GoawayReason, cause?: unknown): SessionProofAction[] {
    this.#state = "closed"
    const error = new AvError(code, { why }, { cause })
    return [goaway === undefined ? { kind: "close", error } : { kind: "close", error, goaway }]
  }
}

function namespaceMac(key: Bytes, transcript: Bytes): Bytes {
  return hmacSha256Sync(key, concatBytes(utf8Encode(NAMESPACE_KEY_LABEL), Uint8Array.of(0), transcript))
}

/** With a key the right MAC must be there, without one none may be. */
function macMatches(key: Bytes | undefined, mac: Bytes | undefined, transcript: Bytes): boolean {
  if (key === undefined || mac === undefined) return key === mac
  return ctEqual(mac, namespaceMac(key, transcript))
}
