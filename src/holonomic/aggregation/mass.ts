/** How much each item weighs in a fold, how many items that comes to, and the two gates that a fold must pass. */
import { ByteWriter } from "../../wire/byte-writer.ts"
import { equalBytes } from "../../wire/bytes.ts"
import type { Bytes, U64 } from "../../wire/types.ts"
import { u64, utf8 } from "../checks.ts"
import { merkleRoot } from "../witness/merkle.ts"
import { type AggregationMeta, memberCommitment } from "./meta.ts"

/** What a mass of 1 is in fixed point. */
const UNIT = 1_000_000
const MAX_U64 = 0xffffffffffffffffn

/** Masses in fixed point, by id. */
export type FixedMass = readonly [id: string, mass: U64]

/** A mass in millionths, halves rounded up: zero for what is no positive number, 2^64-1 when it does not fit. */
export function massToFixed(mass: number): U64 {
  if (!(mass > 0)) return 0n
  const scaled = mass * UNIT
  return scaled >= 2 ** 64 ? MAX_U64 : BigInt(Math.round(scaled))
}

/** The root over ids with their masses, in any order. @throws AvError `IllFormedString`, `IntegerOutOfRange` */
export function massCommitment(masses: readonly FixedMass[]): Bytes {
  return merkleRoot(masses.map(([id, mass]) => new ByteWriter(64).bytes(utf8(id)).u64be(u64(mass, "mass")).finish()))
}

/** How many equal items the masses are worth: n equal ones give n. The reference's form, in doubles; audits use {@link effectiveCount}. */
export function effectiveSourceCount(masses: readonly number[]): number {
  const positive = masses.filter((mass) => mass > 0)
  if (positive.length === 0) return 0
  let sum = 0
  let squares = 0
  for (const mass of positive) {
    sum += mass
    squares += mass * mass
  }
  const count = Math.round((sum * sum) / squares)
  // Squares of enormous or tiny masses leave what a double holds.
  return Number.isFinite(count) ? Math.max(1, count) : 1
}

/** {@link effectiveSourceCount} from the committed masses, exactly: whoever holds them gets the same number (D29). */
export function effectiveCount(masses: readonly U64[]): U64 {
  let sum = 0n
  let squares = 0n
  for (const mass of masses) {
    sum += mass
    squares += mass * mass
  }
  return squares === 0n ? 0n : (2n * sum * sum + squares) / (2n * squares)
}

/** No single item may make up the whole: the effective count is at least `minRatio` of the count. */
export function passesDominanceGate(meta: Pick<AggregationMeta, "version" | "sourceCount" | "nEff">, minRatio: number): boolean {
  return meta.version >= 2 && meta.sourceCount > 0 && meta.nEff >= minRatio * meta.sourceCount
}

/** No item may be there too often: one of its near-copies among `nMin` items at most. */
export function passesMultiplicityGate(
  meta: Pick<AggregationMeta, "version" | "sourceCount" | "maxSourceMultiplicity">,
  nMin: number,
): boolean {
  return meta.version >= 3 && meta.sourceCount > 0 && nMin > 0 && meta.maxSourceMultiplicity * nMin <= meta.sourceCount
}

/** Whether these are the items that were folded. @throws AvError `IllFormedString` */
export function verifyMemberCommitment(meta: Pick<AggregationMeta, "memberCommitment">, ids: readonly string[]): boolean {
  return equalBytes(memberCommitment(ids), meta.memberCommitment)
}

/** Whether these are the masses that were folded. @throws AvError `IllFormedString`, `IntegerOutOfRange` */
export function verifyMassCommitment(meta: Pick<AggregationMeta, "massCommitment">, masses: readonly FixedMass[]): boolean {
  return equalBytes(massCommitment(masses), meta.massCommitment)
}
