/** The planner of the reference implementation, for comparing views with it. Never used for a live stream. */

import { toHex } from "../wire/bytes.ts"
import { isStaleReference, type RelayCapacity } from "../wire/capacity.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, ReceiverLayerPolicy, U64 } from "../wire/types.ts"
import { MAX_BACKUPS, MIN_REACHABILITY_RATIO, UNKNOWN_RTT_MS } from "./constants.ts"
import { carries } from "./planner.ts"
import type { JoinPlan, ParentCandidate } from "./types.ts"

/** 8.6 without D-26: no exclusion, occupancy taken as 0, ties in input order, one advertiser may appear more than once. */
export function planJoinReference(
  candidates: readonly ParentCandidate[],
  path: Bytes | undefined,
  bitrateMbps: number,
  policy: ReceiverLayerPolicy,
  nowUnixMs: U64,
): JoinPlan {
  if (candidates.length === 0) throw new AvError("NoFeasibleParent")
  const fresh = candidates.filter(({ signedCapacity }) => !isStaleReference(signedCapacity.capacity.measuredAtUnixMs, nowUnixMs))
  if (fresh.length === 0) throw new AvError("AllCandidatesStale")
  const able = fresh.filter((candidate) => carries(candidate, policy))
  if (able.length === 0) {
    const some = candidates.some((candidate) => carries(candidate, policy))
    throw new AvError(some ? "NoFeasibleParent" : "NoCandidateSupportsLayerPolicy")
  }
  const [primary, ...backups] = able
    .filter(({ signedCapacity, reachabilityRatio }) => {
      const reachable = reachabilityRatio !== undefined && reachabilityRatio >= MIN_REACHABILITY_RATIO
      return reachable && roomForFirst(signedCapacity.capacity, path, bitrateMbps)
    })
    .sort((a, b) => (a.rttMsEstimate ?? UNKNOWN_RTT_MS) - (b.rttMsEstimate ?? UNKNOWN_RTT_MS))
    .slice(0, 1 + MAX_BACKUPS)
    .map(({ signedCapacity }) => signedCapacity.advertiserKeyId)
  if (primary === undefined) throw new AvError("NoFeasibleParent")
  return { primaryParent: primary, backupParents: backups, streamBitrateMbps: bitrateMbps }
}

/** Room for a first subscriber; an impossible bitrate counts as 0 there (the project refuses it, D-23). */
function roomForFirst(capacity: RelayCapacity, path: Bytes | undefined, bitrateMbps: number): boolean {
  const bitrate = Number.isNaN(bitrateMbps) ? 0 : Math.max(Math.fround(bitrateMbps), 0)
  const commitments = path === undefined ? [] : capacity.subStreamCommitments
  if (commitments.length === 0) return capacity.maxSubscribersPerStream > 0 && bitrate <= capacity.uplinkMbps
  const wanted = toHex(path ?? new Uint8Array())
  const commitment = commitments.find(({ subStreamPath }) => toHex(subStreamPath) === wanted)
  return commitment !== undefined && commitment.maxSubscribers > 0 && bitrate <= commitment.uplinkBudgetMbps
}
