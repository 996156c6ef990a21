/** How many symbols a content has, and on how many peers they are kept. */
import { AvError } from "../../wire/errors.ts"

export const DEFAULT_N_SOURCE = 20
export const DEFAULT_K_REPAIR = 6
const DEFAULT_TOTAL_SYMBOLS = 26
/** With fewer symbols than this nothing but the manifest is of use. */
const DEFAULT_MIN_VIABLE_SYMBOLS = 5
export const DEFAULT_TARGET_HOLDERS = 30

export interface FountainPolicy {
  /** Symbols that restore the content. */
  nSource: number
  kRepair: number
  /** Below this many symbols only the manifest is read. */
  minViableSymbols: number
  /** Distinct peers that keep at least one symbol. */
  targetHolders: number
}

export function recommendedPolicy(): FountainPolicy {
  return {
    nSource: DEFAULT_N_SOURCE,
    kRepair: DEFAULT_K_REPAIR,
    minViableSymbols: DEFAULT_MIN_VIABLE_SYMBOLS,
    targetHolders: DEFAULT_TARGET_HOLDERS,
  }
}

/**
 * Checks an application's own policy (D32).
 * @throws AvError `UsageError` (no integers), `MinViable`, `TargetBelowTotal`, `RepairBand`; `TotalSymbols` when `total` is given and wrong
 */
export function validatePolicy(policy: FountainPolicy, total = policy.nSource + policy.kRepair): FountainPolicy {
  const { nSource, kRepair, minViableSymbols, targetHolders } = policy
  for (const value of [nSource, kRepair, minViableSymbols, targetHolders]) {
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) throw new AvError("UsageError", { value })
  }
  if (total !== nSource + kRepair) throw new AvError("TotalSymbols", { total, need: nSource + kRepair })
  if (minViableSymbols === 0 || minViableSymbols >= nSource) throw new AvError("MinViable", { minViableSymbols, nSource })
  if (targetHolders < total) throw new AvError("TargetBelowTotal", { targetHolders, total })
  const percent = Math.floor((kRepair * 100) / nSource)
  if (percent < 20 || percent > 40) throw new AvError("RepairBand", { percent })
  return policy
}

// The defaults obey the rules, or nothing compiles: lengths of tuples are the only numbers that types can count with.
type Tuple<N extends number, Seen extends 0[] = []> = Seen["length"] extends N ? Seen : Tuple<N, [...Seen, 0]>
type Sum<A extends number, B extends number> = [...Tuple<A>, ...Tuple<B>]["length"]
type AtLeast<A extends number, B extends number> = Tuple<A> extends [...Tuple<B>, ...0[]] ? true : false
type Holds<Rule extends true> = Rule
/** Repair is a fifth to two fifths of the source: 5 K >= N, and 5 K <= 2 N. */
type Repair = Tuple<typeof DEFAULT_K_REPAIR>
type FiveRepairs = [...Repair, ...Repair, ...Repair, ...Repair, ...Repair]["length"]
export type DefaultPolicyHolds = [
  Holds<Sum<typeof DEFAULT_N_SOURCE, typeof DEFAULT_K_REPAIR> extends typeof DEFAULT_TOTAL_SYMBOLS ? true : false>,
  Holds<AtLeast<typeof DEFAULT_MIN_VIABLE_SYMBOLS, 1>>,
  Holds<AtLeast<typeof DEFAULT_N_SOURCE, Sum<typeof DEFAULT_MIN_VIABLE_SYMBOLS, 1> & number>>,
  Holds<AtLeast<typeof DEFAULT_TARGET_HOLDERS, typeof DEFAULT_TOTAL_SYMBOLS>>,
  Holds<AtLeast<FiveRepairs & number, typeof DEFAULT_N_SOURCE>>,
  Holds<AtLeast<Sum<typeof DEFAULT_N_SOURCE, typeof DEFAULT_N_SOURCE> & number, FiveRepairs & number>>,
  Holds<AtLeast<typeof DEFAULT_TARGET_HOLDERS, 29>>,
]
