/** What lack of storage asks for: levels of headroom, their tiers, and the order in which contents give way (D15). */
import { type RetentionTier, severity } from "./tiers.ts"

const MIB = 1_048_576
/** From the mildest to the most severe. A level is reached at the smaller of its two limits. */
const LIMITS = [
  { level: "warn", bytes: 1_024 * MIB, percent: 20 },
  { level: "crit", bytes: 500 * MIB, percent: 10 },
  { level: "stop", bytes: 200 * MIB, percent: 5 },
  { level: "host_at_risk", bytes: 50 * MIB, percent: 1 },
] as const

const HEADROOM_LEVELS = ["normal", "warn", "crit", "stop", "host_at_risk"] as const
export type HeadroomLevel = (typeof HEADROOM_LEVELS)[number]

const TIER: Record<HeadroomLevel, RetentionTier> = { normal: "Full", warn: "T2", crit: "T3", stop: "T4", host_at_risk: "T5" }

/** @param quotaBytes, usageBytes whole numbers of bytes */
export function headroomLevel(quotaBytes: number, usageBytes: number): HeadroomLevel {
  const quota = BigInt(Math.trunc(quotaBytes))
  const left = quota - BigInt(Math.trunc(usageBytes))
  const reached = LIMITS.findLast(({ bytes, percent }) => left <= BigInt(bytes) && left * 100n <= quota * BigInt(percent))
  return reached?.level ?? "normal"
}

/** True when `a` is more severe than `b`. */
export function isWorse(a: HeadroomLevel, b: HeadroomLevel): boolean {
  return HEADROOM_LEVELS.indexOf(a) > HEADROOM_LEVELS.indexOf(b)
}

/** The tier a level asks of a content. One's own never loses a source symbol for lack of room. */
export function pressureTier(level: HeadroomLevel, own: boolean): RetentionTier {
  const tier = TIER[level]
  return own && severity(tier) > severity("T2") ? "T2" : tier
}

/** What decides when a content gives way. */
interface PressureCandidate {
  own: boolean
  /** Nobody consented to it as far as is known. */
  consentUnknown: boolean
  /** Some symbol of it has no copy to speak of elsewhere. */
  hasRare: boolean
  admittedAtUnixMs: bigint
}

/** Who gives way first: nobody's consent, then what others have too, then rare content, one's own last; the oldest first in each. */
export function pressureOrder<T extends PressureCandidate>(contents: readonly T[]): T[] {
  const group = ({ own, consentUnknown, hasRare }: T) => (own ? 3 : consentUnknown ? 0 : hasRare ? 2 : 1)
  return contents.toSorted((a, b) => group(a) - group(b) || Number(a.admittedAtUnixMs - b.admittedAtUnixMs))
}
