/** How rare a symbol is, and what a peer does with it: the reference's functions. The plan of this project is in `plan.ts`. */
import type { PeerKeyId } from "../../wire/types.ts"
import type { FountainHoldingClaim } from "../claims/holding.ts"
import { DEFAULT_TARGET_HOLDERS } from "./policy.ts"

const MAX_U32 = 0xffffffff
const EJECT_ABOVE_TARGET_SAFETY_MARGIN_PCT = 15

/** What is known of the consent to keep a content. */
export type ConsentState = "Active" | "Revoked" | "Unknown"
/** How far a holding claim was checked. */
export type HoldingVerification = "PossessionVerified" | "SignatureOnly" | "Unverified"
type EvictionReason = "NotRare" | "ConsentRevoked" | "ConsentUnknown"
type RarityVerdict = { kind: "RetainRare"; weight: number } | { kind: "EvictEligible"; reason: EvictionReason }
type EjectionVerdict = "Keep" | "EjectToTier" | "EjectHardDelete"

type Holding = Pick<FountainHoldingClaim, "peerId" | "contentId" | "symbolIds">
export interface JudgedHolding {
  claim: Holding
  verification: HoldingVerification
}

const WEIGHT: Record<HoldingVerification, number> = { PossessionVerified: 2, SignatureOnly: 1, Unverified: 0 }

/** Distinct peers that claim the symbol. Lower is rarer. Checks neither signatures nor consent nor age. */
export function rarityScore(contentId: string, symbolId: number, claims: readonly Holding[]): number {
  const holders = new Set<PeerKeyId>()
  for (const claim of claims) if (names(claim, contentId, symbolId)) holders.add(claim.peerId)
  return Math.min(holders.size, MAX_U32)
}

/** Consent comes before rarity: what is revoked, or never was consented to, is never kept for being rare (N5). */
export function consentAwareRarity(
  contentId: string,
  symbolId: number,
  claims: readonly JudgedHolding[],
  consent: ConsentState,
): RarityVerdict {
  if (consent === "Revoked") return { kind: "EvictEligible", reason: "ConsentRevoked" }
  if (consent === "Unknown") return { kind: "EvictEligible", reason: "ConsentUnknown" }
  const strongest = new Map<PeerKeyId, number>()
  for (const { claim, verification } of claims) {
    if (!names(claim, contentId, symbolId)) continue
    strongest.set(claim.peerId, Math.max(strongest.get(claim.peerId) ?? 0, WEIGHT[verification]))
  }
  let weight = 0
  for (const each of strongest.values()) weight = Math.min(weight + each, MAX_U32)
  return weight < DEFAULT_TARGET_HOLDERS ? { kind: "RetainRare", weight } : { kind: "EvictEligible", reason: "NotRare" }
}

/** More holders than this, and copies may go. */
export function overTargetThreshold(targetHolders: number): number {
  return targetHolders + Math.floor((targetHolders * EJECT_ABOVE_TARGET_SAFETY_MARGIN_PCT) / 100)
}

/** The reference's ejection: unknown consent counts as active here. */
export function shouldEjectAboveTarget(
  holdersObserved: number,
  policy: { targetHolders: number },
  consent: ConsentState,
  localSymbolRarity: number,
): EjectionVerdict {
  if (consent === "Revoked") return "EjectHardDelete"
  if (holdersObserved <= overTargetThreshold(policy.targetHolders)) return "Keep"
  return localSymbolRarity >= Math.floor(policy.targetHolders / 2) ? "EjectToTier" : "Keep"
}

/** What becomes of the sources of a fold: unknown consent counts as active. */
export function ejectionVerdict(consent: ConsentState, underCapacityPressure: boolean): EjectionVerdict {
  if (consent === "Revoked") return "EjectHardDelete"
  return underCapacityPressure ? "EjectToTier" : "Keep"
}

function names(claim: Holding, contentId: string, symbolId: number): boolean {
  return claim.contentId === contentId && claim.symbolIds.includes(symbolId)
}
