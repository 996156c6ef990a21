/** Sealing and opening the hop layer of one chunk, with keys as bytes (av-mesh 2.4). The hot path uses OuterSealer and OuterOpener. */
import { aeadOpen, aeadSeal, importAeadKey } from "../../crypto/index.ts"
import { encodeChunkHeader } from "../../wire/chunk.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes, InnerSealed, SealedAvChunk, SealProfile, U64 } from "../../wire/types.ts"
import { outerAssociatedData } from "./associated-data.ts"
import { deriveOuterNonce } from "./outer-nonce.ts"

/** Seals for one hop. The header is copied unchanged. Never use one `(transitKey, linkId, linkSeq)` twice. */
export async function sealOuter(
  inner: InnerSealed,
  transitKey: Bytes,
  linkId: Bytes,
  linkSeq: U64,
  profile: SealProfile = 0,
): Promise<SealedAvChunk> {
  const { innerCiphertext, ...header } = inner
  const aad = outerAssociatedData(profile, encodeChunkHeader(header))
  const key = await importAeadKey(transitKey)
  return { ...header, ciphertext: await aeadSeal(key, deriveOuterNonce(linkId, linkSeq), aad, innerCiphertext) }
}

/** Opens one hop's layer; the inner layer stays sealed. Any failure is `OuterAead`. */
export async function openOuter(
  chunk: SealedAvChunk,
  transitKey: Bytes,
  linkId: Bytes,
  linkSeq: U64,
  profile: SealProfile = 0,
): Promise<InnerSealed> {
  const { ciphertext, ...header } = chunk
  const aad = outerAssociatedData(profile, encodeChunkHeader(header))
  const key = await importAeadKey(transitKey)
  const innerCiphertext = await aeadOpen(key, deriveOuterNonce(linkId, linkSeq), aad, ciphertext)
  if (innerCiphertext === null) throw new AvError("OuterAead")
  return { ...header, innerCiphertext }
}
