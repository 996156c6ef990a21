/** Building blocks for messages in JSON: each knows how to read, check and write one kind of member (room RM-27, av-mesh D-25). */
import { codePointLength, fromBase64, isWellFormedText, toBase64, utf8Encode } from "./bytes.ts"
import { isJsonObject, JsonNumber, type JsonObject, type JsonValue } from "./json-text.ts"
import { isNodeId } from "./node-id.ts"
import type { Bytes, NodeId, PeerKeyId, U64 } from "./types.ts"

/** What `JSON.stringify` takes. */
export type Plain = null | boolean | number | string | Plain[] | { [member: string]: Plain }

/** A codec for one JSON value. `read` gives undefined for anything that is not exactly what was asked for. */
export interface Field<T> {
  read(value: JsonValue): T | undefined
  write(value: T): Plain
}

const MAX_U64 = 0xffffffffffffffffn

/** Base64 of `min`..`max` bytes; `max` defaults to `min`. */
export function bytesField(min: number, max = min): Field<Bytes> {
  // Checked before decoding, so that a long text costs nothing.
  const longest = 4 * Math.ceil(max / 3)
  return {
    read(value) {
      if (typeof value !== "string" || value.length > longest) return undefined
      const bytes = optionalBase64(value)
      return bytes !== undefined && bytes.length >= min && bytes.length <= max ? bytes : undefined
    },
    write: toBase64,
  }
}

/** Text of at most `max` Unicode characters, without lone surrogates. */
export function textField(max: number, min = 0): Field<string> {
  return {
    read(value) {
      if (typeof value !== "string" || value.length > 2 * max || !isWellFormedText(value)) return undefined
      const length = codePointLength(value)
      return length >= min && length <= max ? value : undefined
    },
    write: (value) => value,
  }
}

/** Text whose UTF-8 form has `min`..`max` bytes. */
export function utf8Field(min: number, max: number): Field<string> {
  return {
    read(value) {
      if (typeof value !== "string" || value.length > max || !isWellFormedText(value)) return undefined
      const length = utf8Encode(value).length
      return length >= min && length <= max ? value : undefined
    },
    write: (value) => value,
  }
}

/** An integer in a range within 2^53. */
export function intField(min: number, max: number): Field<number> {
  return {
    read: (value) => (typeof value === "number" && value >= min && value <= max ? value : undefined),
    write: (value) => value,
  }
}

/** A u64: a plain integer up to 2^53-1 or a decimal string; written as a string only above (D-25). */
export const u64Field: Field<U64> = {
  read: readU64,
  write: (value) => (value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString()),
}

export const boolField: Field<boolean> = {
  read: (value) => (typeof value === "boolean" ? value : undefined),
  write: (value) => value,
}

/** A finite number rounded to binary32. */
export const f32Field: Field<number> = {
  read(value) {
    const number = value instanceof JsonNumber ? value.value : value
    if (typeof number !== "number") return undefined
    const rounded = Math.fround(number)
    return Number.isFinite(rounded) ? rounded : undefined
  },
  write: (value) => value,
}

/** A finite number. */
export const doubleField: Field<number> = {
  read(value) {
    const number = value instanceof JsonNumber ? value.value : value
    return typeof number === "number" && Number.isFinite(number) ? number : undefined
  },
  write: (value) => value,
}

/** 1..255 bytes of UTF-8. */
export const keyIdField: Field<PeerKeyId> = /* @__PURE__ */ utf8Field(1, 255)

/** 16 lower-case hex digits, not all zero. */
export const nodeIdField: Field<NodeId> = {
  read: (value) => (isNodeId(value) ? value : undefined),
  write: (value) => value,
}

/** One of the given words or numbers. */
export function oneOf<const T extends string | number>(...choices: readonly T[]): Field<T> {
  return {
    read: (value) => choices.find((choice) => choice === value),
    write: (value) => value,
  }
}

/** A list of `min`..`max` elements that are all valid. */
export function listOf<T>(element: Field<T>, max: number, min = 0): Field<T[]> {
  return {
    read(value) {
      if (!Array.isArray(value) || value.length < min || value.length > max) return undefined
      const out: T[] = []
      for (const item of value) {
        const read = element.read(item)
        if (read === undefined) return undefined
        out.push(read)
      }
      return out
    },
    write: (value) => value.map((item) => element.write(item)),
  }
}

/** A byte string written as a list of numbers 0..255, as stream paths and the ids of capacity advertisements are. */
export function byteListField(min: number, max: number, largest = 255): Field<Bytes> {
  const list = listOf(intField(0, largest), max, min)
  return {
    read(value) {
      const numbers = list.read(value)
      return numbers === undefined ? undefined : Uint8Array.from(numbers)
    },
    write: (value) => [...value],
  }
}

/** A list of exactly these elements. */
export function tupleOf<T extends readonly unknown[]>(...fields: { [K in keyof T]: Field<T[K]> }): Field<T> {
  return {
    read(value) {
      if (!Array.isArray(value) || value.length !== fields.length) return undefined
      const out: unknown[] = []
      for (const [i, field] of fields.entries()) {
        const read = field.read(value[i] as JsonValue)
        if (read === undefined) return undefined
        out.push(read)
      }
      return out as unknown as T
    },
    write: (value) => fields.map((field, i) => field.write(value[i])),
  }
}

/** A stream path: dyadic choices, at most 8 deep (av-mesh 8.1, D-20). */
export const streamPathField: Field<Bytes> = /* @__PURE__ */ byteListField(0, 8, 1)

function optionalBase64(text: string): Bytes | undefined {
  try {
    return fromBase64(text)
  } catch {
    return undefined
  }
}

function readU64(value: JsonValue): U64 | undefined {
  if (typeof value === "number") return value >= 0 ? BigInt(value) : undefined
  if (typeof value !== "string" || !/^(?:0|[1-9][0-9]{0,19})$/.test(value)) return undefined
  const number = BigInt(value)
  return number <= MAX_U64 ? number : undefined
}

export { isJsonObject, type JsonObject, type JsonValue }
