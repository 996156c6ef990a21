/** Ed25519 (RFC 8032): native where WebCrypto has it and passes a self-test, else @noble/curves. Verification is strict. */
import { ed25519 } from "@noble/curves/ed25519.js"
import { sha512 } from "@noble/hashes/sha2.js"
import { hexToBytes } from "@noble/hashes/utils.js"
import type { Bytes } from "../wire/types.ts"
import { ctEqual } from "./compare.ts"
import { isStrictEd25519, isStrictPoint } from "./ed25519-strict.ts"
import { concat, requireLength } from "./layout.ts"
import { pkcs8, probeOnce, subtle, view } from "./subtle.ts"

/** True when this thread signs and verifies Ed25519 natively. Decided once, by an RFC 8032 known answer. */
export const hasNativeEd25519 = probeOnce(async () => {
  const seed = hexToBytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
  const publicKey = ed25519.getPublicKey(seed)
  const signature = await nativeSign(await importEd25519Seed(seed), new Uint8Array(0))
  if (!ctEqual(signature, ed25519.sign(new Uint8Array(0), seed))) return false
  return (
    (await nativeVerify(publicKey, new Uint8Array(0), signature)) &&
    !(await nativeVerify(publicKey, new Uint8Array(1), signature))
  )
})

/** The 32-byte public key of a 32-byte seed. */
export function ed25519PublicKey(seed: Bytes): Bytes {
  requireLength(seed, 32, "ed25519 seed")
  return ed25519.getPublicKey(seed)
}

/** A non-extractable signing key. Fails where WebCrypto lacks Ed25519: ask {@link hasNativeEd25519} first. */
export async function importEd25519Seed(seed: Bytes): Promise<CryptoKey> {
  requireLength(seed, 32, "ed25519 seed")
  return subtle.importKey("pkcs8", pkcs8("Ed25519", seed), "Ed25519", false, ["sign"])
}

/** The 64-byte signature over `message`, by a 32-byte seed or an imported key. */
export async function ed25519Sign(seedOrKey: Bytes | CryptoKey, message: Bytes): Promise<Bytes> {
  if (!(seedOrKey instanceof Uint8Array)) return nativeSign(seedOrKey, message)
  requireLength(seedOrKey, 32, "ed25519 seed")
  if (await hasNativeEd25519()) return nativeSign(await importEd25519Seed(seedOrKey), message)
  return ed25519.sign(message, seedOrKey)
}

/**
 * Strict verification (control-plane 0.4): canonical encodings only, no small-order key or nonce point, no cofactor.
 * Never throws; anything malformed is simply `false`.
 */
export async function ed25519Verify(publicKey: Bytes, message: Bytes, signature: Bytes): Promise<boolean> {
  if (!isStrictEd25519(publicKey, signature)) return false
  if (await hasNativeEd25519()) return nativeVerify(publicKey, message, signature)
  return portableEd25519Verify(publicKey, message, signature)
}

/** True when the bytes are the canonical encoding of a curve point that can be a key. */
export function isEd25519PublicKey(publicKey: Bytes): boolean {
  if (!isStrictPoint(publicKey)) return false
  try {
    ed25519.Point.fromBytes(publicKey)
    return true
  } catch {
    return false
  }
}

/**
 * The equation `[S]B = R + [k]A` without the cofactor, as native libraries check it. The library's own `verify` multiplies by 8,
 * and two members that judge one signature differently would split a group.
 */
export function portableEd25519Verify(publicKey: Bytes, message: Bytes, signature: Bytes): boolean {
  if (!isStrictEd25519(publicKey, signature)) return false
  const Point = ed25519.Point
  const noncePoint = signature.subarray(0, 32)
  try {
    const key = Point.fromBytes(publicKey)
    const s = littleEndian(signature.subarray(32))
    const k = littleEndian(sha512(concat(noncePoint, publicKey, message))) % Point.Fn.ORDER
    const expected = Point.BASE.multiplyUnsafe(s).subtract(key.multiplyUnsafe(k))
    return ctEqual(expected.toBytes(), noncePoint)
  } catch {
    return false
  }
}

function littleEndian(bytes: Bytes): bigint {
  let value = 0n
  for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i] as number)
  return value
}

async function nativeSign(key: CryptoKey, message: Bytes): Promise<Bytes> {
  return new Uint8Array(await subtle.sign("Ed25519", key, view(message)))
}

async function nativeVerify(publicKey: Bytes, message: Bytes, signature: Bytes): Promise<boolean> {
  try {
    const key = await subtle.importKey("raw", view(publicKey), "Ed25519", false, ["verify"])
    return await subtle.verify("Ed25519", key, view(signature), view(message))
  } catch {
    return false
  }
}
