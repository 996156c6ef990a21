/** Sealing and opening the end-to-end layer of one chunk, and both layers together, with keys as bytes (av-mesh 2.4). */
import { aeadOpen, aeadSeal, importAeadKey } from "../../crypto/index.ts"
import { encodeChunkHeader, MAX_PLAINTEXT } from "../../wire/chunk.ts"
import { AvError } from "../../wire/errors.ts"
import { CODEC_OPAQUE } from "../../wire/layers.ts"
import type { Bytes, ChunkHeader, ChunkLayer, InnerSealed, SealedAvChunk, SealProfile, U64 } from "../../wire/types.ts"
import { openOuter, sealOuter } from "../outer/index.ts"
import { innerAssociatedData } from "./associated-data.ts"
import { deriveInnerNonce } from "./inner-nonce.ts"

/** The rules on what may be sealed: `PlaintextTooLarge` (D-2), `OpaqueLayerNotBase` (D-4). */
export function checkSealable(plaintext: Bytes, codecId: number, layer: ChunkLayer): void {
  if (plaintext.length > MAX_PLAINTEXT) throw new AvError("PlaintextTooLarge", { got: plaintext.length, max: MAX_PLAINTEXT })
  const base = layer.spatial === 0 && layer.temporal === 0 && layer.quality === 0
  if (codecId === CODEC_OPAQUE && !base) throw new AvError("OpaqueLayerNotBase")
}

/**
 * Seals under a content key: the epoch's key in profile 0, the stream's in profile 1. The low-level form, which takes any
 * `chunkSeq`: publishers use `StreamSealer`, which never repeats one.
 */
export async function sealInner(
  plaintext: Bytes,
  dek: Bytes,
  header: ChunkHeader,
  profile: SealProfile = 0,
): Promise<InnerSealed> {
  checkSealable(plaintext, header.codecId, header.layer)
  const aad = innerAssociatedData(profile, encodeChunkHeader(header))
  const nonce = deriveInnerNonce(header.streamId, header.epoch, header.chunkSeq)
  const { streamId, epoch, chunkSeq, codecId, layer } = header
  const innerCiphertext = await aeadSeal(await importAeadKey(dek), nonce, aad, plaintext)
  return { streamId, epoch, chunkSeq, codecId, layer, innerCiphertext }
}

/** Opens the end-to-end layer. Any failure is `InnerAead`. */
export async function openInner(inner: InnerSealed, dek: Bytes, profile: SealProfile = 0): Promise<Bytes> {
  const aad = innerAssociatedData(profile, encodeChunkHeader(inner))
  const nonce = deriveInnerNonce(inner.streamId, inner.epoch, inner.chunkSeq)
  const plaintext = await aeadOpen(await importAeadKey(dek), nonce, aad, inner.innerCiphertext)
  if (plaintext === null) throw new AvError("InnerAead")
  return plaintext
}

/** Both layers; the same bytes as {@link sealInner} followed by `sealOuter`. */
export async function sealChunk(
  plaintext: Bytes,
  dek: Bytes,
  header: ChunkHeader,
  transitKey: Bytes,
  linkId: Bytes,
  linkSeq: U64,
  profile: SealProfile = 0,
): Promise<SealedAvChunk> {
  return sealOuter(await sealInner(plaintext, dek, header, profile), transitKey, linkId, linkSeq, profile)
}

/** Opens both layers. `OuterAead` or `InnerAead` says which one failed, and nothing more. */
export async function openChunk(
  chunk: SealedAvChunk,
  transitKey: Bytes,
  linkId: Bytes,
  linkSeq: U64,
  dek: Bytes,
  profile: SealProfile = 0,
): Promise<Bytes> {
  return openInner(await openOuter(chunk, transitKey, linkId, linkSeq, profile), dek, profile)
}
