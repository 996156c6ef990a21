/** The certificate by which the owner of a subnet or group names a member (control-plane 1.3). */
import { ByteWriter } from "./byte-writer.ts"
import { ByteReader, concatBytes, utf8Encode } from "./bytes.ts"
import { AvError } from "./errors.ts"
import type { Bytes, U64 } from "./types.ts"

/** Label of the signature. */
export const MEMBERSHIP_CERT_LABEL = "mesh/member/v1"
export const MEMBERSHIP_CERT_LENGTH = 149

const MAGIC = /* @__PURE__ */ utf8Encode("MMC1")
const SIGNATURE_LENGTH = 64
const KINDS = [undefined, "subnet", "group"] as const

export interface MembershipCert {
  kind: "subnet" | "group"
  /** Ed25519 key of whoever owns the subnet or group; its id is derived from this key. */
  authority: Bytes
  /** Entity id of the member. */
  member: Bytes
  /** Unix seconds. */
  notBefore: U64
  /** Unix seconds, later than `notBefore`; the first second that is no longer covered. */
  notAfter: U64
}

interface SignedMembershipCert {
  cert: MembershipCert
  /** Everything before the signature, as it was signed. */
  signedBytes: Bytes
  signature: Bytes
}

/** The 85 bytes to sign. @throws AvError `UsageError` when a field is out of its range. */
export function encodeUnsignedMembershipCert(cert: MembershipCert): Bytes {
  if (cert.notAfter <= cert.notBefore) throw new AvError("UsageError", { why: "certificate life" })
  const writer = new ByteWriter(MEMBERSHIP_CERT_LENGTH).bytes(MAGIC).u8(KINDS.indexOf(cert.kind))
  return writer.fixed(cert.authority, 32).fixed(cert.member, 32).u64le(cert.notBefore).u64le(cert.notAfter).finish()
}

export function joinMembershipCert(signedBytes: Bytes, signature: Bytes): Bytes {
  if (signature.length !== SIGNATURE_LENGTH) throw new AvError("UsageError", { why: "signature length", got: signature.length })
  return concatBytes(signedBytes, signature)
}

/**
 * Reads a certificate without verifying the signature, the member or the time.
 * @throws AvError `Malformed` on another length, magic or kind, or a life that ends before it begins.
 */
export function decodeMembershipCert(bytes: Bytes): SignedMembershipCert {
  const reader: ByteReader = new ByteReader(bytes, "Malformed")
  reader.expect(MAGIC, "magic")
  const kind = KINDS[reader.u8()]
  if (kind === undefined) reader.fail("kind")
  const authority = reader.bytes(32).slice()
  const member = reader.bytes(32).slice()
  const notBefore = reader.u64le()
  const notAfter = reader.u64le()
  const signedBytes = reader.consumed.slice()
  const signature = reader.bytes(SIGNATURE_LENGTH).slice()
  reader.end()
  if (notAfter <= notBefore) reader.fail("life")
  return { cert: { kind, authority, member, notBefore, notAfter }, signedBytes, signature }
}
