/** The bytes inside claims: grants of trust, their revocations, and the state of consent (D22, D30). */
import { ByteReader, utf8Decode } from "../../wire/bytes.ts"
import type { ErrorCode } from "../../wire/errors.ts"
import type { Bytes, PeerKeyId, U64 } from "../../wire/types.ts"
import { Preimage } from "../preimage.ts"
import { type SeparatorName, separator } from "../separators.ts"

export interface TrustGrantBody {
  granter: PeerKeyId
  grantee: PeerKeyId
  grantedAtUnixMs: U64
  /** u8; 0: granted directly. */
  chainDepth: number
  /** u32. */
  weight: number
  /** 0: never. */
  expiresAtUnixMs: U64
}

export interface TrustRevokeBody {
  granter: PeerKeyId
  grantee: PeerKeyId
  revokedAtUnixMs: U64
}

export interface ConsentBody {
  contentId: string
  corpusKind: string
  /** u8: 1 consents, 2 revokes. */
  state: number
  atUnixMs: U64
  /** 0: never. */
  expiresAtUnixMs: U64
}

/** @throws AvError `IllFormedString`, `IntegerOutOfRange` */
export function trustGrantBytes(body: TrustGrantBody): Bytes {
  return new Preimage("trustGrant")
    .text(body.granter)
    .text(body.grantee)
    .u64(body.grantedAtUnixMs, "granted_at_unix_ms")
    .u8(body.chainDepth, "chain_depth")
    .u32(body.weight, "weight")
    .u64(body.expiresAtUnixMs, "expires_at_unix_ms")
    .finish()
}

/** @throws AvError `IllFormedString`, `IntegerOutOfRange` */
export function trustRevokeBytes(body: TrustRevokeBody): Bytes {
  return new Preimage("trustRevoke")
    .text(body.granter)
    .text(body.grantee)
    .u64(body.revokedAtUnixMs, "revoked_at_unix_ms")
    .finish()
}

/** @throws AvError `IllFormedString`, `IntegerOutOfRange` */
export function consentBytes(body: ConsentBody): Bytes {
  return new Preimage("consent")
    .text(body.contentId)
    .text(body.corpusKind)
    .u8(body.state, "state")
    .u64(body.atUnixMs, "at_unix_ms")
    .u64(body.expiresAtUnixMs, "expires_at_unix_ms")
    .finish()
}

/** @throws AvError `ChainClaimMalformed` */
export function readTrustGrant(bytes: Bytes): TrustGrantBody {
  return read(bytes, "trustGrant", "ChainClaimMalformed", (body, text) => ({
    granter: text(),
    grantee: text(),
    grantedAtUnixMs: body.u64be(),
    chainDepth: body.u8(),
    weight: body.u32be(),
    expiresAtUnixMs: body.u64be(),
  }))
}

/** @throws AvError `ChainClaimMalformed` */
export function readTrustRevoke(bytes: Bytes): TrustRevokeBody {
  return read(bytes, "trustRevoke", "ChainClaimMalformed", (body, text) => ({
    granter: text(),
    grantee: text(),
    revokedAtUnixMs: body.u64be(),
  }))
}

/** Any u8 as state: what it means is decided where consent is resolved. @throws AvError `Malformed` */
export function readConsent(bytes: Bytes): ConsentBody {
  return read(bytes, "consent", "Malformed", (body, text) => ({
    contentId: text(),
    corpusKind: text(),
    state: body.u8(),
    atUnixMs: body.u64be(),
    expiresAtUnixMs: body.u64be(),
  }))
}

function read<T>(bytes: Bytes, name: SeparatorName, code: ErrorCode, fields: (body: ByteReader, text: () => string) => T): T {
  const body = new ByteReader(bytes, code)
  body.expect(separator(name), "separator")
  const value = fields(body, () => utf8Decode(body.lp32(), code))
  body.end()
  return value
}
