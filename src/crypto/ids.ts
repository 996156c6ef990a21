/** Names computed from keys (control-plane 1.1, 1.2): nobody's word is taken for them. */
import { bytesToHex } from "@noble/hashes/utils.js"
import { AvError } from "../wire/errors.ts"
import type { Bytes, NodeId, PeerKeyId } from "../wire/types.ts"
import { isZero } from "./compare.ts"
import { keyedBlake2s, sha256Sync } from "./hash.ts"
import { concat, requireLength } from "./layout.ts"

/** The `pq_hash` of an entity without an ML-DSA-65 key, such as a server. */
export const NO_PQ_HASH: Bytes = new Uint8Array(32)

/** The node id of an Ed25519 public key: 16 lower-case hex digits. A key that hashes to zero is `KeyInvalid`. */
export function nodeIdOf(entityId: Bytes): NodeId {
  requireLength(entityId, 32, "entity id")
  const first = keyedBlake2s("net-node-id-v1", entityId).slice(0, 8)
  if (isZero(first)) throw new AvError("KeyInvalid", { what: "node id zero" })
  // The integer is little-endian, its text form starts with the most significant digit.
  return bytesToHex(first.reverse())
}

/** SHA-256 of the 1952-byte ML-DSA-65 public key. */
export function pqHashOf(mlDsaPublicKey: Bytes): Bytes {
  return sha256Sync(mlDsaPublicKey)
}

/** `"mk1"` + 64 hex digits, committing to both keys. */
export function peerKeyIdOf(entityId: Bytes, pqHash: Bytes = NO_PQ_HASH): PeerKeyId {
  requireLength(entityId, 32, "entity id")
  requireLength(pqHash, 32, "pq hash")
  return `mk1${bytesToHex(keyedBlake2s("mesh-peer-key-v1", concat(entityId, pqHash)))}`
}

/** The 16-byte subnet id and 32-byte group id certified by an authority's key (control-plane 1.3). */
export function certifiedSubnetId(authority: Bytes): Bytes {
  return keyedBlake2s("mesh-subnet-v1", authority).slice(0, 16)
}

export function certifiedGroupId(authority: Bytes): Bytes {
  return keyedBlake2s("mesh-group-v1", authority)
}
