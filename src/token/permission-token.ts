/** The 173-byte permission token: who lets whom do what on which channel, and until when (control-plane 5.3). */
import { ByteReader, ByteWriter, concatBytes, utf8Encode } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, U64 } from "../wire/types.ts"

/** Label of the signature. */
export const TOKEN_LABEL = "mesh/token/v2"
export const TOKEN_LENGTH = 173
/** One year: a wider token is refused at every check, however it was made (D27). */
export const MAX_TOKEN_TTL_SECONDS = 31_536_000
/** Widest life of a delegated token, 30 days (D28). */
export const DELEGATION_MAX_TTL_SECONDS = 2_592_000

/** What a token permits; bits of `scope`. */
export const SCOPE = {
  PUBLISH: 1,
  SUBSCRIBE: 2,
  ADMIN: 4,
  /** The subject may pass on what it holds. */
  DELEGATE: 8,
  /** For every channel; the channel hash is 0 then. */
  WILDCARD: 16,
} as const
/** Everything on one channel. */
export const SCOPE_ALL = 15
const SCOPE_MASK = 31

const MAGIC = /* @__PURE__ */ utf8Encode("MPT2")
const SIGNED_LENGTH = 109
const SIGNATURE_LENGTH = 64

export interface PermissionToken {
  /** Entity id of who gives the permission. */
  issuer: Bytes
  /** Entity id of who gets it. */
  subject: Bytes
  scope: number
  channelHash: U64
  /** The issuer's generation when it signed; below its floor the token is dead. */
  generation: number
  /** Unix seconds. */
  notBefore: U64
  /** Unix seconds, later than `notBefore`; the first second that is no longer covered. */
  notAfter: U64
  /** How often it may still be passed on, 0 to 255. */
  delegationDepth: number
  nonce: U64
}

export interface SignedToken {
  token: PermissionToken
  /** The 109 bytes the signature covers. */
  signedBytes: Bytes
  signature: Bytes
}

/** The 109 bytes to sign. @throws AvError `InvalidFormat` for a token that no reader would accept. */
export function encodeUnsignedToken(token: PermissionToken): Bytes {
  requireFormat(token)
  const writer = new ByteWriter(TOKEN_LENGTH).bytes(MAGIC).fixed(token.issuer, 32).fixed(token.subject, 32)
  writer.u32le(token.scope).u64le(token.channelHash).u32le(token.generation)
  return writer.u64le(token.notBefore).u64le(token.notAfter).u8(token.delegationDepth).u64le(token.nonce).finish()
}

export function joinToken(signedBytes: Bytes, signature: Bytes): Bytes {
  if (signedBytes.length !== SIGNED_LENGTH || signature.length !== SIGNATURE_LENGTH) {
    throw new AvError("UsageError", { why: "token length" })
  }
  return concatBytes(signedBytes, signature)
}

/** The bytes of a token as it travels. */
export function encodeToken(signed: SignedToken): Bytes {
  return joinToken(signed.signedBytes, signed.signature)
}

/**
 * Reads a token without verifying signature, time or floor.
 * @throws AvError `InvalidFormat` on another length (169 bytes of older systems included), magic, scope or life.
 */
export function decodeToken(bytes: Bytes): SignedToken {
  const reader = new ByteReader(bytes, "InvalidFormat")
  if (bytes.length !== TOKEN_LENGTH) reader.fail("length", { got: bytes.length, need: TOKEN_LENGTH })
  reader.expect(MAGIC, "magic")
  const token: PermissionToken = {
    issuer: reader.bytes(32).slice(),
    subject: reader.bytes(32).slice(),
    scope: reader.u32le(),
    channelHash: reader.u64le(),
    generation: reader.u32le(),
    notBefore: reader.u64le(),
    notAfter: reader.u64le(),
    delegationDepth: reader.u8(),
    nonce: reader.u64le(),
  }
  const signedBytes = reader.consumed.slice()
  const signature = reader.bytes(SIGNATURE_LENGTH).slice()
  reader.end()
  requireFormat(token)
  return { token, signedBytes, signature }
}

/** True when the scope holds every bit of `action`; an empty action is never contained. */
export function scopeContains(scope: number, action: number): boolean {
  return action !== 0 && (scope & action) === action
}

/** True when the token speaks of this action on this channel. Nothing about signature, time or floor. */
export function authorizes(token: Pick<PermissionToken, "scope" | "channelHash">, action: number, channelHash: U64): boolean {
  if (!scopeContains(token.scope, action)) return false
  return scopeContains(token.scope, SCOPE.WILDCARD) || token.channelHash === channelHash
}

function requireFormat(token: PermissionToken): void {
  const { scope, channelHash, notBefore, notAfter } = token
  if (scope === 0 || !Number.isInteger(scope) || (scope & ~SCOPE_MASK) !== 0) throw invalid("scope")
  if (scopeContains(scope, SCOPE.WILDCARD) && channelHash !== 0n) throw invalid("wildcard with a channel")
  if (notAfter <= notBefore) throw invalid("life")
}

function invalid(why: string): AvError {
  return new AvError("InvalidFormat", { what: "token", why })
}
