/** The receiving end of one stream: key lookup, deduplication, inner open (av-mesh 4.2 steps 6-9). */
import { aeadOpen } from "../../crypto/index.ts"
import { equalBytes } from "../../wire/bytes.ts"
import { CHUNK_HEADER_LENGTH, decodeChunk } from "../../wire/chunk.ts"
import type { ErrorCode } from "../../wire/errors.ts"
import type { Bytes, ChunkHeader, SealProfile } from "../../wire/types.ts"
import { innerAssociatedData } from "./associated-data.ts"
import type { ContentKeys } from "./content-keys.ts"
import { ChunkDedup } from "./dedup.ts"
import { InnerNonces } from "./inner-nonce.ts"

interface InnerOpenerOptions {
  streamId: Bytes
  keys: ContentKeys
  /** Default 1; the stream's descriptor says it. */
  profile?: SealProfile
}

/** What became of one inner chunk. */
export type InnerResult =
  | { kind: "opened"; header: ChunkHeader; plaintext: Bytes }
  /** Delivered before, by this or another parent, or too old to tell. */
  | { kind: "duplicate"; header: ChunkHeader }
  /** No key for this epoch (yet): hold the chunk as D-38 says, then drop it. */
  | { kind: "unknown-epoch"; header: ChunkHeader }
  /** `InnerAead`: count it against the parent. `UnknownStream`: not this stream's chunk. `WireTooShort`. */
  | { kind: "dropped"; error: ErrorCode }

/** One per subscribed stream, shared by all parents it arrives from. */
export class InnerOpener {
  readonly #streamId: Bytes
  readonly #keys: ContentKeys
  readonly #profile: SealProfile
  readonly #nonces: InnerNonces
  readonly #dedup = new ChunkDedup()

  constructor(options: InnerOpenerOptions) {
    this.#streamId = options.streamId.slice()
    this.#keys = options.keys
    this.#profile = options.profile ?? 1
    this.#nonces = new InnerNonces(this.#streamId)
  }

  /** Opens an inner chunk as `OuterOpener` gives it. Never throws on its content. */
  async open(innerChunk: Bytes): Promise<InnerResult> {
    if (innerChunk.length < CHUNK_HEADER_LENGTH + 16) return { kind: "dropped", error: "WireTooShort" }
    const { ciphertext, ...header } = decodeChunk(innerChunk)
    if (!equalBytes(header.streamId, this.#streamId)) return { kind: "dropped", error: "UnknownStream" }
    const pendingKey = this.#keys.openingKey(header.streamId, header.epoch, this.#profile)
    if (pendingKey === undefined) return { kind: "unknown-epoch", header }
    if (this.#dedup.peek(header.epoch, header.chunkSeq) !== "Fresh") return { kind: "duplicate", header }
    const aad = innerAssociatedData(this.#profile, innerChunk.subarray(0, CHUNK_HEADER_LENGTH))
    const plaintext = await aeadOpen(await pendingKey, this.#nonces.at(header.epoch, header.chunkSeq), aad, ciphertext)
    if (plaintext === null) return { kind: "dropped", error: "InnerAead" }
    // The other parent's copy may have been opened while we waited.
    if (this.#dedup.commit(header.epoch, header.chunkSeq) !== "Fresh") return { kind: "duplicate", header }
    return { kind: "opened", header, plaintext }
  }
}
