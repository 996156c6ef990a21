/** Deterministic CBOR subset: one byte string per value, checked before anything is built (control-plane 0.3). */
import { decode, encode, type Token, Tokenizer, Type } from "cborg"
import { compareBytes, isWellFormedText, plainBytes, utf8Decode } from "./bytes.ts"
import { AvError } from "./errors.ts"
import type { Bytes } from "./types.ts"

/**
 * What the subset can say: unsigned integers up to 2^64-1, byte strings, text, arrays and maps. Decoding gives a `number` for
 * integers below 2^53 and a `bigint` above; {@link cborUint} reads both.
 */
export type DcborValue = number | bigint | string | Bytes | DcborValue[] | Map<DcborValue, DcborValue>

const MAX_DEPTH = 4
const MAX_ITEMS = 4096
const MAX_U64 = 0xffffffffffffffffn
const READING = {
  useMaps: true,
  allowIndefinite: false,
  allowBigInt: true,
  strict: true,
  rejectDuplicateMapKeys: true,
  retainStringBytes: true,
}

/**
 * The one encoding of `value`; map entries are sorted here.
 * @throws AvError `UsageError` for values outside of the subset or its limits.
 */
export function encodeDcbor(value: DcborValue): Bytes {
  return encodeLargeDcbor(value, MAX_ITEMS)
}

/** {@link encodeDcbor} for the few objects that may have more than 4096 items. */
export function encodeLargeDcbor(value: DcborValue, maxItems: number): Bytes {
  const budget = { items: maxItems }
  assertEncodable(value, 0, budget)
  const bytes = encodeOrdered(ordered(value))
  // Repeated keys that differ as JavaScript values (5 and 5n) only show in the encoding.
  checkDcbor(bytes, maxItems)
  return bytes
}

/**
 * Reads one value.
 * @throws AvError `NonCanonical` for a head that is not the shortest or map keys that repeat or are out of order;
 * `Malformed` for everything else: other types, more than 4 nested containers, more than 4096 items, lengths beyond the
 * input, text that is not UTF-8, trailing bytes.
 */
export function decodeDcbor(bytes: Bytes): DcborValue {
  return decodeLargeDcbor(bytes, MAX_ITEMS)
}

/** {@link decodeDcbor} with another limit to the number of items. */
export function decodeLargeDcbor(bytes: Bytes, maxItems: number): DcborValue {
  checkDcbor(bytes, maxItems)
  const plain = plainBytes(bytes)
  try {
    return decode(plain, { ...READING, tokenizer: new ExactText(plain, READING) }) as DcborValue
  } catch (cause) {
    throw new AvError("Malformed", { why: "cbor" }, { cause })
  }
}

/** The library's own sorters do not know arrays and maps as keys, so maps come to it in order. */
function encodeOrdered(value: DcborValue): Bytes {
  return encode(value, { mapSorter: keepOrder })
}

function keepOrder(): number {
  return 0
}

/** A copy of `value` whose map entries are in the order of their keys' encodings. */
function ordered(value: DcborValue): DcborValue {
  if (Array.isArray(value)) return value.map(ordered)
  if (!(value instanceof Map)) return value
  const entries = [...value].map(([key, item]) => ({ bytes: encodeOrdered(ordered(key)), key, item: ordered(item) }))
  return new Map(entries.sort((a, b) => compareBytes(a.bytes, b.bytes)).map((entry) => [entry.key, entry.item]))
}

/** The integer of a decoded value as `bigint`, or undefined when it is something else. */
export function cborUint(value: DcborValue | undefined): bigint | undefined {
  if (typeof value === "bigint") return value
  return typeof value === "number" ? BigInt(value) : undefined
}

function assertEncodable(value: DcborValue, depth: number, budget: { items: number }): void {
  const valid = --budget.items >= 0 && depth <= MAX_DEPTH
  if (!valid) throw new AvError("UsageError", { why: "cbor limits" })
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value) || value < 0 || Object.is(value, -0))
      throw new AvError("UsageError", { why: "cbor integer" })
  } else if (typeof value === "bigint") {
    if (value < 0n || value > MAX_U64) throw new AvError("UsageError", { why: "cbor integer" })
  } else if (typeof value === "string") {
    if (!isWellFormedText(value)) throw new AvError("UsageError", { why: "cbor text" })
  } else if (Array.isArray(value)) {
    for (const item of value) assertEncodable(item, depth + 1, budget)
  } else if (value instanceof Map) {
    for (const [key, item] of value) {
      assertEncodable(key, depth + 1, budget)
      assertEncodable(item, depth + 1, budget)
    }
  } else if (!(value instanceof Uint8Array)) {
    throw new AvError("UsageError", { why: "cbor type" })
  }
}

/** Walks the bytes once and refuses whatever is outside of the subset, without building anything. */
function checkDcbor(bytes: Bytes, maxItems: number): void {
  const scan = new Scanner(bytes, maxItems)
  scan.item(0)
  if (scan.offset !== bytes.length) throw malformed("trailing bytes")
}

/** The library alone drops a byte order mark at the start of a text, so that two byte strings would read alike. */
class ExactText extends Tokenizer {
  override next(): Token {
    const token = super.next()
    if (token.type === Type.string && token.byteValue !== undefined) token.value = utf8Decode(token.byteValue)
    return token
  }
}

class Scanner {
  readonly #bytes: Bytes
  readonly #view: DataView
  readonly #maxItems: number
  #items = 0
  offset = 0

  constructor(bytes: Bytes, maxItems: number) {
    this.#maxItems = maxItems
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  item(depth: number): void {
    if (++this.#items > this.#maxItems) throw malformed("too many items")
    const first = this.#bytes[this.offset]
    if (first === undefined) throw malformed("truncated")
    const major = first >> 5
    if (major === 1 || major > 5) throw malformed("type")
    this.offset++
    const argument = this.#argument(first & 31)
    if (major === 0) return
    const left = this.#bytes.length - this.offset
    // Every item takes at least one byte, so a count beyond the bytes left cannot be honest.
    const least = major === 5 ? argument * 2n : argument
    if (least > BigInt(left)) throw malformed("length beyond the input")
    const count = Number(argument)
    if (major === 2 || major === 3) {
      const start = this.offset
      this.offset += count
      if (major === 3) utf8Decode(this.#bytes.subarray(start, this.offset))
      return
    }
    if (depth >= MAX_DEPTH) throw malformed("nesting")
    if (major === 4) for (let i = 0; i < count; i++) this.item(depth + 1)
    else this.#map(count, depth)
  }

  #map(count: number, depth: number): void {
    let previous: Bytes | undefined
    for (let i = 0; i < count; i++) {
      const start = this.offset
      this.item(depth + 1)
      const key = this.#bytes.subarray(start, this.offset)
      if (previous !== undefined && compareBytes(previous, key) >= 0) throw new AvError("NonCanonical", { why: "map key order" })
      previous = key
      this.item(depth + 1)
    }
  }

  #argument(low: number): bigint {
    if (low < 24) return BigInt(low)
    if (low > 27) throw malformed("indefinite or reserved length")
    const size = 1 << (low - 24)
    if (this.#bytes.length - this.offset < size) throw malformed("truncated")
    const at = this.offset
    this.offset += size
    const value = this.#unsigned(at, size)
    const shortest = size === 1 ? value >= 24n : value >> BigInt(size * 4) > 0n
    if (!shortest) throw new AvError("NonCanonical", { why: "head not shortest" })
    return value
  }

  #unsigned(at: number, size: number): bigint {
    if (size === 8) return this.#view.getBigUint64(at)
    if (size === 4) return BigInt(this.#view.getUint32(at))
    return BigInt(size === 2 ? this.#view.getUint16(at) : this.#view.getUint8(at))
  }
}

function malformed(why: string): AvError {
  return new AvError("Malformed", { why })
}
