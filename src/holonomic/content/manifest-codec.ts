/** Signed manifests as they are stored and sent, with bounds on everything a stranger could make large. */
import { encodeHybridSignature, HYBRID_SIGNATURE_LENGTH } from "../../crypto/index.ts"
import { ByteReader, ByteWriter, toHex, utf8Decode, utf8Encode } from "../../wire/bytes.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"
import { separator } from "../separators.ts"
import { type FountainManifest, manifestBytes, type SignedManifest } from "./manifest.ts"

/** Symbols of one content: above this the hashes alone would be a large message. */
const MAX_CONTENT_SYMBOLS = 1_024
/** Bytes of one symbol; it travels in one frame (D34). */
export const MAX_SYMBOL_BYTES = 65_535
/** Bytes of a content id or a corpus kind. */
export const MAX_CONTENT_NAME = 255
export const MAX_ENVELOPE_BYTES = 16_384
const MAX_KEY_ID = 255

/** `lp32(preimage) ‖ signature ‖ lp32(pqc_key_id)`. @throws AvError as {@link manifestBytes}; `HybridRequired` */
export function encodeManifest(manifest: SignedManifest): Bytes {
  if (manifest.signature === undefined) throw new AvError("HybridRequired")
  return new ByteWriter(8_192)
    .lp32(manifestBytes(manifest))
    .bytes(encodeHybridSignature(manifest.signature))
    .lp32(utf8Encode(manifest.pqcKeyId))
    .finish()
}

/** Verifies no signature. @throws AvError `Malformed` */
export function decodeManifest(bytes: Bytes): SignedManifest {
  const reader = new ByteReader(bytes, "Malformed")
  const manifest = decodeManifestBytes(reader.lp32())
  const signature = reader.bytes(HYBRID_SIGNATURE_LENGTH)
  if (signature[64]! * 256 + signature[65]! !== HYBRID_SIGNATURE_LENGTH - 66) reader.fail("signature length")
  const pqcKeyId = name(reader, MAX_KEY_ID)
  reader.end()
  return { ...manifest, signature: { ed: signature.slice(0, 64), pq: signature.slice(66) }, pqcKeyId }
}

/** @throws AvError `Malformed` */
export function decodeManifestBytes(bytes: Bytes): FountainManifest {
  const reader = new ByteReader(bytes, "Malformed")
  reader.expect(separator("manifest"), "separator")
  const manifest = {
    manifestVersion: reader.u16be(),
    contentId: name(reader, MAX_CONTENT_NAME),
    corpusKind: name(reader, MAX_CONTENT_NAME),
    nSource: reader.u32be(),
    kRepair: reader.u32be(),
    symbolSize: reader.u32be(),
    originalContentLength: reader.u64be(),
    minViableSymbols: reader.u32be(),
  }
  const count = reader.u32be()
  if (count > MAX_CONTENT_SYMBOLS) reader.fail("too many symbols", { got: count, max: MAX_CONTENT_SYMBOLS })
  const symbolHashes = Array.from({ length: count }, () => toHex(reader.bytes(32)))
  const envelope = reader.lp32()
  if (envelope.length > MAX_ENVELOPE_BYTES) reader.fail("envelope too long", { got: envelope.length })
  reader.end()
  const decoded = { ...manifest, symbolHashes, envelope: envelope.slice() }
  const excess = manifestExcess(decoded)
  if (excess !== undefined) reader.fail(excess)
  return decoded
}

/** What of a manifest is beyond what a peer takes; undefined when nothing is. */
export function manifestExcess(manifest: FountainManifest): string | undefined {
  const { nSource, kRepair, symbolSize, originalContentLength } = manifest
  if (nSource < 1 || nSource + kRepair > MAX_CONTENT_SYMBOLS) return "symbols"
  if (symbolSize < 1 || symbolSize > MAX_SYMBOL_BYTES) return "symbol size"
  if (originalContentLength > BigInt(nSource) * BigInt(symbolSize)) return "content length"
  for (const text of [manifest.contentId, manifest.corpusKind]) {
    if (utf8Encode(text).length > MAX_CONTENT_NAME) return "name"
  }
  return manifest.envelope.length > MAX_ENVELOPE_BYTES ? "envelope" : undefined
}

function name(reader: ByteReader, max: number): string {
  const bytes = reader.lp32()
  if (bytes.length > max) reader.fail("name too long", { got: bytes.length, max })
  return utf8Decode(bytes)
}
