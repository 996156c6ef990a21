/**
 * Signatures left out where they are many and not the subject: holding claims and notices of dropped symbols, each sent every minute to
 * everybody. Claims, witnesses, manifests and the bootstrap are signed and verified as in the product.
 */
import { separator } from "../../src/holonomic/index.ts"
import type { IdentitySigner } from "../../src/identity/index.ts"
import type { Bytes } from "../../src/wire/types.ts"

const LIGHT = [separator("holdingClaim"), separator("compressRequest")]
const EMPTY = { ed: new Uint8Array(3), pq: new Uint8Array(3) }

function isLight(message: Bytes): boolean {
  return LIGHT.some((start) => start.every((byte, i) => byte === message[i]))
}

export function lightSigner(signer: IdentitySigner): IdentitySigner {
  return {
    ...signer,
    signHybrid: async (message) => (isLight(message) ? EMPTY : signer.signHybrid(message)),
  }
}

/** Takes what {@link lightSigner} has signed for right. */
export async function lightVerify(_keys: unknown, message: Bytes): Promise<boolean> {
  return isLight(message)
}
