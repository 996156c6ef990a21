/** Base64 and base64url, decoded strictly: one byte string has exactly one accepted text (av-mesh D-25, room RM-25). */
import { AvError, type ErrorCode } from "./errors.ts"
import type { Bytes } from "./types.ts"

const STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
const URL_SAFE = `${STANDARD.slice(0, 62)}-_`
const INVALID = 255
const PADDING = 0x3d

const asciiDecoder = /* @__PURE__ */ new TextDecoder()
const standardLetters = /* @__PURE__ */ new TextEncoder().encode(STANDARD)
const urlLetters = /* @__PURE__ */ new TextEncoder().encode(URL_SAFE)

const standardValues = /* @__PURE__ */ valuesOf(STANDARD)
const urlValues = /* @__PURE__ */ valuesOf(URL_SAFE)

/** Standard base64 with padding. */
export function toBase64(bytes: Bytes): string {
  return encode(bytes, standardLetters, true)
}

/**
 * Bytes from standard base64: padding is mandatory, unused bits must be zero, no white space.
 * @throws AvError `code` (default `Malformed`).
 */
export function fromBase64(text: string, code: ErrorCode = "Malformed"): Bytes {
  if (text.length % 4 !== 0) throw new AvError(code, { why: "base64 length" })
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0
  return decode(text, text.length - padding, standardValues, code)
}

/** Base64url without padding. */
export function toBase64Url(bytes: Bytes): string {
  return encode(bytes, urlLetters, false)
}

/**
 * Bytes from base64url without padding; unused bits must be zero.
 * @throws AvError `code` (default `Malformed`).
 */
export function fromBase64Url(text: string, code: ErrorCode = "Malformed"): Bytes {
  return decode(text, text.length, urlValues, code)
}

function valuesOf(alphabet: string): Uint8Array {
  const values = new Uint8Array(128).fill(INVALID)
  for (let i = 0; i < alphabet.length; i++) values[alphabet.charCodeAt(i)] = i
  return values
}

function encode(bytes: Bytes, alphabet: Uint8Array, padded: boolean): string {
  const length = Math.ceil((bytes.length * 4) / 3)
  const out = new Uint8Array(padded ? Math.ceil(bytes.length / 3) * 4 : length)
  let at = 0
  for (let i = 0; i < bytes.length; i += 3) {
    const group = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0)
    // Writes past the end of a typed array are dropped, which ends an unpadded text where it should.
    out[at++] = alphabet[group >> 18] ?? 0
    out[at++] = alphabet[(group >> 12) & 63] ?? 0
    out[at++] = alphabet[(group >> 6) & 63] ?? 0
    out[at++] = alphabet[group & 63] ?? 0
  }
  out.fill(PADDING, length)
  return asciiDecoder.decode(out)
}

function decode(text: string, length: number, values: Uint8Array, code: ErrorCode): Bytes {
  const rest = length % 4
  if (rest === 1) throw new AvError(code, { why: "base64 length" })
  const out = new Uint8Array(Math.floor((length * 6) / 8))
  let bits = 0
  let held = 0
  let offset = 0
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i)
    const value = unit < 128 ? (values[unit] ?? INVALID) : INVALID
    if (value === INVALID) throw new AvError(code, { why: "base64 character" })
    held = ((held << 6) | value) & 0xffff
    bits += 6
    if (bits >= 8) {
      bits -= 8
      out[offset++] = held >> bits
    }
  }
  if ((held & ((1 << bits) - 1)) !== 0) throw new AvError(code, { why: "base64 unused bits" })
  return out
}
