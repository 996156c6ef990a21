/** Is a token alive: width, time and floor (control-plane 5.3, 5.5, 5.6). */
import { verifyLabelled } from "../crypto/index.ts"
import { clampSkew } from "../identity/index.ts"
import { AvError, type ErrorCode } from "../wire/errors.ts"
import type { Bytes, U64 } from "../wire/types.ts"
import { MAX_TOKEN_TTL_SECONDS, type PermissionToken, type SignedToken, TOKEN_LABEL } from "./permission-token.ts"

/** What liveness depends on besides the token. */
export interface TokenClock {
  /** Unix seconds. */
  now: U64
  /** Tolerance in seconds, 0 to 300; default 60. */
  skewSeconds?: number
  /** The lowest generation of an issuer that still counts. */
  floorOf: (issuer: Bytes) => number
}

export function isTokenSigned(signed: SignedToken): Promise<boolean> {
  return verifyLabelled(TOKEN_LABEL, signed.signedBytes, signed.token.issuer, signed.signature)
}

/** Why the token does not count now, undefined when it does. The signature is not looked at. */
export function tokenFault(token: PermissionToken, clock: TokenClock): ErrorCode | undefined {
  if (token.notAfter - token.notBefore > BigInt(MAX_TOKEN_TTL_SECONDS)) return "TtlTooLong"
  return timeFault(token, clock) ?? (token.generation < clock.floorOf(token.issuer) ? "Revoked" : undefined)
}

/** The time alone. The tolerance widens both ends; a token ends with the first second of `notAfter`. */
export function timeFault(token: PermissionToken, clock: Pick<TokenClock, "now" | "skewSeconds">): ErrorCode | undefined {
  const skew = BigInt(clampSkew(clock.skewSeconds))
  if (clock.now + skew < token.notBefore) return "NotYetValid"
  const earliest = clock.now > skew ? clock.now - skew : 0n
  return earliest >= token.notAfter ? "Expired" : undefined
}

/** For user interfaces: the clock says it is over. No tolerance, no signature. `now`: Unix seconds. */
export function isExpired(token: PermissionToken, now: U64): boolean {
  return now >= token.notAfter
}

/** Signature, width, time and floor, in this order. @throws AvError `InvalidSignature`, `TtlTooLong`, `NotYetValid`, `Expired`, `Revoked`. */
export async function requireLiveToken(signed: SignedToken, clock: TokenClock): Promise<void> {
  const fault = (await isTokenSigned(signed)) ? tokenFault(signed.token, clock) : "InvalidSignature"
  if (fault !== undefined) throw new AvError(fault, { what: "token" })
}
