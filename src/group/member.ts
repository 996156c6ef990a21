/** Who is to be in a group: key id, advertised key exchange keys, and the gate that keeps out peers without ML-KEM (av-mesh 6.3). */
import type { KeyPackage } from "ts-mls/keyPackage.js"
import { AvError } from "../wire/errors.ts"
import type { Bytes, PeerKeyId } from "../wire/types.ts"
import { readKeyPackage, requireXWing } from "./key-package.ts"
import { leafKeyId } from "./tree.ts"

interface KexPubkeys {
  /** 32 bytes. */
  x25519Pub: Bytes
  /** 1184 bytes; without it the peer is refused: what it receives could be recorded and opened by a quantum computer later. */
  mlkem768Pub?: Bytes | undefined
}

export interface Member {
  keyId: PeerKeyId
  kexPubkeys: KexPubkeys
  /** MLSMessage(mls_key_package), needed to be added. Verify its record first (D-18.3). */
  keyPackage?: Bytes | undefined
}

const MLKEM768_PUBLIC_LENGTH = 1184

/** A KeyPackage is all there is to a member: both keys are parts of its X-Wing init key (D-43 b). */
export function memberOf(keyId: PeerKeyId, keyPackage: Bytes): Member {
  const { initKey } = readKeyPackage(keyPackage)
  const mlkem768Pub = initKey.slice(0, MLKEM768_PUBLIC_LENGTH)
  return { keyId, keyPackage, kexPubkeys: { mlkem768Pub, x25519Pub: initKey.slice(MLKEM768_PUBLIC_LENGTH) } }
}

/** @throws AvError `PeerLacksMlkem { key_id }`, the first offender in the order given */
export function requireMlkem(members: Member[]): void {
  const offender = members.find(({ kexPubkeys }) => kexPubkeys.mlkem768Pub?.length !== MLKEM768_PUBLIC_LENGTH)
  if (offender !== undefined) throw new AvError("PeerLacksMlkem", { key_id: offender.keyId })
}

/**
 * The package to add a member by, checked against its name (D-11).
 *
 * @throws AvError `KeyPackageUnavailable`, `PeerLacksMlkem`, `KeyPackageMismatch`
 */
export function packageOf(member: Member): KeyPackage {
  if (member.keyPackage === undefined) throw new AvError("KeyPackageUnavailable", { key_id: member.keyId })
  const keyPackage = readKeyPackage(member.keyPackage)
  requireXWing(keyPackage, member.keyId)
  if (leafKeyId(keyPackage.leafNode) !== member.keyId) throw new AvError("KeyPackageMismatch", { key_id: member.keyId })
  return keyPackage
}
