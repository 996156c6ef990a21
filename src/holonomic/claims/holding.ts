/** "I am keeping these symbols of this content", and "I am about to drop these": the two claims about stored symbols. */
import { AvError } from "../../wire/errors.ts"
import type { Bytes, PeerKeyId } from "../../wire/types.ts"
import { Preimage } from "../preimage.ts"

export const HOLDING_CLAIM_VERSION = 1
export const COMPRESS_REQUEST_VERSION = 1

export interface FountainHoldingClaim {
  peerId: PeerKeyId
  contentId: string
  /** u32, in any order; the signed bytes sort them. */
  symbolIds: readonly number[]
  /** Signed, 64 bits. */
  observedAtUnixMs: bigint
  claimVersion: number
}

/** Advisory: whoever sends it goes on at the deadline, whatever the others do. */
export interface FountainCompressRequest {
  peerId: PeerKeyId
  contentId: string
  evictingRangeLow: number
  /** Belongs to the range (D08). */
  evictingRangeHigh: number
  /** Signed, 64 bits. */
  deadlineUnixMs: bigint
  requestVersion: number
}

/** @throws AvError `IllFormedString`, `IntegerOutOfRange` */
export function holdingClaimBytes(claim: FountainHoldingClaim): Bytes {
  const out = new Preimage("holdingClaim")
    .longText(claim.peerId)
    .longText(claim.contentId)
    .u64(claim.symbolIds.length, "symbol_ids")
  for (const id of claim.symbolIds.toSorted((a, b) => a - b)) out.u32(id, "symbol_ids")
  return out.i64(claim.observedAtUnixMs, "observed_at_unix_ms").u32(claim.claimVersion, "claim_version").finish()
}

/** Says nothing about the order of the bounds: see {@link requireRange}. @throws AvError `IllFormedString`, `IntegerOutOfRange` */
export function compressRequestBytes(request: FountainCompressRequest): Bytes {
  return new Preimage("compressRequest")
    .longText(request.peerId)
    .longText(request.contentId)
    .u32(request.evictingRangeLow, "evicting_range_low")
    .u32(request.evictingRangeHigh, "evicting_range_high")
    .i64(request.deadlineUnixMs, "deadline_unix_ms")
    .u32(request.requestVersion, "request_version")
    .finish()
}

/** A request names at least one symbol. @throws AvError `InvalidRange` */
export function requireRange({ evictingRangeLow: low, evictingRangeHigh: high }: FountainCompressRequest): void {
  if (low > high) throw new AvError("InvalidRange", { low, high })
}
