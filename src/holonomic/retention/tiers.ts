/** How much of a content is kept: classes of what can be read, tiers of what is dropped, and the order in which symbols go. */

/** What the symbols at hand suffice for. */
export type ReadClass = "Full" | "Partial" | "EnvelopeOnly"

/** Tiers in the order of what they cost; the last one is for revocation alone. */
export const RETENTION_TIERS = ["Full", "T2", "T3", "T4", "T5", "HardDelete"] as const
export type RetentionTier = (typeof RETENTION_TIERS)[number]

interface TierShape {
  nSource: number
  kRepair: number
  minViableSymbols: number
}

export function classify(present: number, nSource: number, minViableSymbols: number): ReadClass {
  if (present >= nSource) return "Full"
  return present >= minViableSymbols ? "Partial" : "EnvelopeOnly"
}

/** Symbols that stay at a tier. */
export function keepCount(tier: RetentionTier, { nSource, kRepair, minViableSymbols }: TierShape): number {
  const viable = Math.min(minViableSymbols, nSource)
  switch (tier) {
    case "Full":
      return nSource + kRepair
    case "T2":
      return nSource
    case "T3":
      return nSource <= viable ? viable : Math.max(viable, Math.min(viable + Math.ceil((nSource - viable) / 2), nSource - 1))
    case "T4":
      return viable
    default:
      return 0
  }
}

interface RankedSymbol {
  symbolId: number
  /** Larger goes first; `retentionPriority` of the fountain. */
  priority: number
}

/** Ids of the symbols that a tier leaves, ascending. */
export function survivors(present: readonly RankedSymbol[], keep: number): number[] {
  const kept = present.toSorted((a, b) => a.priority - b.priority || a.symbolId - b.symbolId).slice(0, keep)
  return kept.map(({ symbolId }) => symbolId).sort((a, b) => a - b)
}

/** Age and lack of room each have a tier of their own; the more severe one counts (D13). */
export function moreSevere(a: RetentionTier, b: RetentionTier): RetentionTier {
  return severity(a) >= severity(b) ? a : b
}

/** 0 for `Full`, more for what costs more. */
export function severity(tier: RetentionTier): number {
  return RETENTION_TIERS.indexOf(tier)
}
