/** Who may be asked, in which order (av-mesh 8.6 with D-26.1 to D-26.4). Pure; the result does not depend on input order. */
import { compareUtf8 } from "../wire/bytes.ts"
import { hasRoomFor, hasRoomForSubstream, isStale } from "../wire/capacity.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, ChunkLayer, PeerKeyId, ReceiverLayerPolicy, U64 } from "../wire/types.ts"
import { MAX_BACKUPS, MIN_REACHABILITY_RATIO, UNKNOWN_RTT_MS } from "./constants.ts"
import type { JoinPlan, ParentCandidate } from "./types.ts"

export interface PlanOptions {
  /** Never chosen and never a reason for an error: this peer itself, and everybody known to be downstream of it. */
  exclude?: Iterable<PeerKeyId>
  /** Highest layer the stream has; without it an uncapped receiver finds only relays that carry 255 on every axis. */
  streamMaxLayer?: ChunkLayer
}

/**
 * A primary and up to two backups for the whole stream.
 * @throws AvError `NoFeasibleParent`, `AllCandidatesStale`, `NoCandidateSupportsLayerPolicy`; `CapacityInvalid` for a bad bitrate
 */
export function planJoin(
  candidates: readonly ParentCandidate[],
  bitrateMbps: number,
  policy: ReceiverLayerPolicy,
  nowUnixMs: U64,
  options: PlanOptions = {},
): JoinPlan {
  return planOf(rankCandidates(candidates, bitrateMbps, policy, nowUnixMs, options), bitrateMbps)
}

/** {@link planJoin} for one sub-stream: a candidate's commitment to exactly this path decides about room. */
export function planJoinForSubstream(
  candidates: readonly ParentCandidate[],
  path: Bytes,
  bitrateMbps: number,
  policy: ReceiverLayerPolicy,
  nowUnixMs: U64,
  options: PlanOptions = {},
): JoinPlan {
  return planOf(rankCandidates(candidates, bitrateMbps, policy, nowUnixMs, { ...options, path }), bitrateMbps)
}

/**
 * Every candidate that passes all filters, best first, one per advertiser. Never empty.
 * @throws as {@link planJoin}
 */
export function rankCandidates(
  candidates: readonly ParentCandidate[],
  bitrateMbps: number,
  policy: ReceiverLayerPolicy,
  nowUnixMs: U64,
  options: PlanOptions & { path?: Bytes } = {},
): ParentCandidate[] {
  const excluded = new Set(options.exclude)
  const pool = candidates.filter((candidate) => !excluded.has(candidate.signedCapacity.advertiserKeyId))
  if (pool.length === 0) throw new AvError("NoFeasibleParent")
  const fresh = pool.filter(({ signedCapacity }) => !isStale(signedCapacity.capacity.measuredAtUnixMs, nowUnixMs))
  if (fresh.length === 0) throw new AvError("AllCandidatesStale")
  const wanted = cappedPolicy(policy, options.streamMaxLayer)
  const able = fresh.filter((candidate) => carries(candidate, wanted))
  if (able.length === 0) {
    // The narrow error only when the layers alone explain it, stale candidates included.
    throw new AvError(
      pool.some((candidate) => carries(candidate, wanted)) ? "NoFeasibleParent" : "NoCandidateSupportsLayerPolicy",
    )
  }
  const { path } = options
  const feasible = able.filter(({ signedCapacity: { capacity }, currentSubscribers = 0, reachabilityRatio }) => {
    const room =
      path === undefined
        ? hasRoomFor(capacity, bitrateMbps, currentSubscribers)
        : hasRoomForSubstream(capacity, path, bitrateMbps, currentSubscribers)
    return room && reachabilityRatio !== undefined && reachabilityRatio >= MIN_REACHABILITY_RATIO
  })
  if (feasible.length === 0) throw new AvError("NoFeasibleParent")
  return onePerAdvertiser(feasible.sort(byPreference))
}

/** Short round trip first, then better reachability, then the key id's bytes (D-26.1). */
function byPreference(a: ParentCandidate, b: ParentCandidate): number {
  const rtt = (a.rttMsEstimate ?? UNKNOWN_RTT_MS) - (b.rttMsEstimate ?? UNKNOWN_RTT_MS)
  if (rtt !== 0) return rtt
  const ratio = (b.reachabilityRatio ?? 0) - (a.reachabilityRatio ?? 0)
  if (ratio !== 0) return ratio
  return compareUtf8(a.signedCapacity.advertiserKeyId, b.signedCapacity.advertiserKeyId)
}

function onePerAdvertiser(sorted: readonly ParentCandidate[]): ParentCandidate[] {
  const seen = new Set<PeerKeyId>()
  return sorted.filter(({ signedCapacity: { advertiserKeyId } }) => {
    const first = !seen.has(advertiserKeyId)
    seen.add(advertiserKeyId)
    return first
  })
}

/** True when the relay carries every layer of the policy. */
export function carries(candidate: ParentCandidate, policy: ReceiverLayerPolicy): boolean {
  const { maxSpatial, maxTemporal, maxQuality } = candidate.signedCapacity.capacity.maxLayerSupported
  return maxSpatial >= policy.maxSpatial && maxTemporal >= policy.maxTemporal && maxQuality >= policy.maxQuality
}

/** Nobody needs to carry layers that the stream does not have (D-26.3). */
export function cappedPolicy(policy: ReceiverLayerPolicy, highest: ChunkLayer | undefined): ReceiverLayerPolicy {
  if (highest === undefined) return policy
  return {
    maxSpatial: Math.min(policy.maxSpatial, highest.spatial),
    maxTemporal: Math.min(policy.maxTemporal, highest.temporal),
    maxQuality: Math.min(policy.maxQuality, highest.quality),
  }
}

function planOf(ranked: readonly ParentCandidate[], streamBitrateMbps: number): JoinPlan {
  const [primary, ...others] = ranked.slice(0, 1 + MAX_BACKUPS).map(({ signedCapacity }) => signedCapacity.advertiserKeyId)
  if (primary === undefined) throw new AvError("NoFeasibleParent")
  return { primaryParent: primary, backupParents: others, streamBitrateMbps }
}
