/** Byte strings: joining, comparing, text and hex. The base every codec of this folder stands on. */
import { AvError, type ErrorCode } from "./errors.ts"
import type { Bytes } from "./types.ts"

export { fromBase64, fromBase64Url, toBase64, toBase64Url } from "./base64.ts"
export { ByteReader, plainBytes } from "./byte-reader.ts"
export { ByteWriter } from "./byte-writer.ts"

const encoder = /* @__PURE__ */ new TextEncoder()
// ignoreBOM: true keeps a leading U+FEFF; dropping it would make two different byte strings decode alike.
const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The UTF-8 bytes of `text`. Lone surrogates become U+FFFD; check untrusted text with {@link isWellFormedText} first. */
export function utf8Encode(text: string): Bytes {
  return encoder.encode(text)
}

/**
 * Text from UTF-8 bytes, strictly: nothing is replaced, a byte order mark stays part of the text (control-plane 0.1).
 * @throws AvError `code` (default `Malformed`) on bytes that are not UTF-8.
 */
export function utf8Decode(bytes: Bytes, code: ErrorCode = "Malformed"): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new AvError(code, { why: "not UTF-8" }, { cause })
  }
}

/** True when `text` has no lone surrogate, that is, when its UTF-8 form says the same as the string. */
export function isWellFormedText(text: string): boolean {
  return !/\p{Surrogate}/u.test(text)
}

/** Number of Unicode code points, the "characters" of room RM-27. */
export function codePointLength(text: string): number {
  let count = 0
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    const pair = unit >= 0xd800 && unit <= 0xdbff && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00
    if (pair) i++
    count++
  }
  return count
}

/** One new byte string holding all parts in order. */
export function concatBytes(...parts: readonly Bytes[]): Bytes {
  let length = 0
  for (const part of parts) length += part.length
  const out = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    out.set(part, offset)
    offset += part.length
  }
  return out
}

/** Equality of public values. Its time depends on the content: compare secrets and MACs with `ctEqual` of crypto. */
export function equalBytes(a: Bytes, b: Bytes): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** Lexicographic order of byte strings; a proper prefix comes first. Negative, zero or positive like a sort callback. */
export function compareBytes(a: Bytes, b: Bytes): number {
  const shared = Math.min(a.length, b.length)
  for (let i = 0; i < shared; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/**
 * Order of well-formed texts by their UTF-8 bytes, as key ids are compared (av-mesh 0.1), which is the order of their code points.
 * JavaScript's own order is UTF-16 and differs above U+FFFF. Nothing is encoded: thousands of ids are sorted at once.
 */
export function compareUtf8(a: string, b: string): number {
  const shared = Math.min(a.length, b.length)
  for (let i = 0; i < shared; i++) {
    const [x, y] = [a.charCodeAt(i), b.charCodeAt(i)]
    // At the first difference a surrogate stands for a code point above all that need none.
    if (x !== y) return isSurrogate(x) === isSurrogate(y) ? x - y : isSurrogate(x) ? 1 : -1
  }
  return a.length - b.length
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff
}

/** Lower-case hex. */
export function toHex(bytes: Bytes): string {
  let out = ""
  for (const byte of bytes) out += byte.toString(16).padStart(2, "0")
  return out
}

/**
 * Bytes from hex digits of either case.
 * @throws AvError `code` (default `Malformed`) on an odd length or another character.
 */
export function fromHex(hex: string, code: ErrorCode = "Malformed"): Bytes {
  if (hex.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(hex)) throw new AvError(code, { why: "not hex" })
  const out = new Uint8Array(hex.length / 2)
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16)
  return out
}
