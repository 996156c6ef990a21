/** From measured numbers to the small integers that every peer computes alike (profile 1). All divisions round down. */
import type { U64 } from "../../wire/types.ts"
import type { AdVerification } from "./types.ts"

/** No advertisement is believed above this, in thousandths of Mbit/s: a capacity counts fully from here on. */
export const CAPACITY_NORMALIZER_MILLIBPS = 10_000_000
/** What a relay's signature alone is good for. */
const MAX_SELF_ASSERTED_MILLIBPS = 1_000_000
/** A pair with a longer round trip has no edge. */
export const MAX_USEFUL_RTT_MS = 5_000
/** A grant through a longer chain counts for nothing. */
export const MAX_TRUST_CHAIN_DEPTH = 4
/** What each child that a parent already has on a path takes off its score there. */
export const PENALTY_PER_SUB_PATH_DUP = 5
const WEIGHT_CAPACITY = 50
const WEIGHT_TRUST = 30
const WEIGHT_REACHABILITY = 20
const MAX_U64 = 0xffffffffffffffffn

/** Thousandths of Mbit/s of a binary32 rate, exactly: zero for what is no positive number, 2^64-1 when it overflows. */
export function quantise(uplinkMbps: number): U64 {
  const product = singleProduct(uplinkMbps)
  if (product >= 2 ** 64) return MAX_U64
  return BigInt(Math.trunc(product))
}

/** {@link quantise} as a number, cut at {@link CAPACITY_NORMALIZER_MILLIBPS}: no rule tells larger values apart. */
export function quantiseCapped(uplinkMbps: number): number {
  return Math.trunc(Math.min(singleProduct(uplinkMbps), CAPACITY_NORMALIZER_MILLIBPS))
}

/** What of a quantised rate is believed. */
export function clampSelfAsserted(millibps: U64, verification: AdVerification): U64 {
  if (verification === "ThroughputChallenged") return millibps
  if (verification === "Unverified") return 0n
  const most = BigInt(MAX_SELF_ASSERTED_MILLIBPS)
  return millibps < most ? millibps : most
}

/** {@link quantiseCapped} and {@link clampSelfAsserted} in one. */
export function believedMillibps(uplinkMbps: number, verification: AdVerification): number {
  if (verification === "Unverified") return 0
  const rate = quantiseCapped(uplinkMbps)
  return verification === "ThroughputChallenged" ? rate : Math.min(rate, MAX_SELF_ASSERTED_MILLIBPS)
}

/** 0..1000. */
export function capacityScore(millibps: number): number {
  return Math.floor((Math.min(millibps, CAPACITY_NORMALIZER_MILLIBPS) * 1_000) / CAPACITY_NORMALIZER_MILLIBPS)
}

/** 0..1000. */
export function trustScore(chainDepth: number): number {
  if (chainDepth > MAX_TRUST_CHAIN_DEPTH) return 0
  return Math.floor(((MAX_TRUST_CHAIN_DEPTH - chainDepth) * 1_000) / MAX_TRUST_CHAIN_DEPTH)
}

/** 0..1000. */
export function reachabilityScore(rttMs: number): number {
  return Math.floor(((MAX_USEFUL_RTT_MS - Math.min(rttMs, MAX_USEFUL_RTT_MS)) * 1_000) / MAX_USEFUL_RTT_MS)
}

/** The part of a score that depends on the parent alone. */
export function parentScore(millibps: number): number {
  return WEIGHT_CAPACITY * capacityScore(millibps)
}

/** The part of a score that depends on the pair. */
export function pairScore(chainDepth: number, rttMs: number): number {
  return WEIGHT_TRUST * trustScore(chainDepth) + WEIGHT_REACHABILITY * reachabilityScore(rttMs)
}

/** The product is rounded to binary32 as well: 33.3 gives 33300, not 33299. */
function singleProduct(uplinkMbps: number): number {
  const rate = Math.fround(uplinkMbps)
  return Number.isFinite(rate) && rate > 0 ? Math.fround(rate * 1_000) : 0
}
