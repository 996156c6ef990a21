/** Runs the sections of holonomic vectors on what is kept: manifests, rarity, plans, tiers, trust, folds, survival. */
import { deepStrictEqual, ok, strictEqual } from "node:assert"
import { retentionPriority } from "../../src/fountain/config.ts"
import {
  type AdmissionVerdict,
  bootstrapLinked,
  classify,
  computeDecayTier,
  consentAwareRarity,
  contentMultiplicity,
  type DecayThresholds,
  ejectionVerdict,
  type FountainManifest,
  foldMembers,
  headroomLevel,
  keepCount,
  type LinkedVerdict,
  manifestBytes,
  manifestHash,
  rarityScore,
  recursiveTrustBootstrap,
  recursiveTrustBootstrapTrustServe,
  retentionPlan,
  shouldEjectAboveTarget,
  survivalDistinct,
  survivalIndependent,
  survivors,
} from "../../src/holonomic/index.ts"
import { fromHex, toHex } from "../../src/wire/bytes.ts"
import { isAvError } from "../../src/wire/errors.ts"
import type { RunnerTable } from "../types.ts"

interface Refused {
  error: string
  details: Readonly<Record<string, unknown>>
}

/** The answer, or the error. */
function answer<T>(run: () => T): T | Refused {
  try {
    return run()
  } catch (error) {
    if (isAvError(error)) return { error: error.code, details: error.details }
    throw error
  }
}

/** A case writes an error as its name, or as an object with the name and perhaps some of its fields. */
function expectError({ error, details }: Refused, expected: unknown): void {
  const wanted = typeof expected === "object" && expected !== null ? expected : { error: expected }
  deepStrictEqual(Object.fromEntries(Object.keys(wanted).map((name) => [name, name === "error" ? error : details[name]])), wanted)
}

// biome-ignore lint/suspicious/noExplicitAny: foreign JSON
function manifestOf(c: any): FountainManifest {
  return {
    manifestVersion: c.manifest_version,
    contentId: c.content_id,
    corpusKind: c.corpus_kind,
    nSource: c.n_source,
    kRepair: c.k_repair,
    symbolSize: c.symbol_size,
    originalContentLength: BigInt(c.original_content_length),
    minViableSymbols: c.min_viable_symbols,
    symbolHashes: c.symbol_hashes,
    envelope: fromHex(c.envelope_hex),
  }
}

// biome-ignore lint/suspicious/noExplicitAny: foreign JSON
function rarity(c: any): void {
  // biome-ignore lint/suspicious/noExplicitAny: foreign JSON
  const judged = c.in.claims.map(([claim, verification]: any) => ({
    claim: { peerId: claim.peer_id, contentId: claim.content_id, symbolIds: claim.symbol_ids },
    verification,
  }))
  // biome-ignore lint/suspicious/noExplicitAny: foreign JSON
  const claims = judged.map(({ claim }: any) => claim)
  // biome-ignore lint/suspicious/noExplicitAny: foreign JSON
  const answers = c.in.queries.map((query: any) => {
    const [contentId, symbolId, consent] = Array.isArray(query) ? query : [query.content_id, query.symbol_id, query.consent]
    const verdict = consentAwareRarity(contentId, symbolId, judged, consent)
    const aware = verdict.kind === "RetainRare" ? { RetainRare: verdict.weight } : { EvictEligible: verdict.reason }
    return { score: rarityScore(contentId, symbolId, claims), consent_aware: aware }
  })
  deepStrictEqual(answers, c.out)
}

// biome-ignore lint/suspicious/noExplicitAny: foreign JSON
function graphOf(c: any) {
  return {
    roots: c.roots,
    // biome-ignore lint/suspicious/noExplicitAny: foreign JSON
    grants: c.grants.map((one: any) => ({
      granterPeerId: one.granter_peer_id,
      granteePeerId: one.grantee_peer_id,
      grantedAtUnixMs: BigInt(one.granted_at_unix_ms),
      chainDepth: one.chain_depth,
      // Old grants have no weight: it was always the full one.
      weight: one.weight ?? 255,
    })),
    maxChainDepth: c.max_chain_depth,
  }
}

// biome-ignore lint/suspicious/noExplicitAny: foreign JSON
const signerOf = (c: any) => ({ signerPeerId: c.signer_peer_id, verified: c.verified })

function verdictJson(verdict: AdmissionVerdict | LinkedVerdict): unknown {
  if (verdict.kind === "Refuse") return { Refuse: { reason: verdict.reason } }
  const admit = {
    AdmitTrustServe: { trust_distance: verdict.trustDistance, anchored_to_root: verdict.anchoredToRoot },
  }
  return "standing" in verdict ? { ...admit, standing: verdict.standing } : admit
}

export const runners: RunnerTable = {
  holonomic: {
    manifest: (c) => {
      const manifest = manifestOf(c.in)
      deepStrictEqual({ preimage: toHex(manifestBytes(manifest)), hash: toHex(manifestHash(manifest)) }, c.out)
    },
    rarity,
    eject: (c) => {
      const { holders, target, consent, rarity: score } = c.in
      strictEqual(shouldEjectAboveTarget(holders, { targetHolders: target }, consent, score), c.out)
    },
    retention_plan: (c) => {
      const { policy, holdings, ...rest } = c.in
      const { n_source: nSource, k_repair: kRepair, target_holders: targetHolders } = policy
      const plan = retentionPlan({ ...rest, policy: { nSource, kRepair, targetHolders }, holdings: new Map(holdings) })
      deepStrictEqual(plan, c.out)
    },
    retention_priority: (c: { in: [number, number, number]; out: number }) => strictEqual(retentionPriority(...c.in), c.out),
    keep_count: (c) => {
      const [tier, nSource, kRepair, minViableSymbols] = c.in
      strictEqual(keepCount(tier, { nSource, kRepair, minViableSymbols }), c.out)
    },
    evict_to_tier: (c) => {
      const { n: nSource, k: kRepair, v: minViableSymbols, tier } = c.in
      const present = (c.in.present as [number, number][]).map(([symbolId, priority]) => ({ symbolId, priority }))
      deepStrictEqual(survivors(present, keepCount(tier, { nSource, kRepair, minViableSymbols })), c.out)
    },
    classify: (c: { in: [number, number, number]; out: string }) => strictEqual(classify(...c.in), c.out),
    headroom: (c: { in: [number, number]; out: string }) => strictEqual(headroomLevel(...c.in), c.out),
    decay_tier: (c) => {
      const { admitted, revoked, cls, now } = c.in
      const [full, t2, t3, t4, envelopeOnly] = cls
      const thresholds: DecayThresholds = { full, t2, t3, t4, envelopeOnly }
      const revokedAtUnixMs = revoked === null ? null : BigInt(revoked)
      strictEqual(computeDecayTier({ admittedAtUnixMs: BigInt(admitted), revokedAtUnixMs, thresholds }, BigInt(now)), c.out)
    },
    bootstrap_walk: (c) => {
      const input = [signerOf(c.in.candidate), graphOf(c.in.graph), c.in.chain.claims.map(signerOf)] as const
      deepStrictEqual(verdictJson(recursiveTrustBootstrapTrustServe(...input)), c.out)
      deepStrictEqual(verdictJson(recursiveTrustBootstrap(...input)), c.out)
    },
    bootstrap_linked: (c) => {
      const { candidate, graph, claims, revokes, now, fresh } = c.in
      const verdict = bootstrapLinked({
        candidate: signerOf(candidate),
        fresh: fresh ?? true,
        graph: graphOf(graph),
        // biome-ignore lint/suspicious/noExplicitAny: foreign JSON
        chain: claims.map((one: any) => ({
          ...signerOf(one),
          claimKind: one.claim_kind,
          claimVersion: one.claim_version ?? 1,
          claimBytes: fromHex(one.claim_bytes_hex),
        })),
        // biome-ignore lint/suspicious/noExplicitAny: foreign JSON
        revokes: revokes.map((one: any) => ({
          granter: one.granter,
          grantee: one.grantee,
          revokedAtUnixMs: BigInt(one.revoked_at_unix_ms),
        })),
        nowUnixMs: BigInt(now),
      })
      deepStrictEqual(verdictJson(verdict), c.out)
    },
    multiplicity: (c) => {
      const found = answer(() => contentMultiplicity((c.in as string[]).map((member) => fromHex(member))))
      if ("error" in found) return expectError(found, c.out)
      const { masses, maxSourceMultiplicity } = found
      deepStrictEqual({ masses, max_source_multiplicity: maxSourceMultiplicity }, c.out)
    },
    fold: (c) => {
      const found = answer(() =>
        foldMembers(
          c.in.op,
          (c.in.members as string[]).map((member) => fromHex(member)),
        ),
      )
      if ("error" in found) return expectError(found, c.out)
      strictEqual(toHex(found), c.out)
    },
    ejection_verdict: (c: { in: [Parameters<typeof ejectionVerdict>[0], boolean]; out: string }) =>
      strictEqual(ejectionVerdict(...c.in), c.out),
    survival: (c) => {
      const [total, holders, need, availability] = c.in
      const near = (mine: number, theirs: string) => ok(Math.abs(mine - Number(theirs)) < 1e-9, `${mine} is not ${theirs}`)
      near(survivalIndependent(holders, need, availability), c.out.independent)
      near(survivalDistinct(total, holders, need, availability), c.out.distinct)
    },
  },
}
