/** The page's side of the keys worker: its identity and its group in the shapes that links and rooms ask for. */
import type { Remote } from "comlink"
import type { PublishingGroup } from "../../group/types.ts"
import type { IdentitySigner } from "../../identity/signer.ts"
import type { KeysApi, PublicIdentity } from "./types.ts"

/** An {@link IdentitySigner} whose private keys are in the worker. */
export function remoteSigner(keys: Remote<KeysApi>, identity: PublicIdentity): IdentitySigner {
  const { entityId, mlDsaPublicKey, pqHash, keyId, nodeId } = identity
  return {
    entityId,
    mlDsaPublicKey,
    pqHash,
    keyId,
    nodeId,
    signEd25519: (message) => keys.signEd25519(message),
    signHybrid: (message) => keys.signHybrid(message),
  }
}

/** A new group in the worker. Calls keep their order. */
export async function remoteGroup(keys: Remote<KeysApi>): Promise<PublishingGroup> {
  return keys.createGroup()
}
