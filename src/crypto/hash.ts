/** SHA-256, HMAC, HKDF and keyed BLAKE2s. The synchronous forms are for short inputs and hot paths. */
import { blake2s } from "@noble/hashes/blake2.js"
import { expand, hkdf as nobleHkdf } from "@noble/hashes/hkdf.js"
import { hmac } from "@noble/hashes/hmac.js"
import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js"
import type { Bytes } from "../wire/types.ts"
import { ascii } from "./layout.ts"
import { subtle, view } from "./subtle.ts"

/** Below this size a call into WebCrypto costs more than hashing in place. */
const NATIVE_FROM_BYTES = 8_192

export function sha256Sync(data: Bytes): Bytes {
  return nobleSha256(data)
}

/** SHA-256; large inputs go to WebCrypto, off the thread. */
export async function sha256(data: Bytes): Promise<Bytes> {
  if (data.length < NATIVE_FROM_BYTES) return nobleSha256(data)
  return new Uint8Array(await subtle.digest("SHA-256", view(data)))
}

export function hmacSha256Sync(key: Bytes, data: Bytes): Bytes {
  return hmac(nobleSha256, key, data)
}

/** HKDF-SHA-256, extract and expand (RFC 5869). An empty salt means 32 zero bytes, as the RFC says. */
export function hkdfSync(ikm: Bytes, salt: Bytes, info: Bytes, length: number): Bytes {
  return nobleHkdf(nobleSha256, ikm, salt, info, length)
}

export async function hkdf(ikm: Bytes, salt: Bytes, info: Bytes, length: number): Promise<Bytes> {
  return hkdfSync(ikm, salt, info, length)
}

/** The expand half of HKDF-SHA-256 for a secret that is uniformly random already. */
export function hkdfExpandSync(prk: Bytes, info: Bytes, length: number): Bytes {
  return expand(nobleSha256, prk, info, length)
}

export async function hkdfExpand(prk: Bytes, info: Bytes, length: number): Promise<Bytes> {
  return hkdfExpandSync(prk, info, length)
}

/** `kh(label, data)` of control-plane 0.2: BLAKE2s-256 in keyed mode, the ASCII label (1..32 bytes) being the key. */
export function keyedBlake2s(label: string, data: Bytes): Bytes {
  return blake2s(data, { key: ascii(label), dkLen: 32 })
}
