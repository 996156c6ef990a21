/**
 * ML-KEM-768 (FIPS 203): native where WebCrypto offers it and passes a self-test, else @noble/post-quantum.
 * Secret keys are handled as the 64-byte seed `d ‖ z`. Decapsulation never reports a wrong ciphertext: the secret just differs.
 */
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js"
import { AvError } from "../wire/errors.ts"
import type { Bytes, RandomBytes } from "../wire/types.ts"
import { ctEqual } from "./compare.ts"
import { requireLength, wipe } from "./layout.ts"
import { secureRandom } from "./random.ts"
import { probeOnce, subtle, supports, view } from "./subtle.ts"

export const ML_KEM_PUBLIC_LENGTH = 1184
export const ML_KEM_CIPHERTEXT_LENGTH = 1088
const ML_KEM_SEED_LENGTH = 64

const NAME = "ML-KEM-768"

/** WebCrypto's KEM methods, which the DOM types of TypeScript do not know yet. */
interface KemSubtle {
  importKey(format: string, data: BufferSource, name: string, extractable: boolean, usages: string[]): Promise<CryptoKey>
  encapsulateBits(name: string, key: CryptoKey): Promise<{ sharedKey: ArrayBuffer; ciphertext: ArrayBuffer }>
  decapsulateBits(name: string, key: CryptoKey, ciphertext: BufferSource): Promise<ArrayBuffer>
}
const kem = subtle as unknown as KemSubtle

/** A secret key ready for use: a native key, or the expanded form of the portable library. */
export type MlKemSecret = { native: CryptoKey } | { expanded: Bytes }

/** True when this thread runs ML-KEM-768 natively. */
export const hasNativeMlKem = probeOnce(async () => {
  if (supports("decapsulateBits", NAME) === false) return false
  const seed = new Uint8Array(ML_KEM_SEED_LENGTH).fill(5)
  const { publicKey } = ml_kem768.keygen(seed)
  const sent = ml_kem768.encapsulate(publicKey, new Uint8Array(32).fill(6))
  const secret = await kem.importKey("raw-seed", seed, NAME, false, ["decapsulateBits"])
  const opened = new Uint8Array(await kem.decapsulateBits(NAME, secret, sent.cipherText))
  if (!ctEqual(opened, sent.sharedSecret)) return false
  const back = await nativeEncapsulate(publicKey)
  return ctEqual(new Uint8Array(await kem.decapsulateBits(NAME, secret, view(back.ciphertext))), back.sharedSecret)
})

/** The public key (1184 bytes) and expanded secret key of a 64-byte seed. */
export function mlKemKeygenSync(seed: Bytes): { publicKey: Bytes; secretKey: Bytes } {
  requireLength(seed, ML_KEM_SEED_LENGTH, "ml-kem seed")
  return ml_kem768.keygen(seed)
}

/** A fresh key pair; `secretKey` is the 64-byte seed. */
export async function mlKemKeyPair(random: RandomBytes = secureRandom): Promise<{ publicKey: Bytes; secretKey: Bytes }> {
  const seed = random(ML_KEM_SEED_LENGTH)
  const { publicKey, secretKey } = ml_kem768.keygen(seed)
  wipe(secretKey)
  return { publicKey, secretKey: seed }
}

/**
 * Encapsulates to a public key. A key of the wrong length or with coefficients out of range is `KeyInvalid`.
 * `randomness` (32 bytes) makes the result deterministic: for tests and known answers only.
 */
export async function mlKemEncapsulate(
  publicKey: Bytes,
  randomness?: Bytes,
): Promise<{ ciphertext: Bytes; sharedSecret: Bytes }> {
  requireLength(publicKey, ML_KEM_PUBLIC_LENGTH, "ml-kem public")
  try {
    if (randomness === undefined && (await hasNativeMlKem())) return await nativeEncapsulate(publicKey)
    const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, randomness ?? secureRandom(32))
    return { ciphertext: cipherText, sharedSecret }
  } catch (cause) {
    throw new AvError("KeyInvalid", { what: "ml-kem public" }, { cause })
  }
}

/** Prepares the secret key of a 64-byte seed for many decapsulations. */
export async function importMlKemSeed(seed: Bytes): Promise<MlKemSecret> {
  requireLength(seed, ML_KEM_SEED_LENGTH, "ml-kem seed")
  if (await hasNativeMlKem()) return { native: await kem.importKey("raw-seed", view(seed), NAME, false, ["decapsulateBits"]) }
  return { expanded: ml_kem768.keygen(seed).secretKey }
}

/** The shared secret; implicit rejection for a ciphertext that was not made for this key. Wrong length: `KeyInvalid`. */
export async function mlKemDecapsulate(secret: Bytes | MlKemSecret, ciphertext: Bytes): Promise<Bytes> {
  requireLength(ciphertext, ML_KEM_CIPHERTEXT_LENGTH, "ml-kem ciphertext")
  const key = secret instanceof Uint8Array ? await importMlKemSeed(secret) : secret
  if ("native" in key) return new Uint8Array(await kem.decapsulateBits(NAME, key.native, view(ciphertext)))
  return ml_kem768.decapsulate(ciphertext, key.expanded)
}

async function nativeEncapsulate(publicKey: Bytes): Promise<{ ciphertext: Bytes; sharedSecret: Bytes }> {
  const key = await kem.importKey("raw-public", view(publicKey), NAME, true, ["encapsulateBits"])
  const { ciphertext, sharedKey } = await kem.encapsulateBits(NAME, key)
  return { ciphertext: new Uint8Array(ciphertext), sharedSecret: new Uint8Array(sharedKey) }
}
