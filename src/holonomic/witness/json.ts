/** Witnesses and proofs of equivocation as JSON, as they travel and as they are stored. Nothing is verified here. */
import { utf8Decode, utf8Encode } from "../../wire/bytes.ts"
import { AvError } from "../../wire/errors.ts"
import { byteListField, type Field, intField, keyIdField, listOf, u64Field, utf8Field } from "../../wire/json-field.ts"
import { objectOf, required, type Shape } from "../../wire/json-shape.ts"
import { isJsonObject, parseJson } from "../../wire/json-text.ts"
import { writeJson } from "../../wire/json-write.ts"
import type { Bytes } from "../../wire/types.ts"
import type { EquivocationProof } from "./equivocation.ts"
import type { WholenessWitness } from "./witness.ts"

/** Namespaces of one witness; ours have five. */
const MAX_NAMESPACES = 64
/** A proof holds two witnesses, each mostly the 4.4 kB of its second signature. */
const MAX_JSON_BYTES = 65_536

/** Members of a witness, in `holo.witness` as well. */
export const witnessShape = {
  peerId: required("peer_id", keyIdField),
  epochId: required("epoch_id", u64Field),
  merkleRoot: required("merkle_root", byteListField(32, 32)),
  leafCount: required("leaf_count", intField(0, 0xffffffff)),
  claimNamespaces: required("claim_namespaces", listOf(utf8Field(0, 255), MAX_NAMESPACES) as Field<readonly string[]>),
  observedAtUnixMs: required("observed_at_unix_ms", u64Field),
  witnessVersion: required("witness_version", intField(0, 0xffff)),
  // Judged by the verification, which says what is wrong with them.
  signature: required("signature", utf8Field(0, 128)),
  signatureMlDsa65: required("signature_ml_dsa_65", utf8Field(0, 4_416)),
  pqcKeyId: required("pqc_key_id", utf8Field(0, 255)),
} satisfies Shape

const witnessField: Field<WholenessWitness> = objectOf(witnessShape) as Field<WholenessWitness>
/** Members of a proof, in `holo.hardcase` as well. */
export const equivocationShape = {
  peerId: required("peer_id", keyIdField),
  epochId: required("epoch_id", u64Field),
  witnessA: required("witness_a", witnessField),
  witnessB: required("witness_b", witnessField),
  observedAtUnixMs: required("observed_at_unix_ms", u64Field),
} satisfies Shape
const proofField = objectOf(equivocationShape) as Field<EquivocationProof>

export function encodeWitness(witness: WholenessWitness): Bytes {
  return utf8Encode(writeJson(witnessField.write(witness)))
}

/** @throws AvError `WireDecode`, `WireTooLong` */
export function decodeWitness(bytes: Bytes): WholenessWitness {
  return decode(bytes, witnessField)
}

export function encodeEquivocationProof(proof: EquivocationProof): Bytes {
  return utf8Encode(writeJson(proofField.write(proof)))
}

/** @throws AvError `WireDecode`, `WireTooLong` */
export function decodeEquivocationProof(bytes: Bytes): EquivocationProof {
  return decode(bytes, proofField)
}

function decode<T>(bytes: Bytes, field: Field<T>): T {
  if (bytes.length > MAX_JSON_BYTES) throw new AvError("WireTooLong", { got: bytes.length, max: MAX_JSON_BYTES })
  const json = parseJson(utf8Decode(bytes, "WireDecode"))
  const value = isJsonObject(json) ? field.read(json) : undefined
  if (value === undefined) throw new AvError("WireDecode", { what: "witness" })
  return value
}
