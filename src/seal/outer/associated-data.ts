/** What the outer layer authenticates beside the ciphertext: nothing in profile 0, the chunk header in profile 1 (D-8). */
import type { Bytes, SealProfile } from "../../wire/types.ts"

const LABEL = new TextEncoder().encode("AVMESH-OUTAAD-V1")
const EMPTY: Bytes = new Uint8Array(0)

/** `header` are the 52 header bytes of the chunk. */
export function outerAssociatedData(profile: SealProfile, header: Bytes): Bytes {
  if (profile === 0) return EMPTY
  const out = new Uint8Array(LABEL.length + header.length)
  out.set(LABEL)
  out.set(header, LABEL.length)
  return out
}
