/** The gate of a fold: what its aggregator signed must agree with its record and its composite, and no item may dominate it. */
import { hybridVerify } from "../../crypto/index.ts"
import { equalBytes, toHex } from "../../wire/bytes.ts"
import { AvError, type ErrorCode, isAvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"
import { strictBase64 } from "../checks.ts"
import type { ContentEnvelope } from "../content/envelope.ts"
import type { ContentRef } from "../content/manifest.ts"
import { passesDominanceGate, passesMultiplicityGate } from "./mass.ts"
import { type AggregationMeta, aggregationMetaBytes } from "./meta.ts"
import { AGGREGATE_PREFIX, type AggregationRecord, aggregationMetaEnvelope } from "./record.ts"

/** Share of the items that the effective count must reach. */
const MIN_DOMINANCE_RATIO = 0.5
/** Near-copies of one item are at most the whole divided by this. */
const MIN_MULTIPLICITY_ITEMS = 2

/** A meta with its signatures; not stored, the record carries its own bytes of them. */
export interface SignedAggregationMeta {
  meta: AggregationMeta
  signatureEd25519Base64: string
  signatureMlDsa65Base64: string
}

/** Names that stay the same in reports and logs. */
const TOKEN: Partial<Record<ErrorCode, string>> = {
  MemberCommitmentMismatch: "aggregation_meta_member_commitment",
  MissingAggregatorPubkey: "aggregation_meta_missing_pubkey",
  MalformedInput: "aggregation_meta_invalid",
  HybridRequired: "aggregation_meta_hybrid_required",
  Dominated: "aggregation_meta_dominated",
  Multiplicity: "aggregation_meta_multiplicity",
}

/** A fold that passes keeps its composite when one of its items is revoked; another one goes with the item. */
export function survivesRevocation(meta: AggregationMeta): boolean {
  return passesDominanceGate(meta, MIN_DOMINANCE_RATIO) && passesMultiplicityGate(meta, MIN_MULTIPLICITY_ITEMS)
}

/**
 * The checks after those of the composite as content, in their order.
 * @throws AvError `MemberCommitmentMismatch`, `MissingAggregatorPubkey`, `HybridRequired`, `MalformedInput`, `Dominated`,
 * `Multiplicity`, `AggregationShapeMismatch`; `details.token` is the stable name where there is one
 */
export async function checkAggregation(
  composite: ContentRef,
  envelope: ContentEnvelope,
  record: AggregationRecord,
  { meta, signatureEd25519Base64, signatureMlDsa65Base64 }: SignedAggregationMeta,
): Promise<void> {
  if (record.memberCommitment.toLowerCase() !== toHex(meta.memberCommitment)) refuse("MemberCommitmentMismatch")
  const keys = envelope.aggregator
  if (keys === undefined || keys.ed25519.length === 0) return refuse("MissingAggregatorPubkey")
  if (keys.mlDsa65.length === 0) refuse("HybridRequired")
  const [bytes, ed, pq] = decoded(() => [
    aggregationMetaBytes(meta),
    strictBase64(signatureEd25519Base64),
    strictBase64(signatureMlDsa65Base64),
  ])
  if (pq.length === 0 || !(await hybridVerify(keys, bytes, { ed, pq }))) refuse("HybridRequired")
  if (!passesDominanceGate(meta, MIN_DOMINANCE_RATIO)) refuse("Dominated")
  if (!passesMultiplicityGate(meta, MIN_MULTIPLICITY_ITEMS)) refuse("Multiplicity")
  const agrees =
    composite.contentId === record.aggregateContentId &&
    composite.corpusKind === AGGREGATE_PREFIX + record.sourceCorpusKind &&
    record.fanIn === meta.sourceCount &&
    record.fanIn >= 2 &&
    record.aggregationLevel === meta.tier &&
    record.aggregationLevel >= 1 &&
    record.sourceCorpusKind === meta.corpusKind &&
    equalBytes(record.aggregationMeta, aggregationMetaEnvelope(bytes, ed, pq))
  if (!agrees) refuse("AggregationShapeMismatch")
}

function decoded(read: () => [Bytes, Bytes, Bytes]): [Bytes, Bytes, Bytes] {
  try {
    return read()
  } catch (error) {
    if (isAvError(error)) return refuse("MalformedInput", error)
    throw error
  }
}

function refuse(code: ErrorCode, cause?: unknown): never {
  const token = TOKEN[code]
  throw new AvError(code, token === undefined ? {} : { token }, { cause })
}
