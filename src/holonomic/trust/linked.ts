/** The gate for newcomers: each claim of the chain grants trust to the signer of the next, the last one to the newcomer (D20, D21). */
import { compareUtf8 } from "../../wire/bytes.ts"
import { isAvError } from "../../wire/errors.ts"
import type { PeerKeyId, U64 } from "../../wire/types.ts"
import { readTrustGrant, type TrustGrantBody, type TrustRevokeBody } from "../claims/bodies.ts"
import { CLAIM_VERSION, type ClaimStatement, MAX_WITNESS_CHAIN_LENGTH } from "../claims/signed-claim.ts"
import type { AdmissionRefusal, AdmitTrustServe, JudgedSigner, TrustGraph } from "./bootstrap.ts"

export type LinkedRefusal =
  | AdmissionRefusal
  | "CandidateStale"
  | "ChainClaimMalformed"
  | "ChainUnlinked"
  | "GrantExpired"
  | "GrantRevoked"

/** `standing` (0..255) says how much may be asked for per minute. */
export type LinkedVerdict = (AdmitTrustServe & { standing: number }) | { kind: "Refuse"; reason: LinkedRefusal }

/** A claim and whether this process has verified it. */
export interface JudgedClaim extends JudgedSigner, Pick<ClaimStatement, "claimKind" | "claimBytes" | "claimVersion"> {}

export interface LinkedBootstrap {
  candidate: JudgedSigner
  /** The candidate signed our challenge of the last half minute. */
  fresh: boolean
  /** Verified grants that are live now, and no others. */
  graph: TrustGraph
  /** The oldest first. */
  chain: readonly JudgedClaim[]
  /** All revocations known. */
  revokes: readonly TrustRevokeBody[]
  nowUnixMs: U64
}

const FULL_STANDING = 255
/** A root gives at most half of its own trust through a chain. */
const MAX_CHAIN_STANDING = 127

export function bootstrapLinked(input: LinkedBootstrap): LinkedVerdict {
  const { candidate, fresh, graph, chain } = input
  if (!candidate.verified) return refuse("SignatureInvalid")
  if (!fresh) return refuse("CandidateStale")
  const newcomer = candidate.signerPeerId
  if (graph.roots.includes(newcomer)) return admit(0, newcomer, FULL_STANDING)
  if (chain.length === 0) return refuse("ChainExhausted")
  if (chain.length > Math.min(MAX_WITNESS_CHAIN_LENGTH, graph.maxChainDepth)) return refuse("ChainTooLong")
  if (!chain.every(({ verified }) => verified)) return refuse("SignatureInvalid")
  const grants = chain.map(grantIn)
  if (!grants.every((grant) => grant !== undefined)) return refuse("ChainClaimMalformed")
  const refusal = refusalOf(grants, newcomer, input)
  if (refusal !== undefined) return refuse(refusal)
  const anchor = anchorOf(grants[0]!.granter, graph)
  if (anchor === undefined) return refuse("ChainExhausted")
  const total = anchor.distance + chain.length
  if (total > graph.maxChainDepth) return refuse("BudgetExceeded")
  const passed = grants.reduce((left, { weight }) => Math.floor((left * Math.min(weight, 255)) / 255), anchor.standing)
  const standing = Math.min(passed, MAX_CHAIN_STANDING)
  return standing === 0 ? refuse("AggregateWeightCapExceeded") : admit(total, anchor.root, standing)
}

/** What the chain itself has against it. */
function refusalOf(
  grants: readonly TrustGrantBody[],
  newcomer: PeerKeyId,
  { revokes, nowUnixMs }: LinkedBootstrap,
): LinkedRefusal | undefined {
  const signers = [...grants.map(({ granter }) => granter), newcomer]
  if (!grants.every(({ grantee }, i) => grantee === signers[i + 1])) return "ChainUnlinked"
  if (new Set(signers).size !== signers.length) return "TrustGraphCycle"
  if (grants.some(({ expiresAtUnixMs: end }) => end !== 0n && end <= nowUnixMs)) return "GrantExpired"
  return grants.some((grant) => isRevoked(grant, revokes)) ? "GrantRevoked" : undefined
}

/** A grant is over when its granter took it back at the same time or later. */
export function isRevoked(
  { granter, grantee, grantedAtUnixMs }: Pick<TrustGrantBody, "granter" | "grantee" | "grantedAtUnixMs">,
  revokes: readonly TrustRevokeBody[],
): boolean {
  return revokes.some((one) => one.granter === granter && one.grantee === grantee && one.revokedAtUnixMs >= grantedAtUnixMs)
}

/** What the claim grants, when it is a grant by its own signer. */
function grantIn({ claimKind, claimVersion, claimBytes, signerPeerId }: JudgedClaim): TrustGrantBody | undefined {
  if (claimKind !== "trust_grant" || claimVersion !== CLAIM_VERSION) return undefined
  try {
    const grant = readTrustGrant(claimBytes)
    return grant.granter === signerPeerId ? grant : undefined
  } catch (error) {
    if (isAvError(error)) return undefined
    throw error
  }
}

/** The oldest granter is a root, or some root trusts it: the one that trusts it most. */
function anchorOf(oldest: PeerKeyId, { roots, grants }: TrustGraph) {
  if (roots.includes(oldest)) return { root: oldest, distance: 0, standing: FULL_STANDING }
  const best = grants
    .filter(({ granterPeerId, granteePeerId }) => granteePeerId === oldest && roots.includes(granterPeerId))
    .sort((a, b) => b.weight - a.weight || compareUtf8(a.granterPeerId, b.granterPeerId))[0]
  return best && { root: best.granterPeerId, distance: 1, standing: Math.min(best.weight, FULL_STANDING) }
}

function refuse(reason: LinkedRefusal): LinkedVerdict {
  return { kind: "Refuse", reason }
}

function admit(trustDistance: number, anchoredToRoot: PeerKeyId, standing: number): LinkedVerdict {
  return { kind: "AdmitTrustServe", trustDistance, anchoredToRoot, standing }
}
