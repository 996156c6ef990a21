/** The hybrid bound signature of av-mesh 8.4: Ed25519 over the message, ML-DSA-65 over message and Ed25519 signature. */
import { AvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"
import { ed25519Verify } from "./ed25519.ts"
import { concat, lp16 } from "./layout.ts"
import { ML_DSA_SIGNATURE_LENGTH, mlDsaVerify } from "./ml-dsa.ts"

export interface HybridSignature {
  /** 64 bytes. */
  ed: Bytes
  /** 3309 bytes. */
  pq: Bytes
}

/** The two halves of a signer. Without `signMlDsa65` a hybrid signature is refused. */
interface HybridKeys {
  signEd25519(message: Bytes): Promise<Bytes>
  signMlDsa65?(message: Bytes): Promise<Bytes>
}

interface HybridPublicKeys {
  ed25519: Bytes
  mlDsa65?: Bytes | undefined
}

/** Encoded size: `ed[64] ‖ lp16(pq)`. */
export const HYBRID_SIGNATURE_LENGTH = 64 + 2 + ML_DSA_SIGNATURE_LENGTH

/** Signs. No ML-DSA half: `SignerLacksPqc`; a failing key: `SignerError`. */
export async function hybridSign(signer: HybridKeys, message: Bytes): Promise<HybridSignature> {
  if (signer.signMlDsa65 === undefined) throw new AvError("SignerLacksPqc")
  try {
    const ed = await signer.signEd25519(message)
    return { ed, pq: await signer.signMlDsa65(concat(message, ed)) }
  } catch (cause) {
    throw new AvError("SignerError", {}, { cause })
  }
}

/** True only when both halves verify (strict Ed25519). Never throws: callers name the failure. */
export async function hybridVerify(keys: HybridPublicKeys, message: Bytes, signature: HybridSignature): Promise<boolean> {
  if (keys.mlDsa65 === undefined) return false
  if (!(await ed25519Verify(keys.ed25519, message, signature.ed))) return false
  return mlDsaVerify(keys.mlDsa65, concat(message, signature.ed), signature.pq)
}

/** `ed ‖ lp16(pq)`, the form stored behind signed records and sent in `av.kex`. */
export function encodeHybridSignature(signature: HybridSignature): Bytes {
  return concat(signature.ed, lp16(signature.pq))
}

/** Reads exactly one encoded signature; any other length is `undefined`. */
export function decodeHybridSignature(bytes: Bytes): HybridSignature | undefined {
  if (bytes.length !== HYBRID_SIGNATURE_LENGTH) return undefined
  if (((bytes[64] as number) << 8) + (bytes[65] as number) !== ML_DSA_SIGNATURE_LENGTH) return undefined
  return { ed: bytes.slice(0, 64), pq: bytes.slice(66) }
}
