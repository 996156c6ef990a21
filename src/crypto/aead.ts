/** AES-256-GCM through WebCrypto, the one AEAD of media and routed frames. */
import type { Bytes } from "../wire/types.ts"
import { requireLength } from "./layout.ts"
import { subtle, view } from "./subtle.ts"

/** Bytes the tag adds to every plaintext. */
export const AEAD_TAG_LENGTH = 16
const AEAD_NONCE_LENGTH = 12

/** A non-extractable key for {@link aeadSeal} and {@link aeadOpen}. `raw` must be 32 bytes (`KeyInvalid`). Import once, not per chunk. */
export async function importAeadKey(raw: Bytes): Promise<CryptoKey> {
  requireLength(raw, 32, "aead key")
  return subtle.importKey("raw", view(raw), "AES-GCM", false, ["encrypt", "decrypt"])
}

/** Seals; the result is ciphertext followed by the 16-byte tag. The caller answers for never repeating a nonce under one key. */
export async function aeadSeal(key: CryptoKey, nonce: Bytes, aad: Bytes, plaintext: Bytes): Promise<Bytes> {
  return new Uint8Array(await subtle.encrypt(parameters(nonce, aad), key, view(plaintext)))
}

/** Opens; `null` on any failure (wrong key, nonce, associated data, changed or short input). */
export async function aeadOpen(key: CryptoKey, nonce: Bytes, aad: Bytes, ciphertext: Bytes): Promise<Bytes | null> {
  if (ciphertext.length < AEAD_TAG_LENGTH) return null
  try {
    return new Uint8Array(await subtle.decrypt(parameters(nonce, aad), key, view(ciphertext)))
  } catch {
    return null
  }
}

function parameters(nonce: Bytes, aad: Bytes): AesGcmParams {
  requireLength(nonce, AEAD_NONCE_LENGTH, "nonce")
  // An empty additionalData member means the same as none; leaving it out spares a conversion.
  return aad.length === 0 ? { name: "AES-GCM", iv: view(nonce) } : { name: "AES-GCM", iv: view(nonce), additionalData: view(aad) }
}
