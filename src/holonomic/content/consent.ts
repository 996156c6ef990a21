/** Whether a content may be kept, from what its producer and the people in it have signed (D30). */
import { isAvError } from "../../wire/errors.ts"
import type { PeerKeyId, U64 } from "../../wire/types.ts"
import { type ConsentBody, readConsent } from "../claims/bodies.ts"
import type { ConsentState } from "../retention/rarity.ts"
import { isVerified, type SignedClaim } from "../trust/verified.ts"
import { type ContentEnvelope, producerOf } from "./envelope.ts"
import type { ContentRef } from "./manifest.ts"

export const CONSENT_GRANTS = 1
export const CONSENT_REVOKES = 2
const CONSENT_KIND = "consent_state"

/** What a claim says about consent; undefined unless it is verified, of that kind and well-formed. */
export function consentIn(claim: SignedClaim): ConsentBody | undefined {
  if (claim.claimKind !== CONSENT_KIND || !isVerified(claim)) return undefined
  try {
    return readConsent(claim.claimBytes)
  } catch (error) {
    if (isAvError(error)) return undefined
    throw error
  }
}

/** Who may speak for a content: its producer and those its envelope names. */
export function consentAuthorities(envelope: ContentEnvelope): Set<PeerKeyId> {
  const producer = producerOf(envelope)
  return new Set([...envelope.authorities, ...(producer === undefined ? [] : [producer])])
}

/** Any revocation is final, whatever its time; otherwise some grant that has not expired; otherwise nobody knows. */
export function resolveConsent(
  content: ContentRef,
  envelope: ContentEnvelope,
  claims: readonly SignedClaim[],
  nowUnixMs: U64,
): { state: ConsentState; revocation?: SignedClaim } {
  const statements = claims.map((claim) => ({ claim, signerPeerId: claim.signerPeerId, body: consentIn(claim) }))
  const { state, revocation } = judgeConsent(content, consentAuthorities(envelope), statements, nowUnixMs)
  return revocation === undefined ? { state } : { state, revocation: revocation.claim }
}

/** {@link resolveConsent} over what verified claims say. */
export function judgeConsent<T extends { signerPeerId: PeerKeyId; body: ConsentBody | undefined }>(
  content: ContentRef,
  authorities: ReadonlySet<PeerKeyId>,
  statements: Iterable<T>,
  nowUnixMs: U64,
): { state: ConsentState; revocation?: T } {
  let state: ConsentState = "Unknown"
  for (const statement of statements) {
    const body = authorities.has(statement.signerPeerId) ? statement.body : undefined
    if (body?.contentId !== content.contentId || body.corpusKind !== content.corpusKind) continue
    if (body.state === CONSENT_REVOKES) return { state: "Revoked", revocation: statement }
    const live = body.expiresAtUnixMs === 0n || body.expiresAtUnixMs > nowUnixMs
    if (body.state === CONSENT_GRANTS && live) state = "Active"
  }
  return { state }
}
