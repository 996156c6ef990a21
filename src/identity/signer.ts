/** Who we are: an Ed25519 key, an ML-DSA-65 key, and the names computed from them (control-plane 1.1). */
import {
  type Ed25519Signer,
  ed25519PublicKey,
  ed25519Sign,
  type HybridSignature,
  hasNativeEd25519,
  hasNativeMlDsa,
  hybridSign,
  importEd25519Seed,
  importMlDsaSeed,
  mlDsaPublicKey,
  mlDsaSign,
  NO_PQ_HASH,
  nodeIdOf,
  peerKeyIdOf,
  pqHashOf,
} from "../crypto/index.ts"
import type { Bytes, NodeId, PeerKeyId } from "../wire/types.ts"

/** The public half of an identity and the right to sign with it. The private keys never leave the thread that holds them. */
export interface IdentitySigner extends Ed25519Signer {
  /** Ed25519 public key, 32 bytes. */
  readonly entityId: Bytes
  /** 1952 bytes; empty for an identity without ML-DSA-65, such as a server's. */
  readonly mlDsaPublicKey: Bytes
  /** SHA-256 of the ML-DSA-65 public key, 32 zero bytes without one. */
  readonly pqHash: Bytes
  readonly keyId: PeerKeyId
  readonly nodeId: NodeId
  signEd25519(message: Bytes): Promise<Bytes>
  /** The bound signature of av-mesh 8.4. Without an ML-DSA key: `SignerLacksPqc`. */
  signHybrid(message: Bytes): Promise<HybridSignature>
}

/** A private key in the form this thread signs fastest with: an imported key or the raw seed. */
export type PrivateKey = CryptoKey | Bytes

/** Builds a signer from public and private halves that belong together. */
export function makeSigner(
  ed: { publicKey: Bytes; privateKey: PrivateKey },
  pq?: { publicKey: Bytes; privateKey: PrivateKey },
): IdentitySigner {
  const pqHash = pq === undefined ? NO_PQ_HASH : pqHashOf(pq.publicKey)
  const signEd25519 = (message: Bytes) => ed25519Sign(ed.privateKey, message)
  const keyId = peerKeyIdOf(ed.publicKey, pqHash)
  return {
    entityId: ed.publicKey,
    mlDsaPublicKey: pq?.publicKey ?? new Uint8Array(0),
    pqHash,
    keyId,
    nodeId: nodeIdOf(ed.publicKey),
    signEd25519,
    signHybrid: (message) =>
      hybridSign(
        pq === undefined ? { signEd25519 } : { signEd25519, signMlDsa65: (bytes) => mlDsaSign(pq.privateKey, bytes) },
        message,
      ),
  }
}

/** A signer from seeds of 32 bytes. Without the second there is no hybrid signature: enough for a rendezvous server. */
export async function signerFromSeeds(edSeed: Bytes, mlDsaSeed?: Bytes): Promise<IdentitySigner> {
  const ed = { publicKey: ed25519PublicKey(edSeed), privateKey: await privateEd25519(edSeed) }
  if (mlDsaSeed === undefined) return makeSigner(ed)
  return makeSigner(ed, { publicKey: mlDsaPublicKey(mlDsaSeed), privateKey: await privateMlDsa(mlDsaSeed) })
}

/** A native, non-extractable key where the platform has Ed25519, else a copy of the seed. */
export async function privateEd25519(seed: Bytes): Promise<PrivateKey> {
  return (await hasNativeEd25519()) ? importEd25519Seed(seed) : seed.slice()
}

/** A native, non-extractable key where the platform has ML-DSA-65, else a copy of the seed. */
export async function privateMlDsa(seed: Bytes): Promise<PrivateKey> {
  return (await hasNativeMlDsa()) ? importMlDsaSeed(seed) : seed.slice()
}
