/** Members that several gossip messages have: signed claims, keys, 64-bit integers with a sign, lists of hashes. */
import { concatBytes } from "../../wire/bytes.ts"
import { byteListField, bytesField, type Field, intField, keyIdField, u64Field, utf8Field } from "../../wire/json-field.ts"
import { objectOf, required, type Shape } from "../../wire/json-shape.ts"
import type { JsonValue } from "../../wire/json-text.ts"
import type { Bytes } from "../../wire/types.ts"
import { MAX_CLAIM_BYTES } from "../trust/claim-codec.ts"
import type { PeerKeys, SignedClaim } from "../trust/verified.ts"

const HASH = 32
/** Bytes of a kind or of a part of the owner's binding. */
const MAX_TEXT = 255
const MIN_I64 = -0x8000000000000000n
const MAX_I64 = 0x7fffffffffffffffn

/** A signed 64-bit integer: plain up to 2^53 - 1 in magnitude, a decimal string beyond (D02). */
export const i64Field: Field<bigint> = {
  read(value) {
    if (typeof value === "number") return BigInt(value)
    if (typeof value !== "string" || !/^(?:0|-?[1-9][0-9]{0,18})$/.test(value)) return undefined
    const integer = BigInt(value)
    return integer >= MIN_I64 && integer <= MAX_I64 ? integer : undefined
  },
  write: (value) => (value >= -MAX_SAFE && value <= MAX_SAFE ? Number(value) : value.toString()),
}
const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER)

/** Hashes joined and written as one base64 text: a list of a thousand fits a message. */
export function hashesField(max: number): Field<Bytes[]> {
  const joined = bytesField(0, HASH * max)
  return {
    read(value) {
      const bytes = joined.read(value)
      if (bytes === undefined || bytes.length % HASH !== 0) return undefined
      return Array.from({ length: bytes.length / HASH }, (_, i) => bytes.slice(i * HASH, (i + 1) * HASH))
    },
    write: (hashes) => joined.write(concatBytes(...hashes)),
  }
}

/** Both signatures of a claim that is not durable; judged when it is verified, so any text passes here. */
export const signatureShape = {
  signature: required("signature", utf8Field(0, 128)),
  signatureMlDsa65: required("signature_ml_dsa_65", utf8Field(0, 4_416)),
} satisfies Shape

/** A peer's two public keys. */
export const keysField: Field<PeerKeys> = /* @__PURE__ */ objectOf({
  ed25519: required("entity_id", bytesField(32)),
  mlDsa65: required("ml_dsa_65", bytesField(1_952)),
})

const textOrNull: Field<string | null> = nullable(utf8Field(0, MAX_TEXT))

/** A durable claim. A member `verified` is nobody's to send, and ignored. */
export const claimShape = {
  claimKind: required("claim_kind", utf8Field(1, MAX_TEXT)),
  signerPeerId: required("signer_peer_id", keyIdField),
  claimBytes: required("claim_bytes", byteListField(0, MAX_CLAIM_BYTES)),
  signedAtUnixMs: required("signed_at_unix_ms", u64Field),
  claimVersion: required("claim_version", intField(0, 0xffff)),
  userOwner: required("user_owner", textOrNull),
  delegatesTo: required("delegates_to", textOrNull),
  identityOccurrence: required("identity_occurrence", textOrNull),
  signatureEd25519Base64: required("signature_ed25519_base64", utf8Field(0, 128)),
  signatureMlDsa65Base64: required("signature_ml_dsa_65_base64", utf8Field(0, 4_416)),
} satisfies Shape
export const claimField: Field<SignedClaim> = /* @__PURE__ */ objectOf(claimShape)

function nullable<T>(field: Field<T>): Field<T | null> {
  return {
    read: (value: JsonValue) => (value === null ? null : field.read(value)),
    write: (value) => (value === null ? null : field.write(value)),
  }
}
