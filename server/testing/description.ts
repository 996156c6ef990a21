/** Signed descriptions for the server's tests. */
import { signLabelled } from "../../src/crypto/labelled.ts"
import type { IdentitySigner } from "../../src/identity/signer.ts"
import { encodeUnsignedDescription, joinDescription, type SessionDescription } from "../../src/wire/description.ts"
import type { Bytes, NodeId } from "../../src/wire/types.ts"

export async function describe(
  signer: IdentitySigner,
  toNode: NodeId,
  attemptId: bigint,
  options: Partial<SessionDescription> = {},
): Promise<Bytes> {
  const unsigned = encodeUnsignedDescription({
    answer: false,
    iceRestart: false,
    trickle: false,
    endOfCandidates: false,
    fromEntity: signer.entityId,
    toNode,
    attemptId,
    issuedMs: BigInt(Date.now()),
    dtlsFingerprint: new Uint8Array(32).fill(7),
    ufrag: "abcd",
    pwd: "a".repeat(22),
    candidates: [],
    ...options,
  })
  return joinDescription(unsigned, await signLabelled("mesh/desc/v1", unsigned, signer))
}
