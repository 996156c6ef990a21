/** What the keys worker shows to the main thread: the identity's public half, signatures, and the group. No private key leaves it. */
import type { ProxyMarked } from "comlink"
import type { HybridSignature } from "../../crypto/hybrid.ts"
import type { PeerKeys, PublishingGroup } from "../../group/types.ts"
import type { Bytes, NodeId, PeerKeyId } from "../../wire/types.ts"

export interface KeysOptions {
  /** `false`: an identity that lives only in this worker. Default: the stored identity, if no other tab uses it (RM-5). */
  persistent?: boolean
}

/** The public half of the identity in use. */
export interface PublicIdentity {
  /** Ed25519 public key, 32 bytes. */
  entityId: Bytes
  /** ML-DSA-65 public key, 1952 bytes. */
  mlDsaPublicKey: Bytes
  /** SHA-256 of the ML-DSA-65 key. */
  pqHash: Bytes
  keyId: PeerKeyId
  nodeId: NodeId
  /** The identity survives a reload. */
  persistent: boolean
}

/** The keys worker as comlink shows it. Everything but `start` and `setMeshPort` needs `start` first: `UsageError`. */
export interface KeysApi {
  /** Loads or makes the identity. A second call returns the same one. */
  start(options?: KeysOptions): Promise<PublicIdentity>
  /** Content keys of each epoch go into this port as `MeshKeysMessage`; hand it over by transfer. */
  setMeshPort(port: MessagePort): void
  /** Plain Ed25519 under the entity key: HELLO_AUTH, descriptions, registrations. */
  signEd25519(message: Bytes): Promise<Bytes>
  /** Hybrid bound signature under the long-term keys (av-mesh 8.4): `av.kex`, records, capacity. */
  signHybrid(message: Bytes): Promise<HybridSignature>
  /** ML-DSA is slow in JavaScript (4 ms): verifying it belongs here and not on the main thread. */
  verifyHybrid(keys: PeerKeys, message: Bytes, signature: HybridSignature): Promise<boolean>
  /** An empty group under this identity: one per room joined. Two can overlap while a room moves (RM-11). */
  createGroup(): PublishingGroup & ProxyMarked
  /** Erases every group and lets another tab use the identity. Idempotent; later calls are `HandleClosedError`. */
  close(): Promise<void>
}
