/** The envelope of every durable claim: who says what kind of thing when, and on whose behalf. */
import { toHex } from "../../wire/bytes.ts"
import type { Bytes, PeerKeyId, U64 } from "../../wire/types.ts"
import { Preimage } from "../preimage.ts"

export const CLAIM_VERSION = 1
/** Entries of a chain by which somebody unknown shows whom it is trusted by. */
export const MAX_WITNESS_CHAIN_LENGTH = 5

/** Each part may be missing; only all three together mean something to a destination. */
interface OwnerBinding {
  userOwner: string
  delegatesTo: string
  identityOccurrence: string
}

export interface ClaimStatement {
  /** Such as `trust_grant`. */
  claimKind: string
  signerPeerId: PeerKeyId
  /** Whatever the kind defines. */
  claimBytes: Bytes
  signedAtUnixMs: U64
  claimVersion: number
  userOwner: string | null
  delegatesTo: string | null
  identityOccurrence: string | null
}

/**
 * The signed bytes, which are also the leaf of a witness.
 * @throws AvError `IllFormedString`, `IntegerOutOfRange`
 */
export function signedClaimBytes(claim: ClaimStatement): Bytes {
  return new Preimage("signedClaim")
    .u64(claim.signedAtUnixMs, "signed_at_unix_ms")
    .u16(claim.claimVersion, "claim_version")
    .text(claim.claimKind)
    .text(claim.signerPeerId)
    .text(toHex(claim.claimBytes))
    .optional(claim.userOwner)
    .optional(claim.delegatesTo)
    .optional(claim.identityOccurrence)
    .finish()
}

/** The binding for a destination's own membership check; undefined unless complete, which is no refusal. Verifies nothing. */
export function extractOwnerBindingForDestinationGate(
  claim: Pick<ClaimStatement, "userOwner" | "delegatesTo" | "identityOccurrence">,
): OwnerBinding | undefined {
  const { userOwner, delegatesTo, identityOccurrence } = claim
  if (userOwner === null || delegatesTo === null || identityOccurrence === null) return undefined
  return { userOwner, delegatesTo, identityOccurrence }
}
