/** The fields of an announcement body, read from and written to the dCBOR map, with every rule of control-plane 2.3. */
import { type AddressBlock, decodeAddressBlock, encodeAddressBlock } from "../wire/address.ts"
import { compareBytes, isWellFormedText, utf8Encode } from "../wire/bytes.ts"
import { cborUint, type DcborValue } from "../wire/dcbor.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import { MEMBERSHIP_CERT_LENGTH } from "../wire/membership-cert.ts"
import { nodeIdFromU64, nodeIdToU64 } from "../wire/node-id.ts"
import type { Bytes, NodeId } from "../wire/types.ts"
import {
  type Announcement,
  MAX_ALLOW_LIST,
  MAX_CERTS,
  MAX_METADATA_BYTES,
  MAX_METADATA_ENTRIES,
  MAX_METADATA_KEY,
  MAX_METADATA_VALUE,
  MAX_REFLEX,
  MAX_TAGS,
  MAX_TTL_SECONDS,
} from "./announcement.ts"
import { isTag } from "./tags.ts"

/** The body as a map with small unsigned keys. */
export type FieldMap = Map<DcborValue, DcborValue>

export const FIELD = {
  nodeId: 1,
  entityId: 2,
  version: 3,
  issuedMs: 4,
  ttl: 5,
  tags: 6,
  metadata: 7,
  reflex: 8,
  generation: 9,
  allowedNodes: 10,
  allowedSubnets: 11,
  allowedGroups: 12,
  certs: 13,
  flags: 14,
  pqHash: 15,
} as const

const REQUIRED = [FIELD.nodeId, FIELD.entityId, FIELD.version, FIELD.issuedMs, FIELD.ttl]
const FIRST_EXTENSION = 64
const LAST_EXTENSION = 255
const FLAG_STRICT = 1n
const MAX_U32 = 0xffffffffn
const MAX_U64 = 0xffffffffffffffffn

/**
 * Reads the fields.
 * @throws AvError `Malformed` (a key that is no unsigned integer), `UnknownCriticalField`, `MissingField`, `BadField` (type,
 * length or range), `NonCanonical` (order, repetition, present although empty), `AllowListTooLong`.
 */
export function readFields(map: FieldMap): Announcement {
  const extensions = readExtensions(map)
  for (const field of REQUIRED) if (!map.has(field)) throw new AvError("MissingField", { field })
  return {
    nodeId: nodeId(map.get(FIELD.nodeId), FIELD.nodeId),
    entityId: fixedBytes(map.get(FIELD.entityId), 32, FIELD.entityId),
    version: uint(map, FIELD.version, 1n, MAX_U64),
    issuedMs: uint(map, FIELD.issuedMs, 0n, MAX_U64),
    ttlSeconds: Number(uint(map, FIELD.ttl, 1n, BigInt(MAX_TTL_SECONDS))),
    tags: list(map, FIELD.tags, MAX_TAGS, tag, compareAscii),
    metadata: readMetadata(map.get(FIELD.metadata)),
    reflex: list(map, FIELD.reflex, MAX_REFLEX, address, (a, b) => compareBytes(encodeAddressBlock(a), encodeAddressBlock(b))),
    generation: Number(omittableUint(map, FIELD.generation, MAX_U32)),
    allowedNodes: allowList(map, FIELD.allowedNodes, nodeId, compareAscii),
    allowedSubnets: allowList(map, FIELD.allowedSubnets, (value, field) => fixedBytes(value, 16, field), compareBytes),
    allowedGroups: allowList(map, FIELD.allowedGroups, (value, field) => fixedBytes(value, 32, field), compareBytes),
    certs: list(map, FIELD.certs, MAX_CERTS, (value, field) => fixedBytes(value, MEMBERSHIP_CERT_LENGTH, field), compareBytes),
    strictMembership: omittableUint(map, FIELD.flags, FLAG_STRICT) === FLAG_STRICT,
    pqHash: readPqHash(map),
    extensions,
  }
}

/** The map of an announcement: lists in order, empty fields left out. Rules are {@link readFields}'s to check. */
export function writeFields(a: Announcement): FieldMap {
  const map: FieldMap = new Map()
  map.set(FIELD.nodeId, nodeIdToU64(a.nodeId))
  map.set(FIELD.entityId, a.entityId)
  map.set(FIELD.version, a.version)
  map.set(FIELD.issuedMs, a.issuedMs)
  map.set(FIELD.ttl, a.ttlSeconds)
  setList(map, FIELD.tags, [...a.tags].sort(compareAscii))
  if (a.metadata.size > 0) map.set(FIELD.metadata, new Map(a.metadata))
  setList(map, FIELD.reflex, a.reflex.map(encodeAddressBlock).sort(compareBytes))
  if (a.generation !== 0) map.set(FIELD.generation, a.generation)
  setList(map, FIELD.allowedNodes, [...a.allowedNodes].sort(compareAscii).map(nodeIdToU64))
  setList(map, FIELD.allowedSubnets, [...a.allowedSubnets].sort(compareBytes))
  setList(map, FIELD.allowedGroups, [...a.allowedGroups].sort(compareBytes))
  setList(map, FIELD.certs, [...a.certs].sort(compareBytes))
  if (a.strictMembership) map.set(FIELD.flags, FLAG_STRICT)
  if (a.pqHash.some((byte) => byte !== 0)) map.set(FIELD.pqHash, a.pqHash)
  for (const [field, value] of a.extensions) map.set(field, value)
  return map
}

function readExtensions(map: FieldMap): Map<number, DcborValue> {
  for (const key of map.keys()) if (cborUint(key) === undefined) throw new AvError("Malformed", { why: "field key" })
  const extensions = new Map<number, DcborValue>()
  for (const [key, value] of map) {
    const field = Number(key)
    if (field >= FIELD.nodeId && field <= FIELD.pqHash) continue
    if (field < FIRST_EXTENSION || field > LAST_EXTENSION) throw new AvError("UnknownCriticalField", { field })
    extensions.set(field, value)
  }
  return extensions
}

function readMetadata(value: DcborValue | undefined): Map<string, string> {
  const out = new Map<string, string>()
  if (value === undefined) return out
  if (!(value instanceof Map)) throw badField(FIELD.metadata)
  if (value.size === 0) throw mustBeOmitted(FIELD.metadata)
  if (value.size > MAX_METADATA_ENTRIES) throw badField(FIELD.metadata)
  let total = 0
  for (const [key, text] of value) {
    if (typeof key !== "string" || typeof text !== "string") throw badField(FIELD.metadata)
    if (!isWellFormedText(key) || !isWellFormedText(text)) throw badField(FIELD.metadata)
    const [keyLength, textLength] = [utf8Encode(key).length, utf8Encode(text).length]
    total += keyLength + textLength
    const fits =
      keyLength >= 1 && keyLength <= MAX_METADATA_KEY && textLength <= MAX_METADATA_VALUE && total <= MAX_METADATA_BYTES
    if (!fits) throw badField(FIELD.metadata)
    out.set(key, text)
  }
  return out
}

function readPqHash(map: FieldMap): Bytes {
  if (!map.has(FIELD.pqHash)) return new Uint8Array(32)
  const hash = fixedBytes(map.get(FIELD.pqHash), 32, FIELD.pqHash)
  if (hash.every((byte) => byte === 0)) throw mustBeOmitted(FIELD.pqHash)
  return hash
}

function uint(map: FieldMap, field: number, min: bigint, max: bigint): bigint {
  const raw = map.get(field)
  // Only a builder can hold a fraction here.
  if (typeof raw === "number" && !Number.isSafeInteger(raw)) throw badField(field)
  const value = cborUint(raw)
  if (value === undefined || value < min || value > max) throw badField(field)
  return value
}

/** A field that must be absent when it is zero. */
function omittableUint(map: FieldMap, field: number, max: bigint): bigint {
  if (!map.has(field)) return 0n
  const value = uint(map, field, 0n, max)
  if (value === 0n) throw mustBeOmitted(field)
  return value
}

type Read<T> = (value: DcborValue | undefined, field: number) => T
type Compare<T> = (a: T, b: T) => number

function allowList<T>(map: FieldMap, field: number, read: Read<T>, compare: Compare<T>): T[] {
  const value = map.get(field)
  if (Array.isArray(value) && value.length > MAX_ALLOW_LIST) {
    throw new AvError("AllowListTooLong", { field, got: value.length, max: MAX_ALLOW_LIST })
  }
  return list(map, field, MAX_ALLOW_LIST, read, compare)
}

function list<T>(map: FieldMap, field: number, max: number, read: Read<T>, compare: Compare<T>): T[] {
  const value = map.get(field)
  if (value === undefined) return []
  if (!Array.isArray(value)) throw badField(field)
  if (value.length === 0) throw mustBeOmitted(field)
  if (value.length > max) throw badField(field)
  const out = value.map((item) => read(item, field))
  for (let i = 1; i < out.length; i++) {
    if (compare(out[i - 1] as T, out[i] as T) >= 0) throw new AvError("NonCanonical", { field, why: "order" })
  }
  return out
}

function tag(value: DcborValue | undefined, field: number): string {
  if (typeof value !== "string" || !isTag(value)) throw badField(field)
  return value
}

function nodeId(value: DcborValue | undefined, field: number): NodeId {
  const id = cborUint(value)
  if (id === undefined || id === 0n) throw badField(field)
  return nodeIdFromU64(id)
}

function fixedBytes(value: DcborValue | undefined, length: number, field: number): Bytes {
  if (!(value instanceof Uint8Array) || value.length !== length) throw badField(field)
  return value.slice()
}

function address(value: DcborValue | undefined, field: number): AddressBlock {
  if (!(value instanceof Uint8Array)) throw badField(field)
  try {
    return decodeAddressBlock(value)
  } catch (error) {
    if (isAvError(error, "AddressInvalid")) throw badField(field)
    throw error
  }
}

function setList(map: FieldMap, field: number, items: DcborValue[]): void {
  if (items.length > 0) map.set(field, items)
}

/** Order of ASCII texts, which is that of their bytes; also of node ids in their fixed-length form. */
function compareAscii(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function badField(field: number): AvError {
  return new AvError("BadField", { field })
}

function mustBeOmitted(field: number): AvError {
  return new AvError("NonCanonical", { field, why: "present although empty" })
}
