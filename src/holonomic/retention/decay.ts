/** What age alone does to a content: fewer symbols after some days, by its class of consent. */
import type { U64 } from "../../wire/types.ts"
import type { RetentionTier } from "./tiers.ts"

export type DecayTier = "Full" | "T2DropRepair" | "T3DropHighQuality" | "T4MinViableOnly" | "EnvelopeOnly" | "HardDelete"

/** Whole days since admission at which each tier ends. `t4` is for display only. */
export interface DecayThresholds {
  full: number
  t2: number
  t3: number
  t4: number
  envelopeOnly: number
}

/** The classes everybody knows. Others bring thresholds in the manifest's envelope. */
export const CONSENT_CLASSES: Readonly<Record<string, DecayThresholds>> = {
  TEMPORARY: { full: 4, t2: 8, t3: 11, t4: 14, envelopeOnly: 14 },
  STANDARD: { full: 26, t2: 51, t3: 70, t4: 90, envelopeOnly: 90 },
  PERSISTENT: { full: 1095, t2: 2190, t3: 2920, t4: 3650, envelopeOnly: 3650 },
}

const DAY_MS = 86_400_000n
const MAX_U32 = 0xffffffff

const TIER_OF: Record<DecayTier, RetentionTier> = {
  Full: "Full",
  T2DropRepair: "T2",
  T3DropHighQuality: "T3",
  T4MinViableOnly: "T4",
  EnvelopeOnly: "T5",
  HardDelete: "HardDelete",
}

/** The tier of storage that a tier of age means. */
export function tierOfDecay(tier: DecayTier): RetentionTier {
  return TIER_OF[tier]
}

/** The thresholds of a class: of the registered one, else those it brings; undefined for a name that nobody explained. */
export function thresholdsOf(name: string, brought?: DecayThresholds): DecayThresholds | undefined {
  return Object.hasOwn(CONSENT_CLASSES, name) ? CONSENT_CLASSES[name] : brought
}

/** Content from the future is full: clocks differ. Revoked content is gone whatever its age; age alone never deletes the manifest. */
export function computeDecayTier(
  content: { admittedAtUnixMs: U64; revokedAtUnixMs: U64 | null; thresholds: DecayThresholds },
  nowUnixMs: U64,
): DecayTier {
  const { admittedAtUnixMs, revokedAtUnixMs, thresholds } = content
  if (revokedAtUnixMs !== null) return "HardDelete"
  if (nowUnixMs < admittedAtUnixMs) return "Full"
  const days = Math.min(Number((nowUnixMs - admittedAtUnixMs) / DAY_MS), MAX_U32)
  if (days < thresholds.full) return "Full"
  if (days < thresholds.t2) return "T2DropRepair"
  if (days < thresholds.t3) return "T3DropHighQuality"
  return days < thresholds.envelopeOnly ? "T4MinViableOnly" : "EnvelopeOnly"
}
