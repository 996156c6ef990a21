/** The part of an identity that signs for its entity, and an identity without that part (control-plane 1.1). */
import type { Ed25519Signer } from "../crypto/index.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"

/** An entity and the right to sign as it. An `IdentitySigner` is one. */
export interface EntitySigner extends Ed25519Signer {
  readonly entityId: Bytes
}

/** An entity whose signing half is elsewhere: every attempt to sign is `ReadOnly`, never a silent zero signature. */
export function publicOnly(entityId: Bytes): EntitySigner {
  const signEd25519 = async (): Promise<never> => {
    throw new AvError("ReadOnly", { what: "entity key" })
  }
  return { entityId, signEd25519 }
}
