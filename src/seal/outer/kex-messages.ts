/** The three messages that make a link key: bytes only, the state machine is the link's (av-mesh D-34). */
import {
  decodeHybridSignature,
  encodeHybridSignature,
  HYBRID_SIGNATURE_LENGTH,
  type HybridSignature,
  ML_KEM_CIPHERTEXT_LENGTH,
  ML_KEM_PUBLIC_LENGTH,
} from "../../crypto/index.ts"
import { concatBytes } from "../../wire/bytes.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"

export const KEX1_LENGTH = 1 + 32 + ML_KEM_PUBLIC_LENGTH + 16
const KEX2_BODY_LENGTH = 1 + 32 + ML_KEM_CIPHERTEXT_LENGTH + 16
export const KEX2_LENGTH = KEX2_BODY_LENGTH + HYBRID_SIGNATURE_LENGTH
export const KEX3_LENGTH = 1 + HYBRID_SIGNATURE_LENGTH

interface Kex1 {
  x25519: Bytes
  /** ML-KEM-768 public key, 1184 bytes. */
  mlKem: Bytes
  /** 16 random bytes. */
  nonce: Bytes
}

interface Kex2Body {
  x25519: Bytes
  /** ML-KEM-768 ciphertext, 1088 bytes. */
  ciphertext: Bytes
  nonce: Bytes
}

/** 1233 bytes: `01 ‖ x25519 ‖ ml-kem public ‖ nonce`. */
export function encodeKex1(message: Kex1): Bytes {
  return checked(concatBytes(Uint8Array.of(1), message.x25519, message.mlKem, message.nonce), KEX1_LENGTH)
}

/** @throws AvError `KexInvalid` on another length or step. */
export function decodeKex1(bytes: Bytes): Kex1 {
  require(bytes, 1, KEX1_LENGTH)
  return { x25519: bytes.slice(1, 33), mlKem: bytes.slice(33, 33 + ML_KEM_PUBLIC_LENGTH), nonce: bytes.slice(-16) }
}

/** 1137 bytes, the part of kex2 that enters the transcript: `02 ‖ x25519 ‖ ml-kem ciphertext ‖ nonce`. */
export function encodeKex2Body(message: Kex2Body): Bytes {
  return checked(concatBytes(Uint8Array.of(2), message.x25519, message.ciphertext, message.nonce), KEX2_BODY_LENGTH)
}

/** Body and the responder's signature. */
export function encodeKex2(body: Bytes, signature: HybridSignature): Bytes {
  return checked(concatBytes(body, encodeHybridSignature(signature)), KEX2_LENGTH)
}

/** Splits kex2; `body` are the exact bytes for the transcript. @throws AvError `KexInvalid`. */
export function decodeKex2(bytes: Bytes): { body: Bytes; message: Kex2Body; signature: HybridSignature } {
  require(bytes, 2, KEX2_LENGTH)
  const body = bytes.slice(0, KEX2_BODY_LENGTH)
  const message = { x25519: body.slice(1, 33), ciphertext: body.slice(33, 33 + ML_KEM_CIPHERTEXT_LENGTH), nonce: body.slice(-16) }
  return { body, message, signature: signatureOf(bytes.subarray(KEX2_BODY_LENGTH), 2) }
}

/** `03` and the initiator's signature. */
export function encodeKex3(signature: HybridSignature): Bytes {
  return checked(concatBytes(Uint8Array.of(3), encodeHybridSignature(signature)), KEX3_LENGTH)
}

/** @throws AvError `KexInvalid`. */
export function decodeKex3(bytes: Bytes): HybridSignature {
  require(bytes, 3, KEX3_LENGTH)
  return signatureOf(bytes.subarray(1), 3)
}

function signatureOf(bytes: Bytes, step: number): HybridSignature {
  const signature = decodeHybridSignature(bytes)
  if (signature === undefined) throw new AvError("KexInvalid", { step, why: "signature length" })
  return signature
}

function require(bytes: Bytes, step: number, length: number): void {
  if (bytes.length !== length || bytes[0] !== step) throw new AvError("KexInvalid", { step, got: bytes.length, need: length })
}

function checked(bytes: Bytes, length: number): Bytes {
  if (bytes.length !== length) throw new AvError("UsageError", { why: "kex field length", got: bytes.length, need: length })
  return bytes
}
