/** The signed statement that all tokens of an entity below a generation are dead (control-plane 1.8). */
import { ByteWriter } from "./byte-writer.ts"
import { ByteReader, concatBytes, utf8Encode } from "./bytes.ts"
import { AvError } from "./errors.ts"
import type { Bytes, U64 } from "./types.ts"

/** Label of the signature. */
export const FLOOR_LABEL = "mesh/floor/v1"
const FLOOR_RECORD_LENGTH = 112
/** A FLOOR frame's payload: hop count, three zero bytes, the record. */
const FLOOR_PAYLOAD_LENGTH = 4 + FLOOR_RECORD_LENGTH
/** The last generation: the key is retired with it. */
export const MAX_GENERATION = 0xffffffff

const MAGIC = /* @__PURE__ */ utf8Encode("MGF1")
const SIGNATURE_LENGTH = 64

export interface FloorRecord {
  /** Entity id of the token issuer who speaks about itself. */
  entity: Bytes
  /** Tokens of a lower generation are dead. */
  generation: number
  /** Unix milliseconds of the issuer's clock. */
  issuedMs: U64
}

interface SignedFloorRecord {
  floor: FloorRecord
  /** Everything before the signature, as it was signed. */
  signedBytes: Bytes
  signature: Bytes
}

/** The 48 bytes to sign. @throws AvError `UsageError` when a field is out of its range. */
export function encodeUnsignedFloorRecord(floor: FloorRecord): Bytes {
  const writer = new ByteWriter(FLOOR_RECORD_LENGTH).bytes(MAGIC).fixed(floor.entity, 32)
  return writer.u32le(floor.generation).u64le(floor.issuedMs).finish()
}

export function joinFloorRecord(signedBytes: Bytes, signature: Bytes): Bytes {
  if (signature.length !== SIGNATURE_LENGTH) throw new AvError("UsageError", { why: "signature length", got: signature.length })
  return concatBytes(signedBytes, signature)
}

/**
 * Reads a record without verifying the signature: check it over `signedBytes` with {@link FLOOR_LABEL} and the key `entity`.
 * @throws AvError `Malformed` on another length or magic.
 */
export function decodeFloorRecord(bytes: Bytes): SignedFloorRecord {
  const reader = new ByteReader(bytes, "Malformed")
  reader.expect(MAGIC, "magic")
  const entity = reader.bytes(32).slice()
  const floor = { entity, generation: reader.u32le(), issuedMs: reader.u64le() }
  const signedBytes = reader.consumed.slice()
  const signature = reader.bytes(SIGNATURE_LENGTH).slice()
  reader.end()
  return { floor, signedBytes, signature }
}

/** The payload of a FLOOR frame. */
export function encodeFloorPayload(hopCount: number, record: Bytes): Bytes {
  return new ByteWriter(FLOOR_PAYLOAD_LENGTH).u8(hopCount).zeros(3).fixed(record, FLOOR_RECORD_LENGTH).finish()
}

/** @throws AvError `Malformed` on another length or reserved bytes. The record inside is not looked at. */
export function decodeFloorPayload(bytes: Bytes): { hopCount: number; record: Bytes } {
  const reader = new ByteReader(bytes, "Malformed")
  const hopCount = reader.u8()
  reader.zeros(3)
  const record = reader.bytes(FLOOR_RECORD_LENGTH).slice()
  reader.end()
  return { hopCount, record }
}
