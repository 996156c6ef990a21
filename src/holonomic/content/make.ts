/** From bytes to a signed content with its symbols, and back. The fountain codec must be loaded (`initFountain`). */
import { fountainDecode, fountainEncode } from "../../fountain/object.ts"
import type { IdentitySigner } from "../../identity/index.ts"
import { fromHex, toHex } from "../../wire/bytes.ts"
import type { Bytes } from "../../wire/types.ts"
import { type FountainPolicy, recommendedPolicy, validatePolicy } from "../retention/policy.ts"
import type { ContentSymbol } from "./admission.ts"
import { type ContentEnvelope, encodeEnvelope } from "./envelope.ts"
import { type ContentRef, MANIFEST_VERSION, manifestBytes, type SignedManifest } from "./manifest.ts"
import { MAX_SYMBOL_BYTES } from "./manifest-codec.ts"

/** Sizes the codec takes are multiples of this, and not smaller than {@link MIN_SYMBOL}. */
const ALIGNMENT = 8
const MIN_SYMBOL = 64

/** Bytes that one content of this policy can hold; longer things are cut before. */
export function maxContentBytes(policy: Pick<FountainPolicy, "nSource">): number {
  return policy.nSource * Math.floor(MAX_SYMBOL_BYTES / ALIGNMENT) * ALIGNMENT
}

/** @throws AvError `PayloadTooLarge` above {@link maxContentBytes}, `SignerLacksPqc`, and what `validatePolicy` and `encodeEnvelope` raise */
export async function makeContent(
  ref: ContentRef,
  payload: Bytes,
  envelope: Omit<ContentEnvelope, "producer">,
  signer: IdentitySigner,
  policy: FountainPolicy = recommendedPolicy(),
): Promise<{ manifest: SignedManifest; symbols: ContentSymbol[] }> {
  const { nSource, kRepair, minViableSymbols } = validatePolicy(policy)
  const { contentId, corpusKind } = ref
  const fair = Math.ceil(payload.length / nSource / ALIGNMENT) * ALIGNMENT
  const symbolSize = Math.max(MIN_SYMBOL, fair)
  // No floor for the encoder: a short payload has padding, not fewer symbols.
  const encoded = fountainEncode(payload, { nSource, kRepair, symbolSize, minViableSymbols: 0 })
  const manifest = {
    manifestVersion: MANIFEST_VERSION,
    contentId,
    corpusKind,
    nSource,
    kRepair,
    symbolSize,
    originalContentLength: BigInt(payload.length),
    minViableSymbols,
    symbolHashes: encoded.symbolHashes.map(toHex),
    envelope: encodeEnvelope({ ...envelope, producer: { ed25519: signer.entityId, mlDsa65: signer.mlDsaPublicKey } }),
  }
  const signature = await signer.signHybrid(manifestBytes(manifest))
  const symbols = encoded.symbols.map(({ symbolId, bytes }) => ({ contentId, symbolId, bytes: bytes.slice() }))
  return { manifest: { ...manifest, signature, pqcKeyId: signer.keyId }, symbols }
}

/** The content again, from any symbols that suffice. @throws AvError `InsufficientSymbols`, `SymbolHashMismatch`, `DecodeFailed` */
export function restoreContent(manifest: SignedManifest, symbols: readonly { symbolId: number; bytes: Bytes }[]): Bytes {
  const { nSource, kRepair, symbolSize, minViableSymbols } = manifest
  const hashes = manifest.symbolHashes.map((hash) => fromHex(hash))
  return fountainDecode(symbols, hashes, Number(manifest.originalContentLength), {
    nSource,
    kRepair,
    symbolSize,
    minViableSymbols: Math.min(minViableSymbols, nSource),
  })
}

/**
 * Symbols that nobody has any more, made again from enough others. The codec gives the same bytes as the producer's, or they are no
 * symbols of this manifest. @throws AvError as {@link restoreContent}
 */
export function rebuildSymbols(
  manifest: SignedManifest,
  symbols: readonly { symbolId: number; bytes: Bytes }[],
  ids: ReadonlySet<number>,
): ContentSymbol[] {
  const { contentId, nSource, kRepair, symbolSize } = manifest
  const payload = restoreContent(manifest, symbols)
  const encoded = fountainEncode(payload, { nSource, kRepair, symbolSize, minViableSymbols: 0 })
  return encoded.symbols
    .filter(({ symbolId }) => ids.has(symbolId))
    .map(({ symbolId, bytes }) => ({ contentId, symbolId, bytes: bytes.slice() }))
}
