/** A peer's signed statement of which claims it holds at one moment. */
import { compareUtf8, isWellFormedText, toHex } from "../../wire/bytes.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes, PeerKeyId, U64 } from "../../wire/types.ts"
import { u64, unsigned } from "../checks.ts"
import { Preimage } from "../preimage.ts"

export const WITNESS_VERSION = 1

/** What is signed. */
export interface WitnessStatement {
  peerId: PeerKeyId
  /** Grows with each witness of a peer. */
  epochId: U64
  /** 32 bytes. */
  merkleRoot: Bytes
  leafCount: number
  /** In any order; the signed bytes sort them. */
  claimNamespaces: readonly string[]
  /** When the claims were as stated. */
  observedAtUnixMs: U64
  witnessVersion: number
}

export interface WholenessWitness extends WitnessStatement {
  /** Ed25519, base64. */
  signature: string
  /** ML-DSA-65 over statement and Ed25519 signature, base64. */
  signatureMlDsa65: string
  /** Says which key it was; nobody relies on it. */
  pqcKeyId: string
}

/**
 * The bytes that both signatures cover.
 * @throws AvError `IllFormedString`, `IntegerOutOfRange`, `UsageError` (a root that is not 32 bytes)
 */
export function witnessPreimage(witness: WitnessStatement): Bytes {
  const out = new Preimage("witness")
    .text(witness.peerId)
    .u64(witness.epochId, "epoch_id")
    .raw(witness.merkleRoot, 32, "merkle_root")
    .u32(witness.leafCount, "leaf_count")
    .u32(witness.claimNamespaces.length, "claim_namespaces")
  for (const namespace of sortedNamespaces(witness)) out.text(namespace)
  return out.u64(witness.observedAtUnixMs, "observed_at_unix_ms").u16(witness.witnessVersion, "witness_version").finish()
}

/**
 * The statement as compact JSON in a fixed order of members. Not what is signed: proofs of equivocation carry it.
 * @throws AvError `CanonSerialize`
 */
export function witnessDebugJson(witness: WitnessStatement): string {
  const namespaces = sortedNamespaces(witness)
  if (![witness.peerId, ...namespaces].every(isWellFormedText)) throw new AvError("CanonSerialize", { why: "text" })
  const integers = [
    u64(witness.epochId, "epoch_id"),
    unsigned(witness.leafCount, 32, "leaf_count"),
    u64(witness.observedAtUnixMs, "observed_at_unix_ms"),
    unsigned(witness.witnessVersion, 16, "witness_version"),
  ]
  const [epoch, leaves, observed, version] = integers.map(String)
  const peer = JSON.stringify(witness.peerId)
  const list = JSON.stringify(namespaces)
  return `{"peer_id":${peer},"epoch_id":${epoch},"merkle_root":"${toHex(witness.merkleRoot)}","leaf_count":${leaves},"claim_namespaces":${list},"observed_at_unix_ms":${observed},"witness_version":${version}}`
}

/** By UTF-8 bytes, repetitions kept. */
function sortedNamespaces({ claimNamespaces }: WitnessStatement): string[] {
  return claimNamespaces.toSorted(compareUtf8)
}
