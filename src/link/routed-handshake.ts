/** The three-step handshake of a routed session (control-plane 1.6). No timers, no sockets; relays see keys and signatures only. */
import { ctEqual } from "../crypto/compare.ts"
import { isEd25519PublicKey } from "../crypto/ed25519.ts"
import { hkdf, sha256Sync } from "../crypto/hash.ts"
import { nodeIdOf } from "../crypto/ids.ts"
import { signLabelled, verifyLabelled } from "../crypto/labelled.ts"
import { ascii, wipe } from "../crypto/layout.ts"
import { type X25519KeyPair, x25519KeyPair, x25519Shared } from "../crypto/x25519.ts"
import type { IdentitySigner } from "../identity/signer.ts"
import { AvError } from "../wire/errors.ts"
import { HELLO_LABEL, helloTranscript, type TranscriptSide } from "../wire/hello.ts"
import {
  encodeRoutedHello,
  ROUTED_TTL,
  type RoutedHello,
  type RoutedHello1,
  type RoutedHello2,
  type RoutedHelloKeys,
} from "../wire/routed.ts"
import type { Bytes, NodeId, RandomBytes } from "../wire/types.ts"
import type { ProvenPeer } from "./peer-keys.ts"

interface RoutedHandshakeOptions {
  signer: IdentitySigner
  peerNode: NodeId
  random: RandomBytes
}

export interface RoutedKeys {
  sendKey: Bytes
  receiveKey: Bytes
}

export interface RoutedStep {
  /** ROUTED_HELLO payload to send. */
  send?: Bytes
  /** The peer is proven and these keys are agreed. */
  done?: { peer: ProvenPeer; keys: RoutedKeys }
}

/** One run, for either side. Every fault is `RoutedAuthFailed` (or `RoutedInvalid` for a step out of turn); the run goes on waiting. */
export class RoutedHandshake {
  readonly role: "initiator" | "responder"
  readonly #options: RoutedHandshakeOptions
  readonly #ephemeral: X25519KeyPair
  readonly #nonce: Bytes
  #waiting: 1 | 2 | 3 | undefined
  #theirs: RoutedHelloKeys | undefined

  constructor(role: "initiator" | "responder", options: RoutedHandshakeOptions) {
    this.role = role
    this.#options = options
    this.#ephemeral = x25519KeyPair(options.random)
    this.#nonce = options.random(32)
    this.#waiting = role === "initiator" ? 2 : 1
  }

  /** The initiator's first message. */
  start(): Bytes {
    return encodeRoutedHello({ step: 1, ...this.#envelope(), ...this.#ownKeys() })
  }

  async receive(hello: RoutedHello): Promise<RoutedStep> {
    const expected = this.#waiting
    if (hello.step !== expected) throw new AvError("RoutedInvalid", { step: hello.step, expected })
    // Claimed before the first await: a repeated message must not run twice.
    this.#waiting = undefined
    try {
      if (hello.step === 1) return await this.#respond(hello)
      if (hello.step === 2) return await this.#conclude(hello)
      return await this.#confirm(hello.signature)
    } catch (error) {
      // A forged message must not use up the run: the true one may still come.
      this.#waiting = expected
      throw error
    }
  }

  close(): void {
    this.#waiting = undefined
    wipe(this.#ephemeral.secretKey)
  }

  async #respond(hello: RoutedHello1): Promise<RoutedStep> {
    this.#checkKeys(hello)
    this.#theirs = hello
    const signature = await this.#sign(hello)
    this.#waiting = 3
    return { send: encodeRoutedHello({ step: 2, ...this.#envelope(), ...this.#ownKeys(), signature }) }
  }

  async #conclude(hello: RoutedHello2): Promise<RoutedStep> {
    this.#checkKeys(hello)
    await this.#verify(hello, hello.signature)
    const signature = await this.#sign(hello)
    const done = await this.#derive(hello)
    return { send: encodeRoutedHello({ step: 3, ...this.#envelope(), signature }), done }
  }

  async #confirm(signature: Bytes): Promise<RoutedStep> {
    const theirs = this.#theirs
    if (theirs === undefined) throw new AvError("RoutedInvalid", { step: 3 })
    await this.#verify(theirs, signature)
    return { done: await this.#derive(theirs) }
  }

  #checkKeys(theirs: RoutedHelloKeys): void {
    const refuse = (why: string) => new AvError("RoutedAuthFailed", { why })
    if (ctEqual(theirs.entityId, this.#options.signer.entityId)) throw refuse("own entity")
    if (!isEd25519PublicKey(theirs.entityId)) throw refuse("entity is no key")
    if (nodeIdOf(theirs.entityId) !== this.#options.peerNode) throw refuse("another node")
    if (ctEqual(theirs.nonce, this.#nonce)) throw refuse("repeated nonce")
  }

  #sign(theirs: RoutedHelloKeys): Promise<Bytes> {
    return signLabelled(HELLO_LABEL, helloTranscript(this.#mine(), sideOf(theirs)), this.#options.signer)
  }

  async #verify(theirs: RoutedHelloKeys, signature: Bytes): Promise<void> {
    const transcript = helloTranscript(sideOf(theirs), this.#mine())
    if (!(await verifyLabelled(HELLO_LABEL, transcript, theirs.entityId, signature))) {
      throw new AvError("RoutedAuthFailed", { why: "signature" })
    }
  }

  async #derive(theirs: RoutedHelloKeys): Promise<{ peer: ProvenPeer; keys: RoutedKeys }> {
    let shared: Bytes
    try {
      shared = await x25519Shared(this.#ephemeral.secretKey, theirs.ephemeral)
    } catch (cause) {
      throw new AvError("RoutedAuthFailed", { why: "ephemeral key" }, { cause })
    }
    const sides: [TranscriptSide, TranscriptSide] = [this.#mine(), sideOf(theirs)]
    const initiator = this.role === "initiator"
    const salt = sha256Sync(initiator ? helloTranscript(sides[0], sides[1]) : helloTranscript(sides[1], sides[0]))
    const both = await hkdf(shared, salt, ascii("mesh/routed/v1"), 64)
    const keys = [both.slice(0, 32), both.slice(32)] as const
    wipe(shared, both, this.#ephemeral.secretKey)
    const peer = { nodeId: this.#options.peerNode, entityId: theirs.entityId, pqHash: theirs.pqHash, clockSkewMs: 0 }
    return { peer, keys: { sendKey: keys[initiator ? 0 : 1], receiveKey: keys[initiator ? 1 : 0] } }
  }

  #envelope(): { src: NodeId; dst: NodeId; ttl: number } {
    return { src: this.#options.signer.nodeId, dst: this.#options.peerNode, ttl: ROUTED_TTL }
  }

  #ownKeys(): RoutedHelloKeys {
    const { entityId, pqHash } = this.#options.signer
    return { entityId, nonce: this.#nonce, ephemeral: this.#ephemeral.publicKey, pqHash }
  }

  #mine(): TranscriptSide {
    return sideOf(this.#ownKeys())
  }
}

/** The ephemeral key stands where a direct session has the DTLS fingerprint. */
function sideOf(keys: RoutedHelloKeys): TranscriptSide {
  return { entityId: keys.entityId, nonce: keys.nonce, fingerprint: keys.ephemeral, pqHash: keys.pqHash }
}
