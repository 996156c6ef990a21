/** The publishing end of one stream: owns chunk_seq, so that no nonce is ever used twice (av-mesh D-3). */
import { aeadSeal } from "../../crypto/index.ts"
import { CHUNK_HEADER_LENGTH, writeChunkHeader } from "../../wire/chunk.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes, ChunkLayer, SealProfile } from "../../wire/types.ts"
import { innerAssociatedData } from "./associated-data.ts"
import type { ContentKeys } from "./content-keys.ts"
import { InnerNonces } from "./inner-nonce.ts"
import { checkSealable } from "./seal-inner.ts"

/** Most chunks under one content key (D-3.4): the bound for AES-GCM with random-looking nonces. */
const MAX_SEALS_PER_KEY = 2 ** 32

interface StreamSealerOptions {
  /** 32 bytes, derived with a fresh `instance`: a restarted publisher has another stream id and another sealer. */
  streamId: Bytes
  keys: ContentKeys
  /** Default 1. */
  profile?: SealProfile
}

/** `chunk_seq` goes on across epochs; a value is used up by a failed or undelivered send as well. */
export class StreamSealer {
  readonly streamId: Bytes
  readonly #keys: ContentKeys
  readonly #profile: SealProfile
  readonly #nonces: InnerNonces
  #next = 0
  /** The key in use and how often it sealed. */
  #key: Promise<CryptoKey> | undefined
  #sealed = 0
  #limit = MAX_SEALS_PER_KEY

  constructor(options: StreamSealerOptions) {
    this.streamId = options.streamId.slice()
    this.#keys = options.keys
    this.#profile = options.profile ?? 1
    this.#nonces = new InnerNonces(this.streamId)
  }

  /** The `chunk_seq` of the next chunk. */
  get nextChunkSeq(): number {
    return this.#next
  }

  /** In profile 0 all publishers share one key: each may seal its part of the budget only (D-3.4). */
  setRosterSize(members: number): void {
    if (this.#profile === 0) this.#limit = Math.floor(MAX_SEALS_PER_KEY / Math.max(1, members))
  }

  /**
   * Seals one payload under the current epoch into an inner chunk: 52 header bytes and inner ciphertext, to be sealed once per
   * hop. Layers, symbols and fragments are each a chunk of their own. `chunkSeq` is for tests: a value not above the last one is
   * `ChunkSeqReuse`. Further errors: `UnknownEpoch`, `DekExhausted`, `PlaintextTooLarge`, `OpaqueLayerNotBase`.
   */
  async seal(plaintext: Bytes, codecId: number, layer: ChunkLayer, chunkSeq: number = this.#next): Promise<Bytes> {
    checkSealable(plaintext, codecId, layer)
    const { epoch, key } = this.#keys.sealingKey(this.streamId, this.#profile)
    if (!Number.isSafeInteger(chunkSeq) || chunkSeq < this.#next)
      throw new AvError("ChunkSeqReuse", { got: chunkSeq, next: this.#next })
    if (key !== this.#key) {
      this.#key = key
      this.#sealed = 0
    }
    if (this.#sealed >= this.#limit) throw new AvError("DekExhausted", { epoch, max: this.#limit })
    // Taken before the first await: two calls can never share a value.
    this.#sealed++
    this.#next = chunkSeq + 1
    const header = new Uint8Array(CHUNK_HEADER_LENGTH)
    writeChunkHeader(header, { streamId: this.streamId, epoch, chunkSeq: BigInt(chunkSeq), codecId, layer })
    const nonce = this.#nonces.at(epoch, BigInt(chunkSeq))
    const ciphertext = await aeadSeal(await key, nonce, innerAssociatedData(this.#profile, header), plaintext)
    const out = new Uint8Array(CHUNK_HEADER_LENGTH + ciphertext.length)
    out.set(header)
    out.set(ciphertext, CHUNK_HEADER_LENGTH)
    return out
  }
}
