/** Runs the sections of holonomic vectors on claims and witnesses, and the public vectors of the reference (one file, one case). */
import { deepStrictEqual, strictEqual } from "node:assert"
import {
  type AggregationMetaVersion,
  aggregationMetaBytes,
  bootstrapChallengeBytes,
  CLAIM_VERSION,
  type ClaimStatement,
  COMPRESS_REQUEST_VERSION,
  compareWitnesses,
  compressRequestBytes,
  consentBytes,
  descendOrder,
  detectEquivocation,
  effectiveCount,
  effectiveSourceCount,
  ejectionRank,
  equivocationBytes,
  extractOwnerBindingForDestinationGate,
  filterWitnessLeaves,
  guardNamespaces,
  HOLDING_CLAIM_VERSION,
  holdingClaimBytes,
  MAX_WITNESS_CHAIN_LENGTH,
  massCommitment,
  massToFixed,
  memberCommitment,
  merkleRoot,
  passesDominanceGate,
  passesMultiplicityGate,
  probeDigest,
  readConsent,
  readTrustGrant,
  readTrustRevoke,
  separator,
  signedClaimBytes,
  strictBase64,
  trustGrantBytes,
  trustRevokeBytes,
  verifyWitnessHybrid,
  WITNESS_VERSION,
  type WitnessStatement,
  witnessDebugJson,
  witnessPreimage,
} from "../../src/holonomic/index.ts"
import { equalBytes, fromHex, toHex } from "../../src/wire/bytes.ts"
import { capacityCanonicalBytes } from "../../src/wire/capacity.ts"
import { isAvError } from "../../src/wire/errors.ts"
import type { Bytes } from "../../src/wire/types.ts"
import { type RunnerTable, Unanswerable } from "../types.ts"
import { type CapacityCase, capacityOf } from "./capacity-case.ts"

const NO_KEY = new Uint8Array(0)
/** The share that a fold is asked for where it is taken in; the cases do not name it. */
const INGEST_DOMINANCE = 0.5

interface WitnessCase {
  peer_id: string
  epoch_id: string | number
  /** Hex in the samples, 32 numbers in the public vectors. */
  merkle_root: string | number[]
  leaf_count: number
  claim_namespaces: string[]
  observed_at_unix_ms: string | number
  witness_version: number
}

interface ClaimCase {
  claim_kind: string
  signer_peer_id: string
  claim_bytes: number[]
  signed_at_unix_ms: string | number
  claim_version: number
  user_owner?: string | null
  delegates_to?: string | null
  identity_occurrence?: string | null
}

function witnessOf(c: WitnessCase): WitnessStatement {
  return {
    peerId: c.peer_id,
    epochId: BigInt(c.epoch_id),
    merkleRoot: typeof c.merkle_root === "string" ? fromHex(c.merkle_root) : Uint8Array.from(c.merkle_root),
    leafCount: c.leaf_count,
    claimNamespaces: c.claim_namespaces,
    observedAtUnixMs: BigInt(c.observed_at_unix_ms),
    witnessVersion: c.witness_version,
  }
}

function claimOf(c: ClaimCase): ClaimStatement {
  return {
    claimKind: c.claim_kind,
    signerPeerId: c.signer_peer_id,
    claimBytes: Uint8Array.from(c.claim_bytes),
    signedAtUnixMs: BigInt(c.signed_at_unix_ms),
    claimVersion: c.claim_version,
    userOwner: c.user_owner ?? null,
    delegatesTo: c.delegates_to ?? null,
    identityOccurrence: c.identity_occurrence ?? null,
  }
}

// biome-ignore lint/suspicious/noExplicitAny: foreign JSON
const holdingOf = (c: any) => ({
  peerId: c.peer_id,
  contentId: c.content_id,
  symbolIds: c.symbol_ids,
  observedAtUnixMs: BigInt(c.observed_at_unix_ms),
  claimVersion: c.claim_version,
})

// biome-ignore lint/suspicious/noExplicitAny: foreign JSON
const compressOf = (c: any) => ({
  peerId: c.peer_id,
  contentId: c.content_id,
  evictingRangeLow: c.evicting_range_low,
  evictingRangeHigh: c.evicting_range_high,
  deadlineUnixMs: BigInt(c.deadline_unix_ms),
  requestVersion: c.request_version,
})

// biome-ignore lint/suspicious/noExplicitAny: foreign JSON
const metaOf = (c: any) => ({
  version: c.version as AggregationMetaVersion,
  contentId: c.content_id,
  corpusKind: c.corpus_kind,
  tier: c.tier,
  aggregationAlgorithmId: c.aggregation_algorithm_id,
  sourceCount: c.source_count,
  memberCommitment: fromHex(c.member_commitment ?? c.member_commitment_hex),
  noiseFloorDescriptor: c.noise_floor_descriptor,
  nEff: c.n_eff ?? 0,
  maxSourceMultiplicity: c.max_source_multiplicity ?? 0,
  massCommitment: fromHex(c.mass_commitment ?? c.mass_commitment_hex ?? "00".repeat(32)),
})

function expectHex(actual: Bytes, expected: string): void {
  strictEqual(toHex(actual), expected)
}

/** A public vector states the bytes and the separator they begin with. */
function expectCanonical(actual: Bytes, c: { expected_canonical_bytes_hex: string; domain_separator_hex: string }): void {
  expectHex(actual, c.expected_canonical_bytes_hex)
  strictEqual(toHex(actual).startsWith(c.domain_separator_hex), true, "separator")
}

/** `ok` or the code of the error. */
function verdict(run: () => void): string {
  try {
    run()
    return "ok"
  } catch (error) {
    if (isAvError(error)) return error.code
    throw error
  }
}

function decodedBase64(text: string): string | null {
  try {
    return toHex(strictBase64(text))
  } catch (error) {
    if (isAvError(error, "Base64Invalid")) return null
    throw error
  }
}

// biome-ignore lint/suspicious/noExplicitAny: foreign JSON
async function verifyHybrid(c: any): Promise<void> {
  const { witness, signature, signature_ml_dsa_65: signatureMlDsa65, ed_ok_hex, pq_ok_hex } = c.in
  const statement = witnessOf(witness)
  // Not before it is asked for: a statement that cannot be written has a verdict of its own.
  const preimage = () => witnessPreimage(statement)
  const result = await verifyWitnessHybrid(
    { ...statement, signature, signatureMlDsa65, pqcKeyId: "" },
    { ed25519: NO_KEY, mlDsa65: NO_KEY },
    {
      ed25519: (message, made) => equalBytes(message, preimage()) && toHex(made) === ed_ok_hex,
      // Right only over the statement and exactly the classical signature.
      mlDsa65: (message, made) =>
        toHex(message) === toHex(preimage()) + toHex(strictBase64(signature)) && toHex(made) === pq_ok_hex,
    },
  )
  strictEqual(result, c.out)
}

export const runners: RunnerTable = {
  holonomic: {
    base64_strict: (c) => strictEqual(decodedBase64(c.in), c.out),
    merkle_root: (c) => {
      // The samples name some leaves by a count and a seed alone, and no document says how to make leaves of them.
      if (c.in.leaves_hex === undefined) throw new Unanswerable("the file gives a count and a seed instead of leaves")
      const leaves = (c.in.leaves_hex as string[]).map((leaf) => fromHex(leaf))
      expectHex(merkleRoot(leaves), c.out)
      expectHex(merkleRoot(leaves.toReversed()), c.out)
    },
    witness_preimage: (c) => expectHex(witnessPreimage(witnessOf(c.in)), c.out),
    witness_debug_json: (c) => strictEqual(witnessDebugJson(witnessOf(c.in)), c.out),
    compare_witnesses: (c) => {
      const [ours, theirs] = [c.in.ours, c.in.theirs].map((side) => ({
        epochId: BigInt(side.epoch_id),
        merkleRoot: fromHex(side.merkle_root),
      }))
      const result = compareWitnesses(ours!, theirs!)
      deepStrictEqual("by" in result ? { [result.kind]: result.by.toString() } : result.kind, c.out)
    },
    equivocation_proof: (c) => {
      const proof = detectEquivocation(witnessOf(c.in.a), witnessOf(c.in.b), BigInt(c.in.at))
      strictEqual(proof === undefined ? null : toHex(equivocationBytes(proof)), c.out)
    },
    verify_hybrid: verifyHybrid,
    namespace_guard: (c) => {
      const guarded = { claimNamespaces: c.in.claim_namespaces, leafCount: c.in.leaf_count }
      strictEqual(
        verdict(() => guardNamespaces(guarded)),
        c.out,
      )
    },
    ww2_filter: (c) => deepStrictEqual(filterWitnessLeaves(c.in.leaves, c.in.namespaces, c.in.cohort_scopes), c.out),
    holding_claim: (c) => expectHex(holdingClaimBytes(holdingOf(c.in)), c.out),
    compress_request: (c) => expectHex(compressRequestBytes(compressOf(c.in)), c.out),
    relay_capacity: (c: { in: { capacity: CapacityCase; stream_id: string; epoch: string }; out: string }) =>
      expectHex(capacityCanonicalBytes(capacityOf(c.in.capacity), fromHex(c.in.stream_id), BigInt(c.in.epoch)), c.out),
    signed_claim: (c) => expectHex(signedClaimBytes(claimOf(c.in)), c.out),
    owner_binding: (c) => {
      const { user_owner = null, delegates_to = null, identity_occurrence = null } = c.in
      const fields = { userOwner: user_owner, delegatesTo: delegates_to, identityOccurrence: identity_occurrence }
      const binding = extractOwnerBindingForDestinationGate(fields)
      deepStrictEqual(binding === undefined ? null : c.in, c.out)
      if (binding !== undefined) deepStrictEqual(binding, fields)
    },
    grant_body: (c) => {
      const body = {
        granter: c.in.granter,
        grantee: c.in.grantee,
        grantedAtUnixMs: BigInt(c.in.granted_at_unix_ms),
        chainDepth: c.in.chain_depth,
        weight: c.in.weight,
        expiresAtUnixMs: BigInt(c.in.expires_at_unix_ms),
      }
      expectHex(trustGrantBytes(body), c.out)
      deepStrictEqual(readTrustGrant(fromHex(c.out)), body)
    },
    revoke_body: (c) => {
      const body = { granter: c.in.granter, grantee: c.in.grantee, revokedAtUnixMs: BigInt(c.in.revoked_at_unix_ms) }
      expectHex(trustRevokeBytes(body), c.out)
      deepStrictEqual(readTrustRevoke(fromHex(c.out)), body)
    },
    consent_body: (c) => {
      const body = {
        contentId: c.in.content_id,
        corpusKind: c.in.corpus_kind,
        state: c.in.state,
        atUnixMs: BigInt(c.in.at_unix_ms),
        expiresAtUnixMs: BigInt(c.in.expires_at_unix_ms),
      }
      expectHex(consentBytes(body), c.out)
      deepStrictEqual(readConsent(fromHex(c.out)), body)
    },
    aggregation_meta: (c) => expectHex(aggregationMetaBytes(metaOf(c.in)), c.out),
    member_commitment: (c) => {
      expectHex(memberCommitment(c.in), c.out.root)
      deepStrictEqual(descendOrder(c.in), c.out.order)
    },
    mass: (c) => {
      const fixed = (c.in.masses as number[]).map(massToFixed)
      deepStrictEqual(fixed.map(String), c.out.fixed)
      expectHex(massCommitment(fixed.map((mass, i) => [c.in.ids[i], mass])), c.out.commitment)
      strictEqual(effectiveSourceCount(c.in.masses), c.out.n_eff_float)
      strictEqual(Number(effectiveCount(fixed)), c.out.n_eff_fixed)
    },
    gates: (c) => {
      const { version, source_count: sourceCount, n_eff: nEff, max_source_multiplicity: maxSourceMultiplicity } = c.in
      const meta = { version, sourceCount, nEff, maxSourceMultiplicity }
      strictEqual(passesDominanceGate(meta, INGEST_DOMINANCE), c.out.dominance)
      strictEqual(passesMultiplicityGate(meta, c.in.n_min), c.out.multiplicity)
    },
    probe_digest: (c) => {
      const { nonce, content_id, symbol_id, bytes } = c.in
      expectHex(probeDigest(fromHex(nonce), content_id, symbol_id, fromHex(bytes)), c.out)
    },
    challenge_body: (c) => expectHex(bootstrapChallengeBytes(fromHex(c.in.nonce), c.in.peer_id), c.out),
    eject_rank: (c) => expectHex(ejectionRank(c.in.content_id, c.in.symbol_id, c.in.peer_id), c.out),
  },
  "holonomic-public": {
    domain_separators: (c) => {
      if (c.agg_meta_v1_hex !== undefined) {
        expectHex(separator("aggregation"), c.agg_meta_v1_hex)
        strictEqual(separator("aggregation").length, c.agg_meta_v1_len)
        return
      }
      expectHex(separator("witness"), c.witness_preimage_v1_hex)
      expectHex(separator("signedClaim"), c.signed_claim_v1_hex)
      expectHex(separator("holdingClaim"), c.holding_claim_v1_hex)
      expectHex(separator("compressRequest"), c.compress_request_v1_hex)
    },
    schema_versions: (c) =>
      deepStrictEqual(c, {
        witness_version: WITNESS_VERSION,
        claim_version: CLAIM_VERSION,
        holding_claim_version: HOLDING_CLAIM_VERSION,
        compress_request_version: COMPRESS_REQUEST_VERSION,
        max_witness_chain_len: MAX_WITNESS_CHAIN_LENGTH,
      }),
    merkle_root: (c) => expectHex(merkleRoot(c.leaves_hex.map((leaf: string) => fromHex(leaf))), c.expected_root_hex),
    wholeness_witness: (c) => expectCanonical(witnessPreimage(witnessOf(c)), c),
    signed_claim: (c) => expectCanonical(signedClaimBytes(claimOf(c)), c),
    fountain_holding_claim: (c) => expectCanonical(holdingClaimBytes(holdingOf(c)), c),
    fountain_compress_request: (c) => expectCanonical(compressRequestBytes(compressOf(c)), c),
    member_commitment: (c) => expectHex(memberCommitment(c.source_member_ids), c.expected_commitment_hex),
    aggregation_meta: (c) => {
      expectHex(memberCommitment(c.source_member_ids), c.member_commitment_hex)
      expectCanonical(aggregationMetaBytes(metaOf(c)), c)
    },
  },
}
