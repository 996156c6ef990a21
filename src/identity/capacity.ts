/** Signing and checking what a relay says it can carry (av-mesh 8.4): Ed25519 and ML-DSA-65, bound to each other. */
import { sha256Sync } from "../crypto/hash.ts"
import { hybridVerify } from "../crypto/hybrid.ts"
import { ByteWriter, fromBase64, toBase64, utf8Encode } from "../wire/bytes.ts"
import { capacityCanonicalBytes, checkCapacity, type RelayCapacity, type SignedRelayCapacity } from "../wire/capacity.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, PeerKeyId, U64 } from "../wire/types.ts"
import type { IdentitySigner } from "./signer.ts"

/** Both public keys of an advertiser. */
export interface CapacityKeys {
  ed25519: Bytes
  mlDsa65?: Bytes | undefined
}

/** The `stream_id` of an advertisement that speaks for every stream of a room together (D-40). */
export function roomCapacityId(roomId: Bytes): Bytes {
  return sha256Sync(new ByteWriter(64).bytes(utf8Encode("AVMESH-ROOMCAPS1")).lp16(roomId).finish())
}

/**
 * Signs a capacity for a stream (or a room, D-40) and an epoch.
 * @throws AvError `CapacityInvalid`, `SignerLacksPqc`, `SignerError`
 */
export async function signCapacity(
  capacity: RelayCapacity,
  streamId: Bytes,
  epoch: U64,
  advertiserKeyId: PeerKeyId,
  signer: Pick<IdentitySigner, "signHybrid">,
): Promise<SignedRelayCapacity> {
  const checked = checkCapacity(capacity)
  const { ed, pq } = await signer.signHybrid(capacityCanonicalBytes(checked, streamId, epoch))
  const signatures = { signatureEd25519Base64: toBase64(ed), signatureMlDsa65Base64: toBase64(pq) }
  return { advertiserKeyId, capacity: checked, streamId, epoch, ...signatures }
}

/**
 * Checks both signatures; says nothing about time, stream or epoch. The error is the same whatever was tampered with.
 * @throws AvError `PqcPubkeyMissing`, `SignatureInvalid`
 */
export async function verifyCapacity(signed: SignedRelayCapacity, keys: CapacityKeys): Promise<void> {
  if (keys.mlDsa65 === undefined) throw new AvError("PqcPubkeyMissing")
  const ed = signatureBytes(signed.signatureEd25519Base64)
  const pq = signatureBytes(signed.signatureMlDsa65Base64)
  const message = capacityCanonicalBytes(signed.capacity, signed.streamId, signed.epoch)
  if (!(await hybridVerify(keys, message, { ed, pq }))) throw new AvError("SignatureInvalid")
}

function signatureBytes(base64: string): Bytes {
  try {
    return fromBase64(base64)
  } catch (cause) {
    throw new AvError("SignatureInvalid", {}, { cause })
  }
}
