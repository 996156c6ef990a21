/** What an aggregate says about the items folded into it, and the commitment to them. */
import { compareUtf8 } from "../../wire/bytes.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"
import { utf8 } from "../checks.ts"
import { Preimage } from "../preimage.ts"
import { merkleRoot } from "../witness/merkle.ts"

export type AggregationMetaVersion = 1 | 2 | 3

export interface AggregationMeta {
  version: AggregationMetaVersion
  /** The content this pyramid is for. */
  contentId: string
  corpusKind: string
  /** u32; 0: as fine as the sources. */
  tier: number
  aggregationAlgorithmId: string
  /** u32. */
  sourceCount: number
  /** 32 bytes, {@link memberCommitment}. */
  memberCommitment: Bytes
  noiseFloorDescriptor: string
  /** u32; signed from version 2 on. */
  nEff: number
  /** u32; signed in version 3. */
  maxSourceMultiplicity: number
  /** 32 bytes; signed in version 3. */
  massCommitment: Bytes
}

/**
 * The signed bytes. Members of later versions than its own do not enter.
 * @throws AvError `MalformedInput` for another version; `IllFormedString`, `IntegerOutOfRange`, `UsageError`
 */
export function aggregationMetaBytes(meta: AggregationMeta): Bytes {
  if (![1, 2, 3].includes(meta.version)) throw new AvError("MalformedInput", { version: meta.version })
  const out = new Preimage("aggregation")
    .u32(meta.version, "version")
    .text(meta.contentId)
    .text(meta.corpusKind)
    .u32(meta.tier, "tier")
    .text(meta.aggregationAlgorithmId)
    .u32(meta.sourceCount, "source_count")
    .raw(meta.memberCommitment, 32, "member_commitment")
    .text(meta.noiseFloorDescriptor)
  if (meta.version >= 2) out.u32(meta.nEff, "n_eff")
  if (meta.version >= 3) {
    out.u32(meta.maxSourceMultiplicity, "max_source_multiplicity").raw(meta.massCommitment, 32, "mass_commitment")
  }
  return out.finish()
}

/** The root over the ids of what was folded, in any order. @throws AvError `IllFormedString` */
export function memberCommitment(ids: readonly string[]): Bytes {
  return merkleRoot(ids.map(utf8))
}

/** The order in which sources give up their own copies. */
export function descendOrder(ids: readonly string[]): string[] {
  return ids.toSorted(compareUtf8)
}
