/** Issuing and checking membership certificates (control-plane 1.3, D05). */
import { certifiedGroupId, certifiedSubnetId, ctEqual, signLabelled, verifyLabelled } from "../crypto/index.ts"
import { AvError } from "../wire/errors.ts"
import {
  decodeMembershipCert,
  encodeUnsignedMembershipCert,
  joinMembershipCert,
  MEMBERSHIP_CERT_LABEL,
  type MembershipCert,
} from "../wire/membership-cert.ts"
import type { Bytes } from "../wire/types.ts"
import { clampSkew } from "./clock-skew.ts"
import type { EntitySigner } from "./public-only.ts"

/** What a certificate says, once its signature and member are known to be right. Only the time is left to check. */
export interface ProvenMembership {
  kind: "subnet" | "group"
  /** The subnet's 16 or the group's 32 bytes, derived from the authority. */
  id: Bytes
  /** Unix seconds. */
  notBefore: bigint
  notAfter: bigint
}

/** A certificate for `member`, signed by the owner of the subnet or group. Times in Unix seconds. */
export async function issueMembershipCert(authority: EntitySigner, cert: Omit<MembershipCert, "authority">): Promise<Bytes> {
  const unsigned = encodeUnsignedMembershipCert({ ...cert, authority: authority.entityId })
  return joinMembershipCert(unsigned, await signLabelled(MEMBERSHIP_CERT_LABEL, unsigned, authority))
}

/** The id that certificates of this authority prove. */
export function certifiedId(kind: "subnet" | "group", authority: Bytes): Bytes {
  return kind === "subnet" ? certifiedSubnetId(authority) : certifiedGroupId(authority)
}

/**
 * Checks everything but the time.
 * @throws AvError `Malformed`; `NotAuthorized` when it names another member; `BadSignature`.
 */
export async function verifyMembershipCert(bytes: Bytes, claimer: Bytes): Promise<ProvenMembership> {
  const { cert, signedBytes, signature } = decodeMembershipCert(bytes)
  if (!ctEqual(cert.member, claimer)) throw new AvError("NotAuthorized", { what: "membership certificate" })
  if (!(await verifyLabelled(MEMBERSHIP_CERT_LABEL, signedBytes, cert.authority, signature))) {
    throw new AvError("BadSignature", { what: "membership certificate" })
  }
  return { kind: cert.kind, id: certifiedId(cert.kind, cert.authority), notBefore: cert.notBefore, notAfter: cert.notAfter }
}

/** True while the certificate counts. `now` in Unix seconds; evaluated at each decision, because certificates expire. */
export function isCertLive(proven: ProvenMembership, now: bigint, skewSeconds?: number): boolean {
  const skew = BigInt(clampSkew(skewSeconds))
  return proven.notBefore - skew <= now && now < proven.notAfter + skew
}
