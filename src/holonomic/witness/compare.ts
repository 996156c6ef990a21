/** What another peer's witness says beside our own. */
import { equalBytes } from "../../wire/bytes.ts"
import type { U64 } from "../../wire/types.ts"
import type { WitnessStatement } from "./witness.ts"

export type WitnessComparison =
  | { kind: "Identical" }
  /** Same epoch, other claims: time to reconcile. */
  | { kind: "Divergent" }
  /** Ours is that many epochs later. */
  | { kind: "EpochAhead"; by: U64 }
  /** Ours is that many epochs earlier. */
  | { kind: "EpochBehind"; by: U64 }

type Compared = Pick<WitnessStatement, "epochId" | "merkleRoot">

/** Both must have been verified before. Whose they are is not looked at, and no merge is decided here. */
export function compareWitnesses(ours: Compared, theirs: Compared): WitnessComparison {
  if (ours.epochId > theirs.epochId) return { kind: "EpochAhead", by: ours.epochId - theirs.epochId }
  if (ours.epochId < theirs.epochId) return { kind: "EpochBehind", by: theirs.epochId - ours.epochId }
  return { kind: equalBytes(ours.merkleRoot, theirs.merkleRoot) ? "Identical" : "Divergent" }
}
