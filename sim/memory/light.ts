/**
 * Signatures of a simulation. Two short cuts, none of which changes what a peer accepts of an honest one:
 * holding claims and notices of dropped symbols, each sent every minute to everybody, are not signed at all; and the rest (claims,
 * witnesses, manifests, the bootstrap) is signed and verified as in the product, but each signature once for all peers together.
 */
import { createHash } from "node:crypto"
import { hybridVerify } from "../../src/crypto/index.ts"
import { separator } from "../../src/holonomic/index.ts"
import type { VerifyHybrid } from "../../src/holonomic/trust/verified.ts"
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

/** Takes what {@link lightSigner} left out for right, and remembers for everybody what it has verified. One per simulation. */
export function sharedVerify(): VerifyHybrid {
  const answers = new Map<string, Promise<boolean>>()
  return (keys, message, signature) => {
    if (isLight(message)) return Promise.resolve(true)
    const name = createHash("sha256")
    for (const part of [keys.ed25519, keys.mlDsa65 ?? EMPTY.pq, message, signature.ed, signature.pq]) {
      name.update(`${part.length} `).update(part)
    }
    const key = name.digest("base64")
    const answer = answers.get(key) ?? hybridVerify(keys, message, signature)
    answers.set(key, answer)
    return answer
  }
}
