/** The few byte-layout helpers that key derivations and signed messages share (av-mesh 0, big-endian). */
import { concatBytes as join } from "@noble/hashes/utils.js"
import { AvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"

const encoder = new TextEncoder()

/** Bytes of an ASCII label. */
export function ascii(label: string): Bytes {
  return encoder.encode(label)
}

export function concat(...parts: Bytes[]): Bytes {
  return join(...parts)
}

/** Length-prefixed bytes: u16 length, then the value (text is its UTF-8). Longer than 65 535 bytes: `UsageError`. */
export function lp16(value: Bytes | string): Bytes {
  const bytes = typeof value === "string" ? encoder.encode(value) : value
  if (bytes.length > 0xffff) throw new AvError("UsageError", { length: bytes.length, max: 0xffff })
  const out = new Uint8Array(2 + bytes.length)
  out[0] = bytes.length >>> 8
  out[1] = bytes.length & 0xff
  out.set(bytes, 2)
  return out
}

/** Throws `KeyInvalid` unless `bytes` has exactly `length` bytes. */
export function requireLength(bytes: Bytes, length: number, what: string): void {
  if (!(bytes instanceof Uint8Array) || bytes.length !== length)
    throw new AvError("KeyInvalid", { what, got: bytes?.length, need: length })
}

/** Overwrites secret bytes. Best effort: the engine may have copied them. */
export function wipe(...secrets: (Bytes | undefined)[]): void {
  for (const secret of secrets) secret?.fill(0)
}
