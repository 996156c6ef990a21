/** What peers of one mesh tell each other about claims, witnesses and memory: JSON frames, and the binary frames of symbols (D34). */
import { ByteReader, ByteWriter } from "../../wire/bytes.ts"
import { AvError } from "../../wire/errors.ts"
import {
  boolField,
  bytesField,
  type Field,
  intField,
  keyIdField,
  listOf,
  oneOf,
  u64Field,
  utf8Field,
} from "../../wire/json-field.ts"
import { objectOf, optional, required, type Shape } from "../../wire/json-shape.ts"
import { isJsonObject } from "../../wire/json-text.ts"
import { decodeMessage, encodeMessage, type MessageOf, type UnknownMessage } from "../../wire/message-table.ts"
import type { Bytes } from "../../wire/types.ts"
import { MAX_CONTENT_NAME, MAX_SYMBOL_BYTES } from "../content/manifest-codec.ts"
import type { LinkedVerdict } from "../trust/linked.ts"
import { equivocationShape, witnessShape } from "../witness/json.ts"
import { claimField, claimShape, hashesField, i64Field, keysField, signatureShape } from "./fields.ts"

/** Bytes of JSON; longer answers are split or paged. */
export const MAX_HOLO_MESSAGE = 48 * 1024
/** Leaf hashes in one answer; with more, digests of buckets come first. */
export const MAX_LEAF_HASHES = 1_000
/** Leaf hashes in one request for claims. */
export const MAX_CLAIM_HASHES = 64
/** Claims in one answer: each has more than 5 kB in JSON, and its signer's keys 3 kB. */
export const MAX_CLAIMS = 5
/** Entries of a chain. */
const MAX_CHAIN = 5
export const MAX_REQUESTED_SYMBOLS = 64
/** Symbols of one holding claim. */
const MAX_HELD = 1_024
/** Bytes of a manifest with its signatures: 1024 hashes and a full envelope would not fit a message. */
const MAX_MANIFEST = 36_000
const MAX_META = 8_192
const BUCKETS = 256
const MAX_SOURCES = 64

/** Name of the BINARY frames that carry symbols. */
export const SYMBOL_FRAME = "holo.symbol"
/** Symbol id of the frame that ends an answer. */
export const SYMBOLS_END = 0xffffffff

const u32 = /* @__PURE__ */ intField(0, 0xffffffff)
const hash = /* @__PURE__ */ bytesField(32)
const name = /* @__PURE__ */ utf8Field(0, MAX_CONTENT_NAME)
const meshId: Field<string> = {
  read: (value) => (typeof value === "string" && MESH_ID.test(value) ? value : undefined),
  write: (value) => value,
}
const MESH_ID = /^[A-Za-z0-9._-]{1,64}$/
const contentShape = { contentId: required("content_id", name), corpusKind: required("corpus_kind", name) }
const keysList = /* @__PURE__ */ listOf(keysField, MAX_CHAIN)

/** True for a name of a mesh: one store and one set of witnesses each. */
export function isMeshId(text: string): boolean {
  return MESH_ID.test(text)
}

/** A verdict as a union with outer tags, as the reference writes it. */
const verdictField: Field<LinkedVerdict> = {
  read(value) {
    if (!isJsonObject(value)) return undefined
    const admit = value.AdmitTrustServe === undefined ? undefined : admitShape.read(value.AdmitTrustServe)
    if (admit !== undefined) return { kind: "AdmitTrustServe", ...admit }
    const refuse = value.Refuse === undefined ? undefined : refuseShape.read(value.Refuse)
    return refuse && { kind: "Refuse", ...refuse }
  },
  write(verdict) {
    if (verdict.kind === "Refuse") return { Refuse: refuseShape.write({ reason: verdict.reason }) }
    const { kind: _, ...admit } = verdict
    return { AdmitTrustServe: admitShape.write(admit) }
  },
}
const u8 = intField(0, 255)
const admitShape = objectOf({
  trustDistance: required("trust_distance", u8),
  anchoredToRoot: required("anchored_to_root", keyIdField),
  standing: required("standing", u8),
})
const refuseShape = objectOf({
  reason: required(
    "reason",
    oneOf(
      "ChainExhausted",
      "SignatureInvalid",
      "ChainTooLong",
      "BudgetExceeded",
      "TrustGraphCycle",
      "AggregateWeightCapExceeded",
      "CandidateStale",
      "ChainClaimMalformed",
      "ChainUnlinked",
      "GrantExpired",
      "GrantRevoked",
    ),
  ),
})

const shapes = {
  "holo.hello": {
    peerId: required("peer_id", keyIdField),
    keys: required("keys", keysField),
    meshId: required("mesh_id", meshId),
    /** Of the latest own witness. */
    epochId: optional("epoch_id", u64Field),
  },
  "holo.challenge": {
    nonce: required("nonce", hash),
    keys: required("keys", keysField),
    chain: required("chain", listOf(claimField, MAX_CHAIN)),
    /** Of the signers of the chain. */
    chainKeys: required("chain_keys", keysList),
  },
  "holo.bootstrap": {
    candidate: required("candidate", claimField),
    chain: required("chain", listOf(claimField, MAX_CHAIN)),
    chainKeys: required("chain_keys", keysList),
  },
  "holo.verdict": { verdict: required("verdict", verdictField) },
  "holo.witness": { ...witnessShape, keys: optional("keys", keysField) },
  "holo.leaves?": {
    epochId: required("epoch_id", u64Field),
    bucket: optional("bucket", u8),
    /** The hash after which to go on. */
    next: optional("next", hash),
    /** Only claims of this kind: who comes back asks for revocations first. */
    claimKind: optional("claim_kind", utf8Field(1, 255)),
  },
  "holo.leaves": {
    epochId: required("epoch_id", u64Field),
    bucket: optional("bucket", u8),
    claimKind: optional("claim_kind", utf8Field(1, 255)),
    /** Of all leaves asked for. */
    count: required("count", u32),
    /** Ascending. */
    hashes: optional("hashes", hashesField(MAX_LEAF_HASHES)),
    /** Instead of hashes: SHA-256 over the hashes of each first byte. */
    buckets: optional("buckets", hashesField(BUCKETS)),
    next: optional("next", hash),
  },
  "holo.claims?": { hashes: required("hashes", hashesField(MAX_CLAIM_HASHES)) },
  "holo.claims": {
    claims: required("claims", listOf(claimField, MAX_CLAIMS)),
    /** Of their signers. */
    keys: required("keys", listOf(keysField, MAX_CLAIMS)),
  },
  "holo.claim": { ...claimShape, keys: required("keys", keysField) },
  "holo.revoke": { ...claimShape, keys: required("keys", keysField) },
  "holo.holding": {
    peerId: required("peer_id", keyIdField),
    contentId: required("content_id", name),
    symbolIds: required("symbol_ids", listOf(u32, MAX_HELD)),
    observedAtUnixMs: required("observed_at_unix_ms", i64Field),
    claimVersion: required("claim_version", u32),
    ...signatureShape,
  },
  "holo.compress": {
    peerId: required("peer_id", keyIdField),
    contentId: required("content_id", name),
    evictingRangeLow: required("evicting_range_low", u32),
    evictingRangeHigh: required("evicting_range_high", u32),
    deadlineUnixMs: required("deadline_unix_ms", i64Field),
    requestVersion: required("request_version", u32),
    ...signatureShape,
  },
  "holo.probe": {
    contentId: required("content_id", name),
    symbolId: required("symbol_id", u32),
    nonce: required("nonce", hash),
    /** The challenger holds the symbol too: a digest is enough. Otherwise the symbol comes as the answer to `req`. */
    held: required("held", boolField),
    req: required("req", u32),
  },
  "holo.proof": { nonce: required("nonce", hash), digest: required("digest", hash) },
  /** By name, where an empty kind means any, or by the hash that a claim names. */
  "holo.manifest?": {
    contentId: optional("content_id", name),
    corpusKind: optional("corpus_kind", name),
    manifestHash: optional("manifest_hash", hash),
  },
  "holo.manifest": { manifest: required("manifest", bytesField(1, MAX_MANIFEST)) },
  "holo.symbols?": {
    ...contentShape,
    symbolIds: required("symbol_ids", listOf(u32, MAX_REQUESTED_SYMBOLS, 1)),
    req: required("req", u32),
  },
  "holo.rtt": {
    observations: required(
      "observations",
      listOf(
        objectOf({
          toPeerId: required("to_peer_id", keyIdField),
          observedRttMs: required("observed_rtt_ms", u32),
          observedAtUnixMs: required("observed_at_unix_ms", u64Field),
        }),
        256,
      ),
    ),
  },
  "holo.tree": {
    streamId: required("stream_id", hash),
    epochId: required("epoch_id", u64Field),
    snapshotDigest: required("snapshot_digest", hash),
    treeHash: required("tree_hash", hash),
  },
  "holo.hardcase": { ...equivocationShape, keys: required("keys", keysField) },
  "holo.agg": {
    manifest: required("manifest", bytesField(1, MAX_MANIFEST)),
    aggregateContentId: required("aggregate_content_id", name),
    sourceCorpusKind: required("source_corpus_kind", name),
    aggregationLevel: required("aggregation_level", u32),
    fanIn: required("fan_in", u32),
    memberCommitment: required("member_commitment", utf8Field(64, 64)),
    /** Both signatures are in it. */
    aggregationMeta: required("aggregation_meta", bytesField(1, MAX_META)),
    /** Ids of what was folded, where they are still known: whoever has them lets them descend. */
    sources: optional("sources", listOf(name, MAX_SOURCES)),
  },
} satisfies Record<string, Shape>

const limits = { most: MAX_HOLO_MESSAGE, of: () => MAX_HOLO_MESSAGE }

/** Every message this version sends. Decoded ones may also be {@link UnknownMessage}. */
export type HoloMessage = MessageOf<typeof shapes>
export type HoloMessageOf<T extends HoloMessage["t"]> = Extract<HoloMessage, { t: T }>

/** True for names of this table's family: what the control channel hands over here. */
export function isHoloName(t: string): boolean {
  return t.startsWith("holo.") && t !== "holo.capacity"
}

/** UTF-8 JSON. @throws AvError `MessageTooLarge` */
export function encodeHoloMessage(message: HoloMessage): Bytes {
  return encodeMessage(shapes, message, limits)
}

/** Verifies nothing but the form. @throws AvError `ControlMalformed` */
export function decodeHoloMessage(bytes: Bytes): HoloMessage | UnknownMessage {
  return decodeMessage(shapes, bytes, limits)
}

export interface SymbolFrame {
  req: number
  symbolId: number
  /** Empty with {@link SYMBOLS_END}. */
  bytes: Bytes
}

/** Payload behind the name {@link SYMBOL_FRAME}. @throws AvError `PayloadTooLarge`, `UsageError` */
export function encodeSymbolFrame({ req, symbolId, bytes }: SymbolFrame): Bytes {
  if (bytes.length > MAX_SYMBOL_BYTES) throw new AvError("PayloadTooLarge", { got: bytes.length, max: MAX_SYMBOL_BYTES })
  if (symbolId === SYMBOLS_END && bytes.length > 0) throw new AvError("UsageError", { why: "bytes behind the end" })
  return new ByteWriter(8 + bytes.length).u32be(req).u32be(symbolId).bytes(bytes).finish()
}

/** @throws AvError `Malformed` */
export function decodeSymbolFrame(payload: Bytes): SymbolFrame {
  const reader = new ByteReader(payload)
  const [req, symbolId] = [reader.u32be(), reader.u32be()]
  const bytes = reader.rest()
  if (bytes.length > MAX_SYMBOL_BYTES) reader.fail("symbol too long", { got: bytes.length })
  if (symbolId === SYMBOLS_END && bytes.length > 0) reader.fail("bytes behind the end")
  return { req, symbolId, bytes }
}
