/** X25519 (RFC 7748): native where WebCrypto has it and passes a self-test, else @noble/curves. */
import { x25519 } from "@noble/curves/ed25519.js"
import { AvError } from "../wire/errors.ts"
import type { Bytes, RandomBytes } from "../wire/types.ts"
import { ctEqual, isZero } from "./compare.ts"
import { requireLength } from "./layout.ts"
import { secureRandom } from "./random.ts"
import { pkcs8, probeOnce, subtle, view } from "./subtle.ts"

export interface X25519KeyPair {
  publicKey: Bytes
  secretKey: Bytes
}

/** True when this thread computes X25519 natively. */
const hasNativeX25519 = probeOnce(async () => {
  const secret = new Uint8Array(32).fill(7)
  const peer = x25519.getPublicKey(new Uint8Array(32).fill(9))
  return ctEqual(await nativeShared(secret, peer), x25519.getSharedSecret(secret, peer))
})

export function x25519PublicKey(secretKey: Bytes): Bytes {
  requireLength(secretKey, 32, "x25519 secret")
  return x25519.getPublicKey(secretKey)
}

export function x25519KeyPair(random: RandomBytes = secureRandom): X25519KeyPair {
  const secretKey = random(32)
  return { secretKey, publicKey: x25519PublicKey(secretKey) }
}

/** The 32-byte shared secret. A wrong length or an all-zero result (a small-order peer key) is `KeyInvalid`. */
export async function x25519Shared(secretKey: Bytes, peerPublicKey: Bytes): Promise<Bytes> {
  requireLength(secretKey, 32, "x25519 secret")
  requireLength(peerPublicKey, 32, "x25519 public")
  let shared: Bytes
  try {
    shared = (await hasNativeX25519())
      ? await nativeShared(secretKey, peerPublicKey)
      : x25519.getSharedSecret(secretKey, peerPublicKey)
  } catch {
    // Both libraries throw on a small-order peer key.
    throw new AvError("KeyInvalid", { what: "x25519 public" })
  }
  if (isZero(shared)) throw new AvError("KeyInvalid", { what: "x25519 public" })
  return shared
}

async function nativeShared(secretKey: Bytes, peerPublicKey: Bytes): Promise<Bytes> {
  const secret = await subtle.importKey("pkcs8", pkcs8("X25519", secretKey), "X25519", false, ["deriveBits"])
  const peer = await subtle.importKey("raw", view(peerPublicKey), "X25519", false, [])
  return new Uint8Array(await subtle.deriveBits({ name: "X25519", public: peer }, secret, 256))
}
