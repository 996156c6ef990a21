/** The labelled key derivation of MLS (RFC 9420 sections 8 and 8.5), for secrets that leave the group engine. */
import type { Bytes } from "../wire/types.ts"
import { hkdfExpandSync, sha256Sync } from "./hash.ts"
import { ascii, concat } from "./layout.ts"

/** `ExpandWithLabel` over SHA-256. Label and context must be shorter than 16 384 bytes. */
function expandWithLabel(secret: Bytes, label: string, context: Bytes, length: number): Bytes {
  const size = Uint8Array.of(length >>> 8, length & 0xff)
  return hkdfExpandSync(secret, concat(size, vector(ascii(`MLS 1.0 ${label}`)), vector(context)), length)
}

/** `MLS-Exporter(label, context, length)` from the epoch's exporter secret. */
export function mlsExporter(exporterSecret: Bytes, label: string, context: Bytes, length: number): Bytes {
  const derived = expandWithLabel(exporterSecret, label, new Uint8Array(0), 32)
  return expandWithLabel(derived, "exported", sha256Sync(context), length)
}

/** The variable-length vector of RFC 9420 2.1.2, for lengths below 2^14. */
function vector(bytes: Bytes): Bytes {
  const head = bytes.length < 64 ? Uint8Array.of(bytes.length) : Uint8Array.of(0x40 | (bytes.length >>> 8), bytes.length & 0xff)
  return concat(head, bytes)
}
