/** Bytes of an append log: records and the checkpoint beside them (control-plane 8.1). */
import { AvError } from "../../wire/errors.ts"
import type { Bytes, U64 } from "../../wire/types.ts"
import type { Crc32 } from "./crc32.ts"

/** `u32 length | u32 crc | u64 seq`, little-endian, then the payload. */
export const RECORD_HEAD = 16
/** Payload bytes of one record. */
const MAX_RECORD = 16_777_216

/** All payloads as consecutive records, ready for one write. */
export function encodeRecords(payloads: readonly Bytes[], firstSeq: U64, crc: Crc32): Bytes {
  let size = 0
  for (const payload of payloads) {
    if (payload.length < 1 || payload.length > MAX_RECORD) {
      throw new AvError("UsageError", { why: "log record", got: payload.length, max: MAX_RECORD })
    }
    size += RECORD_HEAD + payload.length
  }
  const out = new Uint8Array(size)
  const view = new DataView(out.buffer)
  let at = 0
  let seq = firstSeq
  for (const payload of payloads) {
    const end = at + RECORD_HEAD + payload.length
    view.setUint32(at, payload.length, true)
    view.setBigUint64(at + 8, seq, true)
    out.set(payload, at + RECORD_HEAD)
    view.setUint32(at + 4, crc(out.subarray(at + 8, end)), true)
    at = end
    seq += 1n
  }
  return out
}

/** The payload length a record's head announces, or undefined when no record can begin so. */
export function recordLength(head: Bytes): number | undefined {
  if (head.length < RECORD_HEAD) return undefined
  const length = new DataView(head.buffer, head.byteOffset, RECORD_HEAD).getUint32(0, true)
  return length >= 1 && length <= MAX_RECORD ? length : undefined
}

/** The payload of a whole record, as a view; undefined when its checksum or number is wrong. */
export function readRecord(record: Bytes, seq: U64, crc: Crc32): Bytes | undefined {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength)
  const intact = view.getUint32(4, true) === crc(record.subarray(8)) && view.getBigUint64(8, true) === seq
  return intact ? record.subarray(RECORD_HEAD) : undefined
}

/** Where a log was known to be safe on disk: the next record is number `seq` and begins at `offset`. */
export interface Checkpoint {
  seq: U64
  offset: number
}

const META_VERSION = 1
export const META_LENGTH = 24

/** `u32 version = 1 | u32 crc of what follows | u64 seq | u64 offset`, little-endian. */
export function encodeMeta({ seq, offset }: Checkpoint, crc: Crc32): Bytes {
  const out = new Uint8Array(META_LENGTH)
  const view = new DataView(out.buffer)
  view.setUint32(0, META_VERSION, true)
  view.setBigUint64(8, seq, true)
  view.setBigUint64(16, BigInt(offset), true)
  view.setUint32(4, crc(out.subarray(8)), true)
  return out
}

/**
 * Undefined for a checkpoint that was torn or is missing: then the whole log is scanned.
 * @throws AvError `StoreError` for a version this code does not know, so that it is not taken for a torn one.
 */
export function decodeMeta(bytes: Bytes, crc: Crc32): Checkpoint | undefined {
  if (bytes.length !== META_LENGTH) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, META_LENGTH)
  if (view.getUint32(4, true) !== crc(bytes.subarray(8))) return undefined
  const version = view.getUint32(0, true)
  if (version !== META_VERSION) throw new AvError("StoreError", { what: "log version", version })
  const offset = view.getBigUint64(16, true)
  return offset > BigInt(Number.MAX_SAFE_INTEGER) ? undefined : { seq: view.getBigUint64(8, true), offset: Number(offset) }
}
