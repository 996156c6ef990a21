/** The first bytes of everything that is signed or hashed here. No two kinds of object can have the same bytes. */
import { utf8Encode } from "../wire/bytes.ts"
import type { Bytes } from "../wire/types.ts"

/** Filled up with zeros to 16 bytes, and followed by fields with 32-bit lengths. */
const PADDED = {
  witness: "WW-PREIMAGE-v1",
  signedClaim: "CIRIS-CLAIM-v1",
  aggregation: "AGG-META-v1",
  treeHash: "ALM-TREE-v1",
  snapshotDigest: "ALM-SNAP-v1",
  manifest: "FTN-MANIFEST-v1",
  trustGrant: "TRUST-GRANT-v1",
  trustRevoke: "TRUST-REVOKE-v1",
  consent: "HOLO-CONSENT-v1",
  possessionProbe: "HOLD-PROBE-v1",
  ejectionRank: "EJECT-RANK-v1",
  bootstrapChallenge: "BOOT-CHAL-v1",
} as const

/** As they are, and followed by fields with 64-bit lengths: older, and fixed by what was signed already. */
const BARE = {
  holdingClaim: "ciris-edge/holding-claim/v1",
  compressRequest: "ciris-edge/compress-request/v1",
  equivocationProof: "ciris-edge/equivocation-proof/v1",
} as const

export type SeparatorName = keyof typeof PADDED | keyof typeof BARE
const PADDED_LENGTH = 16

export function separator(name: SeparatorName): Bytes {
  if (name in BARE) return utf8Encode(BARE[name as keyof typeof BARE])
  const out = new Uint8Array(PADDED_LENGTH)
  out.set(utf8Encode(PADDED[name as keyof typeof PADDED]))
  return out
}

const ALL_SEPARATORS: readonly Bytes[] = /* @__PURE__ */ [...Object.keys(PADDED), ...Object.keys(BARE)].map((name) =>
  separator(name as SeparatorName),
)

/** True when the bytes begin as something that is signed or hashed here. */
export function isSeparated(bytes: Bytes): boolean {
  return ALL_SEPARATORS.some((start) => start.length <= bytes.length && start.every((byte, i) => byte === bytes[i]))
}
