/** Which GOAWAY code an error ends a session with (control-plane 0.5). */
import { AvError, type ErrorCode, isAvError } from "../wire/errors.ts"

export const GOAWAY = { unspecified: 0, leaving: 1, self: 2, protocol: 4, policy: 6, limit: 7, identity: 8 } as const

const IDENTITY: readonly ErrorCode[] = [
  "KexAuthFailed",
  "SessionProofFailed",
  "EntityRebind",
  "SignerLacksPqc",
  "RoutedAuthFailed",
]
const TIMEOUT: readonly ErrorCode[] = ["KexTimeout", "SessionTimeout"]

export function isHandshakeTimeout(error: AvError): boolean {
  return TIMEOUT.includes(error.code)
}

export function goawayCodeOf(error: AvError): number {
  if (error.code === "SessionSelf") return GOAWAY.self
  if (IDENTITY.includes(error.code)) return GOAWAY.identity
  return isHandshakeTimeout(error) ? GOAWAY.unspecified : GOAWAY.protocol
}

/** Faults of the browser or of injected functions become `LinkFailed`, with the original as cause. */
export function asAvError(error: unknown, code: ErrorCode = "LinkFailed"): AvError {
  return isAvError(error) ? error : new AvError(code, {}, { cause: error })
}
