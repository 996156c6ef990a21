/**
 * A relay as av-mesh 7 and D-19 describe it: opens the layer of one hop, seals for the next ones, and never holds a content key.
 * Transport is somebody else's. The mesh worker hands chunks to paced lanes instead (`src/pipeline/relay`), with the same roster, limits
 * and windows.
 */
import { aeadOpen, aeadSeal, importAeadKey, requireLength, sha256Sync } from "../crypto/index.ts"
import { type LinkSequence, OuterNonces, outerAssociatedData, TransitKeyRegistry } from "../seal/outer/index.ts"
import { equalBytes, toHex, utf8Encode } from "../wire/bytes.ts"
import { encodeChunkHeader } from "../wire/chunk.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import type { Bytes, InnerSealed, PeerKeyId, ReceiverLayerPolicy, SealedAvChunk, SealProfile, U64 } from "../wire/types.ts"
import { RelayDuplicates } from "./duplicates.ts"
import { RelayLedger, type RelayLimits } from "./limits.ts"
import { Roster } from "./roster.ts"

/** Streams and subscribers of a relay that advertises nothing. */
const DEFAULT_LIMITS: RelayLimits = { maxStreams: 256, maxSubscribersPerStream: 1_024 }
/** Keys of parents that are kept imported. */
const MAX_INBOUND_KEYS = 1_024

export interface RelayNodeOptions {
  limits?: RelayLimits
  /** What the process has sealed with so far; a relay of its own has one of its own. */
  registry?: Pick<TransitKeyRegistry, "install">
  /** Of the streams of the room. Default 1. */
  profile?: SealProfile
}

interface RelaySubscribeOptions {
  /** What the subscription is expected to take; counted against the budgets. Default 0. */
  bitrateMbps?: number
  subStreamPath?: Bytes
}

interface ForwardResult {
  /** In the order of subscription. */
  outs: { subscriber: PeerKeyId; linkSeq: U64; sealed: SealedAvChunk }[]
  failures: { subscriber: PeerKeyId; error: AvError }[]
  /** The chunk came before, from this or another parent; nothing was sealed. */
  duplicate?: true
}

interface Child {
  readonly peer: PeerKeyId
  policy: ReceiverLayerPolicy
  key: Promise<CryptoKey>
  nonces: OuterNonces
  sequence: LinkSequence
}

interface RelayedStream {
  roster: Roster<Child>
  duplicates: RelayDuplicates
}

export class RelayNode {
  readonly #streams = new Map<string, RelayedStream>()
  readonly #ledger: RelayLedger
  readonly #registry: Pick<TransitKeyRegistry, "install">
  readonly #profile: SealProfile
  readonly #inbound = new Map<string, Promise<CryptoKey>>()

  constructor(options: RelayNodeOptions = {}) {
    this.#ledger = new RelayLedger(options.limits ?? DEFAULT_LIMITS)
    this.#registry = options.registry ?? new TransitKeyRegistry()
    this.#profile = options.profile ?? 1
  }

  /**
   * Adds a subscriber, or replaces its key and policy; numbers start at 0 under the new key. `transitKey` is copied.
   * @throws AvError `CapacityExceeded` with `limit`, `TransitKeyReuse`, `LinkIdInvalid`, `KeyInvalid`; then nothing has changed
   */
  subscribe(
    streamId: Bytes,
    subscriber: PeerKeyId,
    transitKey: Bytes,
    policy: ReceiverLayerPolicy,
    { bitrateMbps = 0, subStreamPath }: RelaySubscribeOptions = {},
  ): void {
    requireLength(streamId, 32, "stream id")
    requireLength(transitKey, 32, "transit key")
    const stream = toHex(streamId)
    const load = { mbps: bitrateMbps, ...(subStreamPath === undefined ? {} : { path: subStreamPath.slice() }) }
    const limit = this.#ledger.exceeded(stream, subscriber, load)
    if (limit !== undefined) throw new AvError("CapacityExceeded", { limit })
    const linkId = utf8Encode(subscriber)
    const nonces = new OuterNonces(linkId)
    const sequence = this.#registry.install(transitKey, linkId)
    this.#ledger.admit(stream, subscriber, load)
    const relayed = this.#streams.get(stream) ?? { roster: new Roster<Child>(), duplicates: new RelayDuplicates() }
    this.#streams.set(stream, relayed)
    relayed.roster.set({ peer: subscriber, policy, key: importWiped(transitKey.slice()), nonces, sequence })
  }

  /** Key and numbers stay. @throws AvError `SubscriberNotFound` */
  setPolicy(streamId: Bytes, subscriber: PeerKeyId, policy: ReceiverLayerPolicy): void {
    const child = this.#streams.get(toHex(streamId))?.roster.get(subscriber)
    if (child === undefined) throw notFound(streamId, subscriber)
    child.policy = policy
  }

  /** @throws AvError `SubscriberNotFound`, for an unknown stream as well */
  unsubscribe(streamId: Bytes, subscriber: PeerKeyId): void {
    const stream = toHex(streamId)
    const relayed = this.#streams.get(stream)
    if (relayed?.roster.delete(subscriber) === undefined) throw notFound(streamId, subscriber)
    this.#ledger.release(stream, subscriber)
    if (relayed.roster.size === 0) this.#streams.delete(stream)
  }

  isSubscribed(streamId: Bytes, subscriber: PeerKeyId): boolean {
    return this.#streams.get(toHex(streamId))?.roster.get(subscriber) !== undefined
  }

  subscriberCount(streamId: Bytes): number {
    return this.#streams.get(toHex(streamId))?.roster.size ?? 0
  }

  /**
   * Seals for every subscriber whose policy admits the chunk; numbers count admitted chunks only. A child whose seal fails is in
   * `failures` and costs the others nothing. No header byte and no byte of the inner layer is changed.
   * @throws AvError `StreamNotFound`; `StreamMismatch` when the chunk is of another stream
   */
  async forward(streamId: Bytes, inner: InnerSealed): Promise<ForwardResult> {
    const relayed = this.#streams.get(toHex(streamId))
    if (relayed === undefined) throw new AvError("StreamNotFound", { stream: toHex(streamId) })
    if (!equalBytes(inner.streamId, streamId)) throw new AvError("StreamMismatch", { stream: toHex(streamId) })
    return this.#fanOut(relayed, inner)
  }

  /**
   * Opens the parent's layer, then {@link forward}. A copy of a chunk that was handed on already gives `duplicate` (D-19.7).
   * @throws AvError `OuterOpenFailed`, before the roster is looked at; then as {@link forward}
   */
  async forwardChunk(
    streamId: Bytes,
    sealed: SealedAvChunk,
    inboundKey: Bytes,
    inboundLinkId: Bytes,
    inboundLinkSeq: U64,
  ): Promise<ForwardResult> {
    const parent = toHex(sha256Sync(inboundKey))
    const inner = await this.#open(sealed, parent, inboundKey, inboundLinkId, inboundLinkSeq)
    const relayed = this.#streams.get(toHex(streamId))
    if (relayed === undefined) throw new AvError("StreamNotFound", { stream: toHex(streamId) })
    if (!equalBytes(inner.streamId, streamId)) throw new AvError("StreamMismatch", { stream: toHex(streamId) })
    if (!relayed.duplicates.admit(parent, inner.epoch, inner.chunkSeq)) return { outs: [], failures: [], duplicate: true }
    return this.#fanOut(relayed, inner)
  }

  async #open(sealed: SealedAvChunk, parent: string, key: Bytes, linkId: Bytes, linkSeq: U64): Promise<InnerSealed> {
    const { ciphertext, ...header } = sealed
    try {
      const aad = outerAssociatedData(this.#profile, encodeChunkHeader(header))
      const nonce = new OuterNonces(linkId).at(linkSeq)
      const innerCiphertext = await aeadOpen(await this.#inboundKey(parent, key), nonce, aad, ciphertext)
      if (innerCiphertext === null) throw new AvError("OuterAead")
      return { ...header, innerCiphertext }
    } catch (cause) {
      throw new AvError("OuterOpenFailed", { why: isAvError(cause) ? cause.code : "unknown" }, { cause })
    }
  }

  /** Importing a key costs more than opening a chunk with it. */
  #inboundKey(parent: string, raw: Bytes): Promise<CryptoKey> {
    const known = this.#inbound.get(parent)
    const key = known ?? importAeadKey(raw)
    this.#inbound.delete(parent)
    this.#inbound.set(parent, key)
    if (this.#inbound.size > MAX_INBOUND_KEYS) this.#inbound.delete(this.#inbound.keys().next().value as string)
    return key
  }

  async #fanOut({ roster }: RelayedStream, inner: InnerSealed): Promise<ForwardResult> {
    const { innerCiphertext, ...header } = inner
    const aad = outerAssociatedData(this.#profile, encodeChunkHeader(header))
    const result: ForwardResult = { outs: [], failures: [] }
    const seals = [...roster.admitted(inner.codecId, inner.layer)].map(async ({ peer, key, nonces, sequence }) => {
      try {
        // Drawn before anything waits: chunks that are handed on at the same time never share a number.
        const linkSeq = BigInt(sequence.take())
        const ciphertext = await aeadSeal(await key, nonces.at(linkSeq), aad, innerCiphertext)
        return { subscriber: peer, linkSeq, sealed: { ...header, ciphertext } }
      } catch (cause) {
        return new Failure(peer, new AvError("OuterSealFailed", { why: isAvError(cause) ? cause.code : "unknown" }, { cause }))
      }
    })
    for (const seal of await Promise.all(seals)) {
      if (seal instanceof Failure) result.failures.push({ subscriber: seal.subscriber, error: seal.error })
      else result.outs.push(seal)
    }
    return result
  }
}

class Failure {
  constructor(
    readonly subscriber: PeerKeyId,
    readonly error: AvError,
  ) {}
}

async function importWiped(raw: Bytes): Promise<CryptoKey> {
  try {
    return await importAeadKey(raw)
  } finally {
    raw.fill(0)
  }
}

function notFound(streamId: Bytes, subscriber: PeerKeyId): AvError {
  return new AvError("SubscriberNotFound", { stream: toHex(streamId), subscriber })
}
