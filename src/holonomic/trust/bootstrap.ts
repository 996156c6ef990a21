/**
 * The reference's walk along a chain of claims. Good for comparing with others and as a cheap first look, and never enough to
 * open a connection: entries need not mention each other. `linked.ts` is the gate.
 */
import type { PeerKeyId } from "../../wire/types.ts"
import { MAX_WITNESS_CHAIN_LENGTH } from "../claims/signed-claim.ts"
import type { TrustGrant } from "../topology/types.ts"

export interface TrustGraph {
  roots: readonly PeerKeyId[]
  grants: readonly TrustGrant[]
  /** u8. */
  maxChainDepth: number
}

export type AdmissionRefusal =
  | "ChainExhausted"
  | "SignatureInvalid"
  | "ChainTooLong"
  | "BudgetExceeded"
  | "TrustGraphCycle"
  | "AggregateWeightCapExceeded"

/** Trust and service, never membership of anything (N1). */
export interface AdmitTrustServe {
  kind: "AdmitTrustServe"
  /** u8. */
  trustDistance: number
  anchoredToRoot: PeerKeyId
}
export type AdmissionVerdict = AdmitTrustServe | { kind: "Refuse"; reason: AdmissionRefusal }

/** A claim's signer, and whether this process has verified the claim itself. Never filled from what was received. */
export interface JudgedSigner {
  signerPeerId: PeerKeyId
  verified: boolean
}

/** The sum of weights that a root's own trust allows is half of it. */
const ROOT_TRUST = 255

/** @param chain the oldest claim first */
export function recursiveTrustBootstrapTrustServe(
  candidate: JudgedSigner,
  graph: TrustGraph,
  chain: readonly JudgedSigner[],
): AdmissionVerdict {
  if (!candidate.verified) return refuse("SignatureInvalid")
  const roots = new Set(graph.roots)
  if (roots.has(candidate.signerPeerId)) return admit(0, candidate.signerPeerId)
  if (chain.length > MAX_WITNESS_CHAIN_LENGTH || chain.length > graph.maxChainDepth) return refuse("ChainTooLong")
  const finish = (i: number, anchorDistance: number, sum: number, rootTrust: number, anchor: PeerKeyId) => {
    const total = Math.min(255, anchorDistance + chain.length - i)
    if (total > graph.maxChainDepth) return refuse("BudgetExceeded")
    return sum > Math.floor(rootTrust / 2) ? refuse("AggregateWeightCapExceeded") : admit(total, anchor)
  }
  let sum = 0
  let fallback: { i: number; grant: TrustGrant } | undefined
  const seen = new Set<PeerKeyId>()
  for (let i = chain.length - 1; i >= 0; i--) {
    const { signerPeerId, verified } = chain[i]!
    if (!verified) return refuse("SignatureInvalid")
    if (seen.has(signerPeerId)) return refuse("TrustGraphCycle")
    seen.add(signerPeerId)
    if (roots.has(signerPeerId)) return finish(i, 0, sum, ROOT_TRUST, signerPeerId)
    const grant = graph.grants.find((one) => one.granterPeerId === signerPeerId && one.chainDepth <= graph.maxChainDepth)
    if (grant === undefined) continue
    sum += grant.weight
    fallback ??= { i, grant }
  }
  if (fallback === undefined) return refuse("ChainExhausted")
  const { i, grant } = fallback
  return finish(i, grant.chainDepth, sum - grant.weight, grant.weight, grant.granterPeerId)
}

/** @deprecated The reference's older name. */
export const recursiveTrustBootstrap = recursiveTrustBootstrapTrustServe

function refuse(reason: AdmissionRefusal): AdmissionVerdict {
  return { kind: "Refuse", reason }
}

function admit(trustDistance: number, anchoredToRoot: PeerKeyId): AdmissionVerdict {
  return { kind: "AdmitTrustServe", trustDistance, anchoredToRoot }
}
