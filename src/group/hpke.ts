/** HPKE base mode (RFC 9180) for suite 0x004D: KEM X-Wing 0x647A, KDF HKDF-SHA256, AEAD ChaCha20-Poly1305. */
import { chacha20poly1305 } from "@noble/ciphers/chacha.js"
import { expand, extract } from "@noble/hashes/hkdf.js"
import { sha256 } from "@noble/hashes/sha2.js"
import { xwingDecapsulate, xwingEncapsulate } from "../crypto/xwing.ts"
import { concatBytes, utf8Encode } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"

export const HPKE_KEM_ID = 0x647a
export const HPKE_KDF_ID = 0x0001
export const HPKE_AEAD_ID = 0x0003
/** Bytes of an encapsulated X-Wing key: ML-KEM-768 ciphertext and an X25519 public key. */
const HPKE_ENC_LENGTH = 1120
const KEY_LENGTH = 32
const NONCE_LENGTH = 12
const HASH_LENGTH = 32
const MODE_BASE = 0
const EMPTY = new Uint8Array()
const VERSION_LABEL = utf8Encode("HPKE-v1")
const SUITE_ID = concatBytes(utf8Encode("HPKE"), u16(HPKE_KEM_ID), u16(HPKE_KDF_ID), u16(HPKE_AEAD_ID))

/** What RFC 9180 5.1 derives from one encapsulation. */
interface HpkeContext {
  key: Bytes
  baseNonce: Bytes
  exporterSecret: Bytes
}

function u16(value: number): Bytes {
  return Uint8Array.of(value >> 8, value & 0xff)
}

function labeledExtract(salt: Bytes, label: string, ikm: Bytes): Bytes {
  return extract(sha256, concatBytes(VERSION_LABEL, SUITE_ID, utf8Encode(label), ikm), salt)
}

function labeledExpand(prk: Bytes, label: string, info: Bytes, length: number): Bytes {
  return expand(sha256, prk, concatBytes(u16(length), VERSION_LABEL, SUITE_ID, utf8Encode(label), info), length)
}

function keySchedule(shared: Bytes, info: Bytes): HpkeContext {
  const pskIdHash = labeledExtract(EMPTY, "psk_id_hash", EMPTY)
  const infoHash = labeledExtract(EMPTY, "info_hash", info)
  const context = concatBytes(Uint8Array.of(MODE_BASE), pskIdHash, infoHash)
  const secret = labeledExtract(shared, "secret", EMPTY)
  return {
    key: labeledExpand(secret, "key", context, KEY_LENGTH),
    baseNonce: labeledExpand(secret, "base_nonce", context, NONCE_LENGTH),
    exporterSecret: labeledExpand(secret, "exp", context, HASH_LENGTH),
  }
}

/** Encrypts to a 1216-byte X-Wing public key. */
export async function hpkeSeal(
  publicKey: Bytes,
  info: Bytes,
  aad: Bytes,
  plaintext: Bytes,
): Promise<{ enc: Bytes; ciphertext: Bytes }> {
  const { ciphertext: enc, sharedSecret } = await xwingEncapsulate(publicKey)
  const { key, baseNonce } = keySchedule(sharedSecret, info)
  return { enc, ciphertext: chacha20poly1305(key, baseNonce, aad).encrypt(plaintext) }
}

/** Decrypts with a 32-byte X-Wing seed. @throws AvError `DecodeFailed` for whatever reason it does not open. */
export async function hpkeOpen(seed: Bytes, enc: Bytes, info: Bytes, aad: Bytes, ciphertext: Bytes): Promise<Bytes> {
  const { key, baseNonce } = keySchedule(await decapsulate(seed, enc), info)
  try {
    return chacha20poly1305(key, baseNonce, aad).decrypt(ciphertext)
  } catch (cause) {
    throw new AvError("DecodeFailed", {}, { cause })
  }
}

/** RFC 9180 5.3 secret export on the sender's side. */
export async function hpkeSendExport(
  publicKey: Bytes,
  info: Bytes,
  context: Bytes,
  length: number,
): Promise<{ enc: Bytes; secret: Bytes }> {
  const { ciphertext: enc, sharedSecret } = await xwingEncapsulate(publicKey)
  return { enc, secret: labeledExpand(keySchedule(sharedSecret, info).exporterSecret, "sec", context, length) }
}

/** RFC 9180 5.3 secret export on the receiver's side. */
export async function hpkeReceiveExport(seed: Bytes, enc: Bytes, info: Bytes, context: Bytes, length: number): Promise<Bytes> {
  return labeledExpand(keySchedule(await decapsulate(seed, enc), info).exporterSecret, "sec", context, length)
}

async function decapsulate(seed: Bytes, enc: Bytes): Promise<Bytes> {
  if (enc.length !== HPKE_ENC_LENGTH) throw new AvError("DecodeFailed", { length: enc.length })
  return xwingDecapsulate(seed, enc)
}
