/** Making tokens: from nothing but one's own authority, or from a token one holds (control-plane 5.4). */
import { ctEqual, secureRandom, signLabelled } from "../crypto/index.ts"
import { clampSkew, type EntitySigner } from "../identity/index.ts"
import { ByteReader } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, RandomBytes, U64 } from "../wire/types.ts"
import {
  DELEGATION_MAX_TTL_SECONDS,
  encodeUnsignedToken,
  joinToken,
  MAX_TOKEN_TTL_SECONDS,
  type PermissionToken,
  SCOPE,
  type SignedToken,
  scopeContains,
  TOKEN_LABEL,
} from "./permission-token.ts"
import { requireLiveToken, type TokenClock } from "./validity.ts"

export interface IssueRequest {
  /** Entity id of who gets the permission. */
  subject: Bytes
  scope: number
  /** 0 with `WILDCARD`. */
  channelHash: U64
  /** Seconds the token lives on a correct clock. */
  ttlSeconds: number
  /** How often it may be passed on; needs `DELEGATE` to mean anything. Default 0. */
  delegationDepth?: number
  /** The issuer's current generation. */
  generation: number
  /** Unix seconds. */
  now: U64
  skewSeconds?: number
  random?: RandomBytes
}

/**
 * When a token issued now begins and ends. Verifiers give it some seconds more, so the issuer takes them off beforehand.
 * @throws AvError `ZeroTtl`, `TtlTooLong`.
 */
export function issueLife(now: U64, ttlSeconds: number, skewSeconds?: number): { notBefore: U64; notAfter: U64 } {
  if (ttlSeconds === 0) throw new AvError("ZeroTtl", { what: "token" })
  if (ttlSeconds > MAX_TOKEN_TTL_SECONDS) throw new AvError("TtlTooLong", { ttl: ttlSeconds, max: MAX_TOKEN_TTL_SECONDS })
  if (!Number.isInteger(ttlSeconds) || ttlSeconds < 0) throw new AvError("UsageError", { why: "ttl" })
  return { notBefore: now, notAfter: now + BigInt(Math.max(1, ttlSeconds - clampSkew(skewSeconds))) }
}

/** A new token. @throws AvError `ZeroTtl`, `TtlTooLong`, `ReadOnly` for a key without its signing half, `InvalidFormat`. */
export async function issueToken(signer: EntitySigner, request: IssueRequest): Promise<Bytes> {
  const life = issueLife(request.now, request.ttlSeconds, request.skewSeconds)
  return sign(signer, {
    issuer: signer.entityId,
    subject: request.subject,
    scope: request.scope,
    channelHash: request.channelHash,
    generation: request.generation,
    ...life,
    delegationDepth: request.delegationDepth ?? 0,
    nonce: drawNonce(request.random),
  })
}

interface DelegateRequest extends TokenClock {
  /** Entity id of who gets the permission. */
  subject: Bytes
  /** The child's scope is what the parent's has of this. */
  restrict: number
  /** The channel to narrow to when the parent is for every channel and the child is not. */
  narrowTo?: U64
  /** The signer's own generation: each link lives and dies by its own issuer (D28). */
  generation: number
  /** Shortens the 30 days a delegated token may live, seconds. */
  maxTtlSeconds?: number
  random?: RandomBytes
}

/**
 * Passes on part of a token one holds.
 * @throws AvError the parent's own fault (`InvalidSignature`, `TtlTooLong`, `NotYetValid`, `Expired`, `Revoked`), then
 * `DelegationExhausted`, `DelegationNotAllowed`, `NotAuthorized`.
 */
export async function delegateToken(parent: SignedToken, signer: EntitySigner, request: DelegateRequest): Promise<Bytes> {
  await requireLiveToken(parent, request)
  const held = parent.token
  if (held.delegationDepth === 0) throw new AvError("DelegationExhausted")
  if (!scopeContains(held.scope, SCOPE.DELEGATE)) throw new AvError("DelegationNotAllowed")
  if (!ctEqual(signer.entityId, held.subject)) throw new AvError("NotAuthorized", { why: "not the subject" })
  const scope = held.scope & request.restrict
  if (scope === 0) throw new AvError("NotAuthorized", { why: "nothing left of the scope" })
  return sign(signer, {
    issuer: signer.entityId,
    subject: request.subject,
    scope,
    channelHash: childChannel(held, scope, request.narrowTo),
    generation: request.generation,
    ...childLife(held, request),
    delegationDepth: held.delegationDepth - 1,
    nonce: drawNonce(request.random),
  })
}

function childChannel(parent: PermissionToken, scope: number, narrowTo: U64 | undefined): U64 {
  if (scopeContains(scope, SCOPE.WILDCARD)) return 0n
  if (!scopeContains(parent.scope, SCOPE.WILDCARD)) return parent.channelHash
  if (narrowTo === undefined) throw new AvError("UsageError", { why: "channel to narrow to" })
  return narrowTo
}

/** `Math.max` does not take 64-bit integers. */
function laterOf(a: U64, b: U64): U64 {
  if (a > b) return a
  return b
}

function childLife(parent: PermissionToken, request: DelegateRequest): { notBefore: U64; notAfter: U64 } {
  const longest = BigInt(Math.min(DELEGATION_MAX_TTL_SECONDS, request.maxTtlSeconds ?? DELEGATION_MAX_TTL_SECONDS))
  const notBefore = laterOf(request.now, parent.notBefore)
  const end = notBefore + longest
  const notAfter = end < parent.notAfter ? end : parent.notAfter
  // The parent lives on tolerance only: nothing of its life is left to give.
  if (notAfter <= notBefore) throw new AvError("Expired", { what: "parent token" })
  return { notBefore, notAfter }
}

async function sign(signer: EntitySigner, token: PermissionToken): Promise<Bytes> {
  const unsigned = encodeUnsignedToken(token)
  return joinToken(unsigned, await signLabelled(TOKEN_LABEL, unsigned, signer))
}

function drawNonce(random: RandomBytes = secureRandom): U64 {
  return new ByteReader(random(8)).u64le()
}
