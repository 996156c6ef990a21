/** Checks both signatures of a witness, and says which of them is wrong. */
import { ed25519Verify } from "../../crypto/ed25519.ts"
import { mlDsaVerify } from "../../crypto/ml-dsa.ts"
import { concatBytes } from "../../wire/bytes.ts"
import { isAvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"
import { strictBase64 } from "../checks.ts"
import type { VerifyHybrid } from "../trust/verified.ts"
import { type WholenessWitness, witnessPreimage } from "./witness.ts"

type WitnessVerification =
  | "Valid"
  | "PqcMissing"
  | "ClassicalSignatureInvalid"
  | "PqcSignatureInvalid"
  | "BothSignaturesInvalid"
  /** There are no bytes that could have been signed. */
  | "CanonicalSerializationFailed"

/** Answers whether a signature is right. The keys may come from anywhere, so the check is passed in as well. */
type SignatureCheck = (message: Bytes, signature: Bytes, publicKey: Bytes) => boolean | Promise<boolean>

export interface WitnessKeys {
  ed25519: Bytes
  mlDsa65: Bytes
}

/** Strict Ed25519 and ML-DSA-65 with an empty context. */
const hybridChecks: { ed25519: SignatureCheck; mlDsa65: SignatureCheck } = {
  ed25519: (message, signature, publicKey) => ed25519Verify(publicKey, message, signature),
  mlDsa65: (message, signature, publicKey) => mlDsaVerify(publicKey, message, signature),
}

/** Both halves in one question, for callers that have such a check; the parts are asked only to name what is wrong. */
export async function verifyWitnessBy(
  verify: VerifyHybrid,
  witness: WholenessWitness,
  keys: WitnessKeys,
): Promise<WitnessVerification> {
  const whole = attempt(() => ({
    preimage: witnessPreimage(witness),
    signature: { ed: strictBase64(witness.signature), pq: strictBase64(witness.signatureMlDsa65) },
  }))
  if (whole !== undefined && (await verify(keys, whole.preimage, whole.signature))) return "Valid"
  return verifyWitnessHybrid(witness, keys)
}

/** Both halves are always looked at. Must be `Valid` before a witness is stored or compared. */
export async function verifyWitnessHybrid(
  witness: WholenessWitness,
  keys: WitnessKeys,
  checks: { ed25519: SignatureCheck; mlDsa65: SignatureCheck } = hybridChecks,
): Promise<WitnessVerification> {
  if (witness.signatureMlDsa65 === "") return "PqcMissing"
  const preimage = attempt(() => witnessPreimage(witness))
  if (preimage === undefined) return "CanonicalSerializationFailed"
  const classical = attempt(() => strictBase64(witness.signature))
  const pqc = attempt(() => strictBase64(witness.signatureMlDsa65))
  const classicalOk = classical !== undefined && (await checks.ed25519(preimage, classical, keys.ed25519))
  // Without the classical half there is no message that the other one could cover.
  const bound = classical === undefined ? undefined : concatBytes(preimage, classical)
  const pqcOk = bound !== undefined && pqc !== undefined && (await checks.mlDsa65(bound, pqc, keys.mlDsa65))
  if (classicalOk) return pqcOk ? "Valid" : "PqcSignatureInvalid"
  return pqcOk ? "ClassicalSignatureInvalid" : "BothSignaturesInvalid"
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run()
  } catch (error) {
    if (isAvError(error)) return undefined
    throw error
  }
}
