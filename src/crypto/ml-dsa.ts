/**
 * ML-DSA-65 (FIPS 204, pure mode): native where WebCrypto offers it and passes a self-test, else @noble/post-quantum.
 * The portable signer needs 6 ms with a tail over 20 ms: keep it off the main thread.
 */
import { ml_dsa65 } from "@noble/post-quantum/ml-dsa.js"
import type { Bytes } from "../wire/types.ts"
import { requireLength, wipe } from "./layout.ts"
import { probeOnce, subtle, supports, view } from "./subtle.ts"

export const ML_DSA_PUBLIC_LENGTH = 1952
export const ML_DSA_SIGNATURE_LENGTH = 3309
const ML_DSA_SEED_LENGTH = 32

const NAME = "ML-DSA-65"

/** `sign` and `verify` take a context member for ML-DSA, and keys the seed format; the DOM types lack both. */
interface DsaSubtle {
  importKey(format: string, data: BufferSource, name: string, extractable: boolean, usages: string[]): Promise<CryptoKey>
  sign(algorithm: { name: string; context?: BufferSource }, key: CryptoKey, message: BufferSource): Promise<ArrayBuffer>
  verify(
    algorithm: { name: string; context?: BufferSource },
    key: CryptoKey,
    signature: BufferSource,
    message: BufferSource,
  ): Promise<boolean>
}
const dsa = subtle as unknown as DsaSubtle

/** True when this thread runs ML-DSA-65 natively. */
export const hasNativeMlDsa = probeOnce(async () => {
  if (supports("sign", NAME) === false) return false
  const seed = new Uint8Array(ML_DSA_SEED_LENGTH).fill(3)
  const message = new Uint8Array([1, 2, 3])
  const { publicKey } = ml_dsa65.keygen(seed)
  const signature = await nativeSign(await importMlDsaSeed(seed), message)
  if (!ml_dsa65.verify(signature, message, publicKey)) return false
  const changed = Uint8Array.of(1, 2, 4)
  return (await nativeVerify(publicKey, message, signature)) && !(await nativeVerify(publicKey, changed, signature))
})

/** The 1952-byte public key of a 32-byte seed. */
export function mlDsaPublicKey(seed: Bytes): Bytes {
  requireLength(seed, ML_DSA_SEED_LENGTH, "ml-dsa seed")
  const { publicKey, secretKey } = ml_dsa65.keygen(seed)
  wipe(secretKey)
  return publicKey
}

/** A non-extractable native signing key. Ask {@link hasNativeMlDsa} first. */
export async function importMlDsaSeed(seed: Bytes): Promise<CryptoKey> {
  requireLength(seed, ML_DSA_SEED_LENGTH, "ml-dsa seed")
  return dsa.importKey("raw-seed", view(seed), NAME, false, ["sign"])
}

/** The 3309-byte signature, with the empty context, by a 32-byte seed or an imported key. */
export async function mlDsaSign(seedOrKey: Bytes | CryptoKey, message: Bytes): Promise<Bytes> {
  if (!(seedOrKey instanceof Uint8Array)) return nativeSign(seedOrKey, message)
  requireLength(seedOrKey, ML_DSA_SEED_LENGTH, "ml-dsa seed")
  if (await hasNativeMlDsa()) return nativeSign(await importMlDsaSeed(seedOrKey), message)
  const { secretKey } = ml_dsa65.keygen(seedOrKey)
  const signature = ml_dsa65.sign(message, secretKey)
  wipe(secretKey)
  return signature
}

/** Verifies under the empty context, or the one given (at most 255 bytes). Never throws; anything malformed is `false`. */
export async function mlDsaVerify(publicKey: Bytes, message: Bytes, signature: Bytes, context?: Bytes): Promise<boolean> {
  if (publicKey.length !== ML_DSA_PUBLIC_LENGTH || signature.length !== ML_DSA_SIGNATURE_LENGTH) return false
  if (context !== undefined && context.length > 255) return false
  if (await hasNativeMlDsa()) return nativeVerify(publicKey, message, signature, context)
  try {
    return ml_dsa65.verify(signature, message, publicKey, context === undefined ? {} : { context })
  } catch {
    return false
  }
}

async function nativeSign(key: CryptoKey, message: Bytes): Promise<Bytes> {
  return new Uint8Array(await dsa.sign({ name: NAME }, key, view(message)))
}

async function nativeVerify(publicKey: Bytes, message: Bytes, signature: Bytes, context?: Bytes): Promise<boolean> {
  try {
    const key = await dsa.importKey("raw-public", view(publicKey), NAME, false, ["verify"])
    const algorithm = context === undefined || context.length === 0 ? { name: NAME } : { name: NAME, context: view(context) }
    return await dsa.verify(algorithm, key, view(signature), view(message))
  } catch {
    return false
  }
}
