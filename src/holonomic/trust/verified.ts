/**
 * Signed claims and the fact that this process has verified one. The fact is kept beside the object, so that no copy, no spread and
 * no JSON can carry it (D20).
 */
import { hybridVerify, peerKeyIdOf, pqHashOf, sha256Sync } from "../../crypto/index.ts"
import { concatBytes, equalBytes } from "../../wire/bytes.ts"
import { AvError, isAvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"
import { strictBase64 } from "../checks.ts"
import { type ClaimStatement, signedClaimBytes } from "../claims/signed-claim.ts"
import type { JudgedClaim } from "./linked.ts"

export interface SignedClaim extends ClaimStatement {
  signatureEd25519Base64: string
  signatureMlDsa65Base64: string
}

/** A peer's two public keys: 32 and 1952 bytes. */
export interface PeerKeys {
  ed25519: Uint8Array
  mlDsa65: Uint8Array
}

/** Checks both halves of a signature. Passed in by simulations, where many peers check the same bytes. */
export type VerifyHybrid = typeof hybridVerify

const verified = new WeakSet<SignedClaim>()

/** True when the keys are those the id commits to. Nobody's word is taken for it (D04). */
export function keysMatch(peerId: string, keys: PeerKeys): boolean {
  if (keys.ed25519.length !== 32 || keys.mlDsa65.length === 0) return false
  return peerKeyIdOf(keys.ed25519, pqHashOf(keys.mlDsa65)) === peerId
}

/** Checks both signatures under the signer's keys, and remembers this very object when they are right. Never throws. */
export async function verifyClaim(claim: SignedClaim, keys: PeerKeys, verify: VerifyHybrid = hybridVerify): Promise<boolean> {
  if (!keysMatch(claim.signerPeerId, keys)) return false
  try {
    const signature = { ed: strictBase64(claim.signatureEd25519Base64), pq: strictBase64(claim.signatureMlDsa65Base64) }
    const bytes = signedClaimBytes(claim)
    // Frozen, so that what was verified is what is read later.
    Object.freeze(claim)
    if (!(await verify(keys, bytes, signature))) return false
  } catch (error) {
    if (isAvError(error)) return false
    throw error
  }
  verified.add(claim)
  return true
}

/**
 * What to store beside a verified claim, so that it need not be verified again when it is loaded: a hash over claim, signatures and
 * keys. Worth as much as the storage; never taken from others. @throws AvError `UsageError` for a claim that is not verified
 */
export function verificationMark(claim: SignedClaim, keys: PeerKeys): Bytes {
  if (!isVerified(claim)) throw new AvError("UsageError", { why: "not verified" })
  return markOf(claim, keys)
}

/** Takes a stored claim for verified when its mark is the one that belongs to it. */
export function restoreVerified(claim: SignedClaim, keys: PeerKeys, mark: Bytes): boolean {
  if (!keysMatch(claim.signerPeerId, keys) || !equalBytes(markOf(claim, keys), mark)) return false
  verified.add(Object.freeze(claim))
  return true
}

function markOf(claim: SignedClaim, keys: PeerKeys): Bytes {
  const signatures = [strictBase64(claim.signatureEd25519Base64), strictBase64(claim.signatureMlDsa65Base64)]
  return sha256Sync(concatBytes(signedClaimBytes(claim), ...signatures, keys.ed25519, keys.mlDsa65))
}

/** Whether {@link verifyClaim} has accepted this object. */
export function isVerified(claim: SignedClaim): boolean {
  return verified.has(claim)
}

/** The claim as trust decisions read it. */
export function judged(claim: SignedClaim): JudgedClaim {
  const { signerPeerId, claimKind, claimBytes, claimVersion } = claim
  return { signerPeerId, claimKind, claimBytes, claimVersion, verified: isVerified(claim) }
}
