/** Lists of leaf hashes compared in pieces: 256 buckets by the first byte, each with a digest (D05). */
import { sha256Sync } from "../../crypto/index.ts"
import { compareBytes, concatBytes, equalBytes } from "../../wire/bytes.ts"
import type { Bytes } from "../../wire/types.ts"
import type { HoloMessageOf } from "./messages.ts"
import { MAX_LEAF_HASHES } from "./messages.ts"

const BUCKET_COUNT = 256

/** The hashes of one bucket. `sorted` is ascending. */
function bucketOf(sorted: readonly Bytes[], bucket: number): Bytes[] {
  return sorted.filter((hash) => hash[0] === bucket)
}

/** SHA-256 over the sorted hashes of each bucket. */
export function bucketDigests(sorted: readonly Bytes[]): Bytes[] {
  const buckets: Bytes[][] = Array.from({ length: BUCKET_COUNT }, () => [])
  for (const hash of sorted) buckets[hash[0]!]!.push(hash)
  return buckets.map((hashes) => sha256Sync(concatBytes(...hashes)))
}

/** Numbers of the buckets that differ. */
export function differingBuckets(ours: readonly Bytes[], theirs: readonly Bytes[]): number[] {
  return ours.flatMap((digest, i) => (theirs[i] !== undefined && equalBytes(digest, theirs[i]) ? [] : [i]))
}

type LeavesRequest = Omit<HoloMessageOf<"holo.leaves?">, "t">

/** The answer to a request: hashes, a page of them, or digests when there are too many for that. `sorted` is ascending. */
export function leavesAnswer(sorted: readonly Bytes[], request: LeavesRequest): HoloMessageOf<"holo.leaves"> {
  const { epochId, bucket, next, claimKind } = request
  const asked = bucket === undefined ? sorted : bucketOf(sorted, bucket)
  const answer = {
    t: "holo.leaves" as const,
    epochId,
    ...(bucket !== undefined && { bucket }),
    ...(claimKind !== undefined && { claimKind }),
    count: asked.length,
  }
  if (bucket === undefined && next === undefined && asked.length > MAX_LEAF_HASHES) {
    return { ...answer, buckets: bucketDigests(asked) }
  }
  const rest = next === undefined ? asked : asked.filter((hash) => compareBytes(hash, next) > 0)
  const hashes = rest.slice(0, MAX_LEAF_HASHES)
  return { ...answer, hashes, ...(rest.length > hashes.length && { next: hashes.at(-1)! }) }
}
