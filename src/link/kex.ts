/** The hybrid link key exchange of av-mesh D-34, `av.kex`: three messages, one machine for both roles. No timers inside. */
import { type HybridSignature, hybridVerify } from "../crypto/hybrid.ts"
import { wipe } from "../crypto/layout.ts"
import { mlKemDecapsulate, mlKemEncapsulate, mlKemKeyPair } from "../crypto/ml-kem.ts"
import { x25519KeyPair, x25519Shared } from "../crypto/x25519.ts"
import {
  decodeKex1,
  decodeKex2,
  decodeKex3,
  deriveLinkKey,
  encodeKex1,
  encodeKex2,
  encodeKex2Body,
  encodeKex3,
  type KexRole,
  kexAuthMessage,
  kexTranscript,
} from "../seal/outer/index.ts"
import { compareUtf8 } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds, PeerKeyId, RandomBytes } from "../wire/types.ts"

/** A run that is not complete after this long is `KexTimeout`. */
export const KEX_TIMEOUT_MS = 5_000
/** The initiator starts a new run this long after the last one ended. */
const KEX_RENEWAL_MS = 3_600_000
/** A responder refuses a new run sooner than this: each costs it a signature and an encapsulation. */
const KEX_MIN_INTERVAL_MS = 60_000

const NONCE_LENGTH = 16

type KexStep = 1 | 2 | 3

export type KexAction =
  | { kind: "send"; step: KexStep; body: Bytes }
  /** The run is complete; the old key is to be erased by whoever holds it. */
  | { kind: "key"; sessionKey: Bytes }

interface KexPeer {
  keyId: PeerKeyId
  entityId: Bytes
  mlDsaPublicKey: Bytes
}

interface KexOptions {
  keyId: PeerKeyId
  peer: KexPeer
  sign(message: Bytes): Promise<HybridSignature>
  random: RandomBytes
}

type Run =
  | { at: "waiting-kex2"; kex1: Bytes; x25519Secret: Bytes; mlKemSeed: Bytes }
  | { at: "waiting-kex3"; transcript: Bytes; sessionKey: Bytes }

/** One side of `av.kex` for the life of a session. Calls must not overlap: wait for one before the next. */
export class KexMachine {
  /** The peer with the lower key id starts, and renews. */
  readonly initiator: boolean
  readonly #options: KexOptions
  #run: Run | undefined
  #deadline: Milliseconds | undefined
  #completedAt: Milliseconds | undefined

  /** Starts the 5 s within which the first run must end. Equal key ids are `KexInvalid`. */
  constructor(options: KexOptions, now: Milliseconds) {
    const order = compareUtf8(options.keyId, options.peer.keyId)
    if (order === 0) throw new AvError("KexInvalid", { reason: "own key id" })
    this.initiator = order < 0
    this.#options = options
    this.#deadline = now + KEX_TIMEOUT_MS
  }

  /** Starts a run. Only the initiator calls it, at the beginning and when {@link KexMachine.renewalDue} says so. */
  async start(now: Milliseconds): Promise<KexAction[]> {
    if (!this.initiator || this.#run !== undefined) throw new AvError("KexInvalid", { reason: "not ours to start" })
    const x25519 = x25519KeyPair(this.#options.random)
    const mlKem = await mlKemKeyPair(this.#options.random)
    const nonce = this.#options.random(NONCE_LENGTH)
    const kex1 = encodeKex1({ x25519: x25519.publicKey, mlKem: mlKem.publicKey, nonce })
    this.#run = { at: "waiting-kex2", kex1, x25519Secret: x25519.secretKey, mlKemSeed: mlKem.secretKey }
    this.#deadline = now + KEX_TIMEOUT_MS
    return [{ kind: "send", step: 1, body: kex1 }]
  }

  /** Takes one `av.kex`. Throws `KexInvalid` or `KexAuthFailed`; both end the session. */
  async receive(step: number, body: Bytes, now: Milliseconds): Promise<KexAction[]> {
    if (step === 1 && !this.initiator && this.#run === undefined) return this.#answer(body, now)
    if (step === 2 && this.#run?.at === "waiting-kex2") return this.#finish(this.#run, body, now)
    if (step === 3 && this.#run?.at === "waiting-kex3") return this.#confirm(this.#run, body, now)
    throw new AvError("KexInvalid", { step, reason: "out of order" })
  }

  /** Throws `KexTimeout` when the run did not end in time. */
  checkTimeout(now: Milliseconds): void {
    if (this.#deadline !== undefined && now >= this.#deadline) throw new AvError("KexTimeout")
  }

  /** Time of the next call to {@link KexMachine.checkTimeout} or, for an idle initiator, of the renewal. */
  get nextWake(): Milliseconds | undefined {
    if (this.#deadline !== undefined) return this.#deadline
    return this.initiator && this.#completedAt !== undefined ? this.#completedAt + KEX_RENEWAL_MS : undefined
  }

  renewalDue(now: Milliseconds): boolean {
    if (!this.initiator || this.#run !== undefined || this.#completedAt === undefined) return false
    return now >= this.#completedAt + KEX_RENEWAL_MS
  }

  /** Erases what a half-done run holds. */
  close(): void {
    if (this.#run?.at === "waiting-kex2") wipe(this.#run.x25519Secret, this.#run.mlKemSeed)
    if (this.#run?.at === "waiting-kex3") wipe(this.#run.sessionKey)
    this.#run = undefined
    this.#deadline = undefined
  }

  async #answer(kex1: Bytes, now: Milliseconds): Promise<KexAction[]> {
    const peer = decodeKex1(kex1)
    if (this.#completedAt !== undefined) {
      if (now < this.#completedAt + KEX_MIN_INTERVAL_MS) throw new AvError("KexInvalid", { reason: "renewed too soon" })
      this.#deadline = now + KEX_TIMEOUT_MS
    }
    const x25519 = x25519KeyPair(this.#options.random)
    const shared = await orInvalid(() => x25519Shared(x25519.secretKey, peer.x25519))
    const mlKem = await orInvalid(() => mlKemEncapsulate(peer.mlKem))
    const nonce = this.#options.random(NONCE_LENGTH)
    const body = encodeKex2Body({ x25519: x25519.publicKey, ciphertext: mlKem.ciphertext, nonce })
    const sessionKey = await deriveLinkKey(shared, mlKem.sharedSecret, kex1, body, ...this.#ids())
    wipe(x25519.secretKey, shared, mlKem.sharedSecret)
    const transcript = kexTranscript(kex1, body)
    const signature = await this.#options.sign(kexAuthMessage("responder", transcript, ...this.#ids()))
    this.#run = { at: "waiting-kex3", transcript, sessionKey }
    return [{ kind: "send", step: 2, body: encodeKex2(body, signature) }]
  }

  async #finish(run: Run & { at: "waiting-kex2" }, kex2: Bytes, now: Milliseconds): Promise<KexAction[]> {
    const { body, message, signature } = decodeKex2(kex2)
    const transcript = kexTranscript(run.kex1, body)
    await this.#verify("responder", transcript, signature)
    const shared = await orInvalid(() => x25519Shared(run.x25519Secret, message.x25519))
    const mlKemShared = await mlKemDecapsulate(run.mlKemSeed, message.ciphertext)
    const sessionKey = await deriveLinkKey(shared, mlKemShared, run.kex1, body, ...this.#ids())
    wipe(run.x25519Secret, run.mlKemSeed, shared, mlKemShared)
    const own = await this.#options.sign(kexAuthMessage("initiator", transcript, ...this.#ids()))
    this.#complete(now)
    return [
      { kind: "send", step: 3, body: encodeKex3(own) },
      { kind: "key", sessionKey },
    ]
  }

  async #confirm(run: Run & { at: "waiting-kex3" }, kex3: Bytes, now: Milliseconds): Promise<KexAction[]> {
    await this.#verify("initiator", run.transcript, decodeKex3(kex3))
    this.#complete(now)
    return [{ kind: "key", sessionKey: run.sessionKey }]
  }

  #complete(now: Milliseconds): void {
    this.#run = undefined
    this.#deadline = undefined
    this.#completedAt = now
  }

  #ids(): [initiator: PeerKeyId, responder: PeerKeyId] {
    const { keyId, peer } = this.#options
    return this.initiator ? [keyId, peer.keyId] : [peer.keyId, keyId]
  }

  async #verify(role: KexRole, transcript: Bytes, signature: HybridSignature): Promise<void> {
    const { entityId, mlDsaPublicKey } = this.#options.peer
    const keys = { ed25519: entityId, mlDsa65: mlDsaPublicKey }
    if (!(await hybridVerify(keys, kexAuthMessage(role, transcript, ...this.#ids()), signature)))
      throw new AvError("KexAuthFailed")
  }
}

/** Key faults inside a message are the message's: a small-order or malformed public key is `KexInvalid`. */
async function orInvalid<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw new AvError("KexInvalid", { reason: "public key" }, { cause })
  }
}
