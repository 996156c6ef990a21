/** Two parents that do not fail together (D-26.5). */
import { UNKNOWN_RTT_MS } from "./constants.ts"
import type { ParentCandidate } from "./types.ts"

/** A more independent parent may be this much slower than the best one. */
const DIVERSITY_SLACK = 1.2

/** True when nothing known puts both on one path: not the same network, not the same feeder, neither feeds the other. */
export function areIndependent(a: ParentCandidate, b: ParentCandidate): boolean {
  const [aKey, bKey] = [a.signedCapacity.advertiserKeyId, b.signedCapacity.advertiserKeyId]
  if (a.network !== undefined && a.network === b.network) return false
  if (a.upstream !== undefined && a.upstream === b.upstream) return false
  return a.upstream !== bKey && b.upstream !== aKey
}

/**
 * The best of `ranked` to stand beside `first`: an independent one when there is one within 20 % of the best round trip, else simply the
 * best other one.
 */
export function chooseBackup(first: ParentCandidate, ranked: readonly ParentCandidate[]): ParentCandidate | undefined {
  const others = ranked.filter((other) => other.signedCapacity.advertiserKeyId !== first.signedCapacity.advertiserKeyId)
  const best = Math.min(...[first, ...others].map(({ rttMsEstimate }) => rttMsEstimate ?? UNKNOWN_RTT_MS))
  const near = others.filter(({ rttMsEstimate }) => (rttMsEstimate ?? UNKNOWN_RTT_MS) <= best * DIVERSITY_SLACK)
  return near.find((other) => areIndependent(first, other)) ?? others[0]
}
