/** Checks of values that are encoded, signed or compared by several peers: texts, integers and times (D01, D02, D03). */
import { fromBase64, isWellFormedText, utf8Encode } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, U64 } from "../wire/types.ts"

const MAX_U64 = 0xffffffffffffffffn
const MIN_I64 = -0x8000000000000000n
const MAX_I64 = 0x7fffffffffffffffn

/**
 * The UTF-8 bytes of a text that says the same after encoding.
 * @throws AvError `IllFormedString` on a lone surrogate, which would silently become U+FFFD.
 */
export function utf8(text: string): Bytes {
  return utf8Encode(wellFormed(text))
}

/** @throws AvError `IllFormedString` on a lone surrogate. */
export function wellFormed(text: string): string {
  if (typeof text !== "string" || !isWellFormedText(text)) throw new AvError("IllFormedString")
  return text
}

/** @throws AvError `IntegerOutOfRange` when `value` is no integer of `bits` (at most 32) bits. */
export function unsigned(value: number, bits: 8 | 16 | 32, field: string): number {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits) outOfRange(field)
  return value
}

/** A u64. A `number` is taken when it is a safe integer. @throws AvError `IntegerOutOfRange`. */
export function u64(value: U64 | number, field: string): U64 {
  return within(value, 0n, MAX_U64, field)
}

/** An i64. A `number` is taken when it is a safe integer. @throws AvError `IntegerOutOfRange`. */
export function i64(value: bigint | number, field: string): bigint {
  return within(value, MIN_I64, MAX_I64, field)
}

/** Bytes of canonical base64: standard letters, full padding, unused bits zero. @throws AvError `Base64Invalid`. */
export function strictBase64(text: string): Bytes {
  return fromBase64(text, "Base64Invalid")
}

function within(value: bigint | number, min: bigint, max: bigint, field: string): bigint {
  if (typeof value === "number" && !Number.isSafeInteger(value)) outOfRange(field)
  const integer = BigInt(value)
  if (integer < min || integer > max) outOfRange(field)
  return integer
}

function outOfRange(field: string): never {
  throw new AvError("IntegerOutOfRange", { field })
}
