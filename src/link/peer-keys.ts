/** `av.keys`: the ML-DSA-65 key behind the hash that the session proof named (av-mesh D-42). */
import { ctEqual, isZero } from "../crypto/compare.ts"
import { peerKeyIdOf, pqHashOf } from "../crypto/ids.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, NodeId, PeerKeyId } from "../wire/types.ts"

/** What HELLO_AUTH or a routed handshake proved. */
export interface ProvenPeer {
  nodeId: NodeId
  entityId: Bytes
  pqHash: Bytes
  /** Peer's wall clock minus ours, ms. */
  clockSkewMs: number
}

/**
 * The key id of the peer. `SignerLacksPqc` for a peer without an ML-DSA-65 key: it is refused for audio and video;
 * `KexAuthFailed` when the keys are not those of the proof.
 */
export function checkPeerKeys(proven: ProvenPeer, entityId: Bytes, mlDsaPublicKey: Bytes): PeerKeyId {
  if (isZero(proven.pqHash)) throw new AvError("SignerLacksPqc")
  if (!ctEqual(entityId, proven.entityId)) throw new AvError("KexAuthFailed", { why: "entity" })
  if (!ctEqual(pqHashOf(mlDsaPublicKey), proven.pqHash)) throw new AvError("KexAuthFailed", { why: "ML-DSA key" })
  return peerKeyIdOf(proven.entityId, proven.pqHash)
}
