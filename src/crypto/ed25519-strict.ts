/** The checks on an Ed25519 key and signature that come before any library is asked (control-plane 0.4). */
import { hexToBytes } from "@noble/hashes/utils.js"
import type { Bytes } from "../wire/types.ts"

/** p = 2^255 − 19, little-endian. */
const FIELD_PRIME = hexToBytes("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")
/** L, the order of the base point, little-endian. */
const GROUP_ORDER = hexToBytes("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")

/** Canonical encodings of the points whose order divides 8, sign bit cleared: they make signatures that fit any message. */
const SMALL_ORDER = [
  "0000000000000000000000000000000000000000000000000000000000000000",
  "0100000000000000000000000000000000000000000000000000000000000000",
  "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
].map(hexToBytes)

/** True when key and signature have the right lengths, canonical field elements, a canonical scalar and no small-order point. */
export function isStrictEd25519(publicKey: Bytes, signature: Bytes): boolean {
  if (signature.length !== 64) return false
  return isStrictPoint(publicKey) && isStrictPoint(signature.subarray(0, 32)) && lessThan(signature.subarray(32), GROUP_ORDER)
}

/** True for a 32-byte canonical encoding that is not one of the small-order points. Whether it lies on the curve is not checked. */
export function isStrictPoint(point: Bytes): boolean {
  if (point.length !== 32) return false
  const y = point.slice()
  y[31] = (y[31] as number) & 0x7f
  if (!lessThan(y, FIELD_PRIME)) return false
  return !SMALL_ORDER.some((small) => small.every((byte, i) => byte === y[i]))
}

function lessThan(a: Bytes, b: Bytes): boolean {
  for (let i = 31; i >= 0; i--) {
    const difference = (a[i] as number) - (b[i] as number)
    if (difference !== 0) return difference < 0
  }
  return false
}
