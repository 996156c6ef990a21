/** What a relay says it can carry: limits, signed bytes, JSON form, and the arithmetic of room (av-mesh 8.1-8.3, 8.5). */
import { ByteWriter, toHex, utf8Decode, utf8Encode } from "./bytes.ts"
import { policyField, type SignedCapacityJson } from "./capacity-json.ts"
import { AvError } from "./errors.ts"
import { byteListField, type Field, intField, keyIdField, listOf, u64Field, utf8Field } from "./json-field.ts"
import { objectOf, optional, readShape, required, writeShape } from "./json-shape.ts"
import { isJsonObject, JsonNumber, parseJson } from "./json-text.ts"
import { writeJson } from "./json-write.ts"
import type { Bytes, PeerKeyId, ReceiverLayerPolicy, U64 } from "./types.ts"

/** From this age on an advertisement no longer counts, ms. */
export const STALE_AFTER_MS = 30_000
/** A measurement further in the future is treated as stale: one wrong clock must not pin an advertisement (D-22), ms. */
export const MAX_FUTURE_MS = 5_000
const MAX_COMMITMENTS = 256
/** Dyadic choices of a stream path. */
const MAX_PATH_DEPTH = 8
/** JSON longer than this is not even parsed; the limit of control messages (D-35). */
const MAX_CAPACITY_JSON = 48 * 1024

/** A promise for one sub-stream; the path is matched exactly. */
interface SubStreamCommitment {
  subStreamPath: Bytes
  /** Mbit/s, binary32. */
  uplinkBudgetMbps: number
  /** u16. */
  maxSubscribers: number
}

/** What a relay can carry. No commitments: any sub-stream within the whole budget; some: only these. */
export interface RelayCapacity {
  /** Measured, sustained over the last 60 s; Mbit/s, binary32. */
  uplinkMbps: number
  /** u16. */
  maxStreams: number
  /** u16. */
  maxSubscribersPerStream: number
  measuredAtUnixMs: U64
  maxLayerSupported: ReceiverLayerPolicy
  subStreamCommitments: SubStreamCommitment[]
}

/** A capacity with its binding and both signatures, as it travels in `av.capacity`. */
export interface SignedRelayCapacity {
  advertiserKeyId: PeerKeyId
  capacity: RelayCapacity
  /** The stream, or the id that stands for the whole room (D-40); 32 bytes. */
  streamId: Bytes
  epoch: U64
  signatureEd25519Base64: string
  signatureMlDsa65Base64: string
}

/**
 * Checks the limits of D-20 and returns the capacity with its rates rounded to binary32.
 * @throws AvError `CapacityInvalid { field }`
 */
export function checkCapacity(capacity: RelayCapacity): RelayCapacity {
  if (capacity.subStreamCommitments.length > MAX_COMMITMENTS) throw invalid("sub_stream_commitments")
  const paths = new Set<string>()
  const subStreamCommitments = capacity.subStreamCommitments.map((commitment) => {
    const path = commitment.subStreamPath
    if (path.length > MAX_PATH_DEPTH || path.some((choice) => choice > 1)) throw invalid("sub_stream_path")
    paths.add(toHex(path))
    return { ...commitment, uplinkBudgetMbps: checkedRate(commitment.uplinkBudgetMbps, "uplink_budget_mbps") }
  })
  if (paths.size !== subStreamCommitments.length) throw invalid("sub_stream_path")
  return { ...capacity, uplinkMbps: checkedRate(capacity.uplinkMbps, "uplink_mbps"), subStreamCommitments }
}

/** The bytes that are signed, label `CIRISALM-CAPv2` (D-21). Writes what it is given; the limits are those of {@link checkCapacity}. */
export function capacityCanonicalBytes(capacity: RelayCapacity, streamId: Bytes, epoch: U64): Bytes {
  const { maxSpatial, maxTemporal, maxQuality } = capacity.maxLayerSupported
  const out = new ByteWriter(79 + 16 * capacity.subStreamCommitments.length)
    .bytes(utf8Encode("CIRISALM-CAPv2"))
    .zeros(2)
    .fixed(streamId, 32)
    .u64be(epoch)
    .f32be(capacity.uplinkMbps)
    .u16be(capacity.maxStreams)
    .u16be(capacity.maxSubscribersPerStream)
    .u64be(capacity.measuredAtUnixMs)
    .u8(maxSpatial)
    .u8(maxTemporal)
    .u8(maxQuality)
    .u32be(capacity.subStreamCommitments.length)
  for (const { subStreamPath, uplinkBudgetMbps, maxSubscribers } of capacity.subStreamCommitments) {
    out.lp16(subStreamPath).f32be(uplinkBudgetMbps).u16be(maxSubscribers)
  }
  return out.finish()
}

/** True when the advertisement no longer counts: 30 s old, or more than 5 s ahead of the clock (D-22). */
export function isStale(measuredAtUnixMs: U64, nowUnixMs: U64): boolean {
  if (measuredAtUnixMs > nowUnixMs) return measuredAtUnixMs - nowUnixMs > BigInt(MAX_FUTURE_MS)
  return nowUnixMs - measuredAtUnixMs >= BigInt(STALE_AFTER_MS)
}

/** Staleness as the reference has it: a measurement in the future never expires. For comparing views only. */
export function isStaleReference(measuredAtUnixMs: U64, nowUnixMs: U64): boolean {
  return measuredAtUnixMs <= nowUnixMs && nowUnixMs - measuredAtUnixMs >= BigInt(STALE_AFTER_MS)
}

/**
 * Whether one more subscriber fits beside `current` others at that bitrate (Mbit/s), in binary32 arithmetic.
 * @throws AvError `CapacityInvalid { field: "bitrate" }` for a bitrate that is NaN or negative (D-23).
 */
export function hasRoomFor(capacity: RelayCapacity, bitrateMbps: number, current: number): boolean {
  requireBitrate(bitrateMbps)
  if (current >= capacity.maxSubscribersPerStream) return false
  return fits(capacity.uplinkMbps, bitrateMbps, current)
}

/**
 * {@link hasRoomFor}, for those who want the reference's error.
 * @throws AvError `InsufficientCapacity`, `CapacityInvalid { field: "bitrate" }`
 */
export function requireRoomFor(capacity: RelayCapacity, bitrateMbps: number, current: number): void {
  if (!hasRoomFor(capacity, bitrateMbps, current)) throw new AvError("InsufficientCapacity", { bitrate: bitrateMbps, current })
}

/** {@link hasRoomFor} on one sub-stream: the commitment with exactly this path counts; without any commitments the whole budget does. */
export function hasRoomForSubstream(capacity: RelayCapacity, path: Bytes, bitrateMbps: number, current: number): boolean {
  requireBitrate(bitrateMbps)
  if (capacity.subStreamCommitments.length === 0) return hasRoomFor(capacity, bitrateMbps, current)
  const wanted = toHex(path)
  const commitment = capacity.subStreamCommitments.find(({ subStreamPath }) => toHex(subStreamPath) === wanted)
  if (commitment === undefined || current >= commitment.maxSubscribers) return false
  return fits(commitment.uplinkBudgetMbps, bitrateMbps, current)
}

/** UTF-8 JSON of 8.5. */
export function capacityToWire(signed: SignedRelayCapacity): Bytes {
  return utf8Encode(writeJson(writeShape(looseShape, signed)))
}

/**
 * Reads the JSON of 8.5; further members are ignored. Says nothing about the signatures.
 * @throws AvError `WireDecode` for malformed input, `CapacityInvalid { field }` for values outside the limits of D-20.
 */
export function capacityFromWire(bytes: Bytes): SignedRelayCapacity {
  if (bytes.length > MAX_CAPACITY_JSON) throw new AvError("WireDecode", { got: bytes.length, max: MAX_CAPACITY_JSON })
  const json = parseJson(utf8Decode(bytes, "WireDecode"))
  const read = isJsonObject(json) ? readShape(looseShape, json) : undefined
  if (read === undefined) throw new AvError("WireDecode", { why: "capacity" })
  return withCommitments(read)
}

/** The advertisement in a decoded `av.capacity`: a missing list of commitments is an empty one. */
export function withCommitments(read: SignedCapacityJson): SignedRelayCapacity {
  const { subStreamCommitments = [], ...capacity } = read.capacity
  return { ...read, capacity: checkCapacity({ ...capacity, subStreamCommitments }) }
}

const u16 = /* @__PURE__ */ intField(0, 0xffff)
/** Any number, rounded to binary32; its range is judged afterwards, under another error. */
const rate: Field<number> = {
  read(value) {
    const number = value instanceof JsonNumber ? value.value : value
    return typeof number === "number" ? Math.fround(number) : undefined
  },
  write: (value) => value,
}
const looseCommitment = {
  subStreamPath: required("sub_stream_path", byteListField(0, 0xffff)),
  uplinkBudgetMbps: required("uplink_budget_mbps", rate),
  maxSubscribers: required("max_subscribers", u16),
}
const looseCapacity = {
  uplinkMbps: required("uplink_mbps", rate),
  maxStreams: required("max_streams", u16),
  maxSubscribersPerStream: required("max_subscribers_per_stream", u16),
  measuredAtUnixMs: required("measured_at_unix_ms", u64Field),
  maxLayerSupported: required("max_layer_supported", policyField),
  subStreamCommitments: optional("sub_stream_commitments", listOf(objectOf(looseCommitment), 0xffff)),
}
/** The shape alone; the control message `av.capacity` checks the limits of D-20 while reading. */
const looseShape = {
  advertiserKeyId: required("advertiser_key_id", keyIdField),
  capacity: required("capacity", objectOf(looseCapacity)),
  streamId: required("stream_id", byteListField(32, 32)),
  epoch: required("epoch", u64Field),
  signatureEd25519Base64: required("signature_ed25519_base64", utf8Field(0, 128)),
  signatureMlDsa65Base64: required("signature_ml_dsa_65_base64", utf8Field(0, 8192)),
}

function fits(budgetMbps: number, bitrateMbps: number, current: number): boolean {
  const load = Math.fround(Math.fround(current + 1) * Math.max(Math.fround(bitrateMbps), 0))
  return load <= Math.fround(budgetMbps)
}

function requireBitrate(bitrateMbps: number): void {
  if (Number.isNaN(bitrateMbps) || bitrateMbps < 0) throw invalid("bitrate")
}

function checkedRate(value: number, field: string): number {
  const rounded = Math.fround(value)
  if (!Number.isFinite(rounded) || rounded < 0) throw invalid(field)
  return rounded
}

function invalid(field: string): AvError {
  return new AvError("CapacityInvalid", { field })
}
