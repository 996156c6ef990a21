/** What is kept of a fold beside its composite. */
import { ML_DSA_SIGNATURE_LENGTH } from "../../crypto/index.ts"
import { ByteReader, ByteWriter, utf8Decode } from "../../wire/bytes.ts"
import type { Bytes, U64 } from "../../wire/types.ts"
import { u64, unsigned, utf8 } from "../checks.ts"

export const AGGREGATE_PREFIX = "aggregate:"

export interface AggregationRecord {
  /** The composite's own content id. */
  aggregateContentId: string
  /** The composite's corpus kind is `aggregate:` and this. */
  sourceCorpusKind: string
  /** u32; 0 are individual items, level n folds items of level n - 1. */
  aggregationLevel: number
  /** u32, items folded. */
  fanIn: number
  /** Hex. */
  memberCommitment: string
  /** Given back as it came: nobody reads it here. */
  aggregationMeta: Bytes
}

export interface StoredAggregation extends AggregationRecord {
  aggregatedAtUnixMs: U64
}

/** What the record carries of a signed meta: its bytes and both signatures (D26). */
export function aggregationMetaEnvelope(metaBytes: Bytes, ed25519: Bytes, mlDsa65: Bytes): Bytes {
  return new ByteWriter(4_096).bytes(metaBytes).lp16(ed25519).lp16(mlDsa65).finish()
}

/** Bytes that both signatures add to the meta. */
export const META_SIGNATURES_LENGTH = 2 + 64 + 2 + ML_DSA_SIGNATURE_LENGTH

/** @throws AvError `IllFormedString`, `IntegerOutOfRange` */
export function encodeAggregation(record: StoredAggregation): Bytes {
  return new ByteWriter(8_192)
    .lp32(utf8(record.aggregateContentId))
    .lp32(utf8(record.sourceCorpusKind))
    .u32be(unsigned(record.aggregationLevel, 32, "aggregation_level"))
    .u32be(unsigned(record.fanIn, 32, "fan_in"))
    .lp32(utf8(record.memberCommitment))
    .lp32(record.aggregationMeta)
    .u64be(u64(record.aggregatedAtUnixMs, "aggregated_at"))
    .finish()
}

/** @throws AvError `StorageCorrupt` */
export function decodeAggregation(bytes: Bytes): StoredAggregation {
  const reader = new ByteReader(bytes, "StorageCorrupt")
  const text = () => utf8Decode(reader.lp32(), "StorageCorrupt")
  const record = {
    aggregateContentId: text(),
    sourceCorpusKind: text(),
    aggregationLevel: reader.u32be(),
    fanIn: reader.u32be(),
    memberCommitment: text(),
    aggregationMeta: reader.lp32().slice(),
    aggregatedAtUnixMs: reader.u64be(),
  }
  reader.end()
  return record
}
