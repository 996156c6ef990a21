/** What a content is made of, signed by its producer: the hash of every symbol (N7, D31). */
import { type HybridSignature, sha256Sync } from "../../crypto/index.ts"
import { fromHex, toHex } from "../../wire/bytes.ts"
import type { Bytes, U64 } from "../../wire/types.ts"
import { Preimage } from "../preimage.ts"

export const MANIFEST_VERSION = 1

/** A content is named by both: two corpora may use one id. */
export interface ContentRef {
  contentId: string
  /** `av_chunk`, `blob`, `trace`, `aggregate:<kind>` or another text. */
  corpusKind: string
}

export interface FountainManifest extends ContentRef {
  /** u16. */
  manifestVersion: number
  /** u32; symbols 0 … nSource - 1 are the content itself. */
  nSource: number
  kRepair: number
  /** Bytes. */
  symbolSize: number
  /** Bytes; less than nSource symbols when the last one is padded. */
  originalContentLength: U64
  minViableSymbols: number
  /** SHA-256 of each symbol in lower-case hex, by symbol id. */
  symbolHashes: readonly string[]
  /** Opaque here; see `envelope.ts`. */
  envelope: Bytes
}

export interface SignedManifest extends FountainManifest {
  /** Undefined: a half is missing, which is refused. */
  signature: HybridSignature | undefined
  /** Says which key it was; nobody relies on it. */
  pqcKeyId: string
}

/** The signed bytes. @throws AvError `IllFormedString`, `IntegerOutOfRange`, `UsageError`, `Malformed` (a hash that is no hex) */
export function manifestBytes(manifest: FountainManifest): Bytes {
  const out = new Preimage("manifest")
    .u16(manifest.manifestVersion, "manifest_version")
    .text(manifest.contentId)
    .text(manifest.corpusKind)
    .u32(manifest.nSource, "n_source")
    .u32(manifest.kRepair, "k_repair")
    .u32(manifest.symbolSize, "symbol_size")
    .u64(manifest.originalContentLength, "original_content_length")
    .u32(manifest.minViableSymbols, "min_viable_symbols")
    .u32(manifest.symbolHashes.length, "symbol_hashes")
  for (const hash of manifest.symbolHashes) out.raw(fromHex(hash), 32, "symbol_hash")
  return out.sized(manifest.envelope).finish()
}

/** What names this version of a content. */
export function manifestHash(manifest: FountainManifest): Bytes {
  return sha256Sync(manifestBytes(manifest))
}

/** Whether these are the bytes of the symbol. Never throws; an upper-case hash matches nothing. */
export function verifySymbolAgainstManifest(bytes: Bytes, symbolId: number, symbolHashes: readonly string[]): boolean {
  return toHex(sha256Sync(bytes)) === symbolHashes[symbolId]
}
