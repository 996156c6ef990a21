/** The checks a content must pass before anything of it is stored, in their order. */
import { hybridVerify } from "../../crypto/index.ts"
import { AvError, isAvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"
import type { VerifyHybrid } from "../trust/verified.ts"
import { type ContentEnvelope, decodeEnvelope } from "./envelope.ts"
import { MANIFEST_VERSION, manifestBytes, type SignedManifest, verifySymbolAgainstManifest } from "./manifest.ts"
import { manifestExcess } from "./manifest-codec.ts"

export interface ContentSymbol {
  contentId: string
  symbolId: number
  bytes: Bytes
}

/**
 * @returns what the envelope says
 * @throws AvError `UnsupportedManifestVersion`, `HybridRequired`, `Canonicalization` (cannot be encoded, or is beyond the limits),
 * `HybridVerify`, `SymbolHashesLenMismatch`, `SymbolContentIdMismatch`, `SymbolIdOutOfRange`, `DuplicateSymbolId`, `SymbolHashMismatch`
 */
export async function checkAdmission(
  manifest: SignedManifest,
  symbols: readonly ContentSymbol[],
  verify: VerifyHybrid = hybridVerify,
): Promise<ContentEnvelope> {
  const { manifestVersion, signature, nSource, kRepair, symbolHashes } = manifest
  if (manifestVersion !== MANIFEST_VERSION) throw new AvError("UnsupportedManifestVersion", { version: manifestVersion })
  if (signature === undefined || signature.pq.length === 0) throw new AvError("HybridRequired")
  const [preimage, envelope] = encodable(manifest)
  if (!(await verify(envelope.producer, preimage, signature))) throw new AvError("HybridVerify")
  const total = nSource + kRepair
  if (symbolHashes.length !== total) throw new AvError("SymbolHashesLenMismatch", { got: symbolHashes.length, need: total })
  const seen = new Set<number>()
  for (const { contentId, symbolId, bytes } of symbols) {
    if (contentId !== manifest.contentId) throw new AvError("SymbolContentIdMismatch", { symbol_id: symbolId })
    if (!Number.isInteger(symbolId) || symbolId < 0 || symbolId >= total) {
      throw new AvError("SymbolIdOutOfRange", { symbol_id: symbolId, total })
    }
    if (seen.has(symbolId)) throw new AvError("DuplicateSymbolId", { symbol_id: symbolId })
    seen.add(symbolId)
    // A producer may sign the hash of anything; what has another size would not decode.
    if (bytes.length !== manifest.symbolSize || !verifySymbolAgainstManifest(bytes, symbolId, symbolHashes)) {
      throw new AvError("SymbolHashMismatch", { id: symbolId })
    }
  }
  return envelope
}

function encodable(manifest: SignedManifest): [preimage: Bytes, envelope: ContentEnvelope] {
  try {
    const preimage = manifestBytes(manifest)
    const excess = manifestExcess(manifest)
    if (excess !== undefined) throw new AvError("Canonicalization", { why: excess })
    return [preimage, decodeEnvelope(manifest.envelope)]
  } catch (cause) {
    if (!isAvError(cause) || cause.code === "Canonicalization") throw cause
    throw new AvError("Canonicalization", { why: cause.code }, { cause })
  }
}
