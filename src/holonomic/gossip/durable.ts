/** The five kinds of durable claims, what each says, and which of them count at a moment (D05). Pure: no storage, no clock. */
import { compareBytes, toHex } from "../../wire/bytes.ts"
import { isAvError } from "../../wire/errors.ts"
import type { Bytes, PeerKeyId, U64 } from "../../wire/types.ts"
import {
  type ConsentBody,
  readConsent,
  readTrustGrant,
  readTrustRevoke,
  type TrustGrantBody,
  type TrustRevokeBody,
} from "../claims/bodies.ts"
import { CLAIM_VERSION, type ClaimStatement } from "../claims/signed-claim.ts"
import { CONSENT_GRANTS, CONSENT_REVOKES } from "../content/consent.ts"

export const DURABLE_KINDS = ["trust_grant", "trust_revoke", "content_manifest", "consent_state", "aggregation"] as const
export type DurableKind = (typeof DURABLE_KINDS)[number]

/** The namespaces that a witness of this mesh names: another mesh's are others, so that two witnesses are no contradiction. */
export function witnessNamespaces(meshId: string): string[] {
  return DURABLE_KINDS.map((kind) => `${kind}@${meshId}`)
}

export type DurableBody =
  | { kind: "trust_grant"; grant: TrustGrantBody }
  | { kind: "trust_revoke"; revoke: TrustRevokeBody }
  | { kind: "consent_state"; consent: ConsentBody }
  /** SHA-256 of a manifest's, or of an aggregation's signed bytes. */
  | { kind: "content_manifest"; hash: string }
  | { kind: "aggregation"; hash: string }

/** A durable claim as the rules read it. */
export interface DurableClaim {
  /** SHA-256 of {@link leaf}, hex. */
  hash: string
  leaf: Bytes
  signerPeerId: PeerKeyId
  signedAtUnixMs: U64
  /** `self`: never told to anybody (WW-2). */
  cohortScope: string
  body: DurableBody
}

/** What is known about the things that hashes in claims stand for. */
export interface LiveFacts {
  /** The manifest of this hash is here. It is not when it was revoked, nor before it came: such a claim waits. */
  holdsManifest(hash: string): boolean
  /** The record of this fold is here. */
  holdsAggregation(hash: string): boolean
}

/** Undefined unless the claim is of a durable kind and says what that kind says, about its own signer where that is asked for. */
export function readDurable(
  claim: Pick<ClaimStatement, "claimKind" | "claimBytes" | "claimVersion" | "signerPeerId">,
): DurableBody | undefined {
  if (claim.claimVersion !== CLAIM_VERSION) return undefined
  try {
    return bodyOf(claim)
  } catch (error) {
    if (isAvError(error)) return undefined
    throw error
  }
}

function bodyOf(claim: Pick<ClaimStatement, "claimKind" | "claimBytes" | "signerPeerId">): DurableBody | undefined {
  const { claimKind: kind, claimBytes: bytes, signerPeerId } = claim
  switch (kind) {
    case "trust_grant": {
      const grant = readTrustGrant(bytes)
      return grant.granter === signerPeerId ? { kind, grant } : undefined
    }
    case "trust_revoke": {
      const revoke = readTrustRevoke(bytes)
      return revoke.granter === signerPeerId ? { kind, revoke } : undefined
    }
    case "consent_state": {
      const consent = readConsent(bytes)
      return consent.state === CONSENT_GRANTS || consent.state === CONSENT_REVOKES ? { kind, consent } : undefined
    }
    case "content_manifest":
    case "aggregation":
      return bytes.length === 32 ? { kind, hash: toHex(bytes) } : undefined
    default:
      return undefined
  }
}

/** Revocations travel before everything else and are never dropped. */
export function isRevocation(body: DurableBody): boolean {
  return body.kind === "trust_revoke" || (body.kind === "consent_state" && body.consent.state === CONSENT_REVOKES)
}

/**
 * The claims that count at a cut, of those signed until then: the newest of each pair or signer, nothing expired, nothing taken back.
 * A grant of consent is taken back by a revocation of its own signer; whether another signer may is only known with the manifest.
 */
export function liveAt(claims: Iterable<DurableClaim>, cutUnixMs: U64, facts: LiveFacts): DurableClaim[] {
  const newest = new Map<string, DurableClaim>()
  const others: DurableClaim[] = []
  const revokedTrust = new Map<string, U64>()
  const revokedConsent = new Set<string>()
  for (const claim of claims) {
    const { body } = claim
    if (claim.signedAtUnixMs > cutUnixMs) continue
    if (body.kind === "content_manifest" || body.kind === "aggregation") {
      const counts = body.kind === "aggregation" ? facts.holdsAggregation(body.hash) : facts.holdsManifest(body.hash)
      if (counts) others.push(claim)
      continue
    }
    if (body.kind === "trust_revoke") {
      const pair = pairOf(body.revoke)
      const before = revokedTrust.get(pair)
      if (before === undefined || before < body.revoke.revokedAtUnixMs) revokedTrust.set(pair, body.revoke.revokedAtUnixMs)
    }
    if (body.kind === "consent_state" && body.consent.state === CONSENT_REVOKES) {
      revokedConsent.add(consentKey(claim.signerPeerId, body.consent))
      others.push(claim)
      continue
    }
    const key = `${body.kind} ${body.kind === "consent_state" ? consentKey(claim.signerPeerId, body.consent) : pairOf(pairIn(body))}`
    const before = newest.get(key)
    if (before === undefined || isNewer(claim, before)) newest.set(key, claim)
  }
  const live = [...newest.values()].filter(({ body, signerPeerId }) => {
    if (body.kind === "trust_grant") {
      const { grantedAtUnixMs, expiresAtUnixMs } = body.grant
      const revokedAt = revokedTrust.get(pairOf(body.grant))
      return !isOver(expiresAtUnixMs, cutUnixMs) && (revokedAt === undefined || revokedAt < grantedAtUnixMs)
    }
    if (body.kind !== "consent_state") return true
    return !isOver(body.consent.expiresAtUnixMs, cutUnixMs) && !revokedConsent.has(consentKey(signerPeerId, body.consent))
  })
  return [...live, ...others]
}

function isOver(expiresAtUnixMs: U64, nowUnixMs: U64): boolean {
  return expiresAtUnixMs !== 0n && expiresAtUnixMs <= nowUnixMs
}

/** By the time in its body, then by the larger bytes. */
function isNewer(a: DurableClaim, b: DurableClaim): boolean {
  const [x, y] = [timeIn(a.body), timeIn(b.body)]
  return x === y ? compareBytes(a.leaf, b.leaf) > 0 : x > y
}

function timeIn(body: DurableBody): U64 {
  if (body.kind === "trust_grant") return body.grant.grantedAtUnixMs
  if (body.kind === "trust_revoke") return body.revoke.revokedAtUnixMs
  return body.kind === "consent_state" ? body.consent.atUnixMs : 0n
}

function pairIn(body: Extract<DurableBody, { kind: "trust_grant" | "trust_revoke" }>) {
  return body.kind === "trust_grant" ? body.grant : body.revoke
}

function pairOf({ granter, grantee }: { granter: PeerKeyId; grantee: PeerKeyId }): string {
  return JSON.stringify([granter, grantee])
}

function consentKey(signer: PeerKeyId, { contentId, corpusKind }: ConsentBody): string {
  return JSON.stringify([signer, corpusKind, contentId])
}
