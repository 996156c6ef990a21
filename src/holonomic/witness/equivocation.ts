/** Two statements of one peer for one epoch that contradict each other. Both are kept as proof and never reconciled. */
import { compareBytes, equalBytes } from "../../wire/bytes.ts"
import type { Bytes, PeerKeyId, U64 } from "../../wire/types.ts"
import { Preimage } from "../preimage.ts"
import { sameNamespaces } from "./namespaces.ts"
import { verifyWitnessHybrid, type WitnessKeys } from "./verify.ts"
import { type WholenessWitness, type WitnessStatement, witnessDebugJson } from "./witness.ts"

export interface EquivocationProof<W extends WitnessStatement = WholenessWitness> {
  peerId: PeerKeyId
  epochId: U64
  witnessA: W
  witnessB: W
  observedAtUnixMs: U64
}

/** A proof when the two contradict each other. Both must have been verified, and cover the same namespaces. */
export function detectEquivocation<W extends WitnessStatement>(
  witnessA: W,
  witnessB: W,
  observedAtUnixMs: U64,
): EquivocationProof<W> | undefined {
  const { peerId, epochId } = witnessA
  if (peerId !== witnessB.peerId || epochId !== witnessB.epochId) return undefined
  if (equalBytes(witnessA.merkleRoot, witnessB.merkleRoot)) return undefined
  return { peerId, epochId, witnessA, witnessB, observedAtUnixMs }
}

/** {@link detectEquivocation} with the smaller root first, so that whoever finds the pair writes the same bytes but for the time (D07). */
export function provenEquivocation<W extends WitnessStatement>(
  a: W,
  b: W,
  observedAtUnixMs: U64,
): EquivocationProof<W> | undefined {
  const inOrder = compareBytes(a.merkleRoot, b.merkleRoot) <= 0
  return inOrder ? detectEquivocation(a, b, observedAtUnixMs) : detectEquivocation(b, a, observedAtUnixMs)
}

/**
 * Canonical bytes. They leave the signatures out and so prove nothing by themselves: the whole proof is handed on.
 * @throws AvError `CanonSerialize`, `IllFormedString`, `IntegerOutOfRange`
 */
export function equivocationBytes(proof: EquivocationProof<WitnessStatement>): Bytes {
  return new Preimage("equivocationProof")
    .longText(proof.peerId)
    .u64(proof.epochId, "epoch_id")
    .longText(witnessDebugJson(proof.witnessA))
    .longText(witnessDebugJson(proof.witnessB))
    .u64(proof.observedAtUnixMs, "observed_at_unix_ms")
    .finish()
}

/** Whether a proof from somebody else is one: same peer, epoch and namespaces, other roots, and all four signatures right. */
export async function acceptEquivocationProof(proof: EquivocationProof, keys: WitnessKeys): Promise<boolean> {
  const { witnessA, witnessB } = proof
  const found = detectEquivocation(witnessA, witnessB, proof.observedAtUnixMs)
  if (found?.peerId !== proof.peerId || found.epochId !== proof.epochId || !sameNamespaces(witnessA, witnessB)) return false
  for (const witness of [witnessA, witnessB]) if ((await verifyWitnessHybrid(witness, keys)) !== "Valid") return false
  return true
}
