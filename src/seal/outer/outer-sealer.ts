/** The sending end of one stream on one hop: counts, seals and frames (av-mesh 4, D-5, D-6). */
import { AEAD_TAG_LENGTH, aeadSeal, importAeadKey } from "../../crypto/index.ts"
import { CHUNK_HEADER_LENGTH } from "../../wire/chunk.ts"
import {
  KEEP_ALIVE_FRAME_LENGTH,
  LINK_FRAME_CHUNK,
  LINK_FRAME_HEADER_LENGTH,
  LINK_FRAME_KEEP_ALIVE,
  writeLinkFrameHeader,
} from "../../wire/link-frame.ts"
import type { Bytes, SealProfile } from "../../wire/types.ts"
import { outerAssociatedData } from "./associated-data.ts"
import { sealKeepAlive } from "./keep-alive.ts"
import { OuterNonces } from "./outer-nonce.ts"
import type { LinkSequence, TransitKeyRegistry } from "./transit-registry.ts"

interface OuterSealerOptions {
  /** 32 bytes; see `deriveTransitKey`. May be wiped after `create` returned. */
  transitKey: Bytes
  /** UTF-8 bytes of the receiving peer's key id (D-5.1). */
  linkId: Bytes
  registry: TransitKeyRegistry
  /** Default 1. */
  profile?: SealProfile
}

/** One per (direction, stream, subscription). */
export class OuterSealer {
  readonly #key: CryptoKey
  readonly #nonces: OuterNonces
  readonly #sequence: LinkSequence
  readonly #profile: SealProfile

  private constructor(key: CryptoKey, nonces: OuterNonces, sequence: LinkSequence, profile: SealProfile) {
    this.#key = key
    this.#nonces = nonces
    this.#sequence = sequence
    this.#profile = profile
  }

  /** `TransitKeyReuse` when the registry knows the key already; `LinkIdInvalid`, `KeyInvalid`. */
  static async create(options: OuterSealerOptions): Promise<OuterSealer> {
    const nonces = new OuterNonces(options.linkId)
    const key = await importAeadKey(options.transitKey)
    const sequence = options.registry.install(options.transitKey, options.linkId)
    return new OuterSealer(key, nonces, sequence, options.profile ?? 1)
  }

  /** The `link_seq` the next frame will carry. */
  get nextLinkSeq(): number {
    return this.#sequence.next
  }

  /**
   * Seals an inner chunk (52 header bytes and inner ciphertext, as `StreamSealer` and `OuterOpener` give it) into a link frame.
   * The result starts with `headroom` zero bytes for a lane header. The input is not changed: one chunk may be sealed for many
   * hops at once. `LinkSeqExhausted` after 2^32 frames.
   */
  async seal(innerChunk: Bytes, headroom = 0): Promise<Bytes> {
    const linkSeq = BigInt(this.#sequence.take())
    const header = innerChunk.subarray(0, CHUNK_HEADER_LENGTH)
    const aad = outerAssociatedData(this.#profile, header)
    const body = headroom + LINK_FRAME_HEADER_LENGTH
    const out = new Uint8Array(body + innerChunk.length + AEAD_TAG_LENGTH)
    writeLinkFrameHeader(out.subarray(headroom), LINK_FRAME_CHUNK, linkSeq)
    out.set(header, body)
    const ciphertext = await aeadSeal(this.#key, this.#nonces.at(linkSeq), aad, innerChunk.subarray(CHUNK_HEADER_LENGTH))
    out.set(ciphertext, body + CHUNK_HEADER_LENGTH)
    return out
  }

  /** A keep-alive frame for the stream, behind `headroom` zero bytes. It takes a `link_seq` like a chunk. */
  async keepAlive(streamId: Bytes, headroom = 0): Promise<Bytes> {
    const linkSeq = BigInt(this.#sequence.take())
    const out = new Uint8Array(headroom + KEEP_ALIVE_FRAME_LENGTH)
    const frame = out.subarray(headroom)
    writeLinkFrameHeader(frame, LINK_FRAME_KEEP_ALIVE, linkSeq)
    frame.set(streamId, LINK_FRAME_HEADER_LENGTH)
    const tag = await sealKeepAlive(this.#key, this.#nonces.at(linkSeq), streamId)
    frame.set(tag, LINK_FRAME_HEADER_LENGTH + streamId.length)
    return out
  }
}
