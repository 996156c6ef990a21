/** Folds items into one composite and signs what it says about them. The fountain codec must be loaded (`initFountain`). */
import type { IdentitySigner } from "../../identity/index.ts"
import { toBase64, toHex } from "../../wire/bytes.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"
import type { ContentSymbol } from "../content/admission.ts"
import { makeContent } from "../content/make.ts"
import type { SignedManifest } from "../content/manifest.ts"
import type { FountainPolicy } from "../retention/policy.ts"
import { type FoldAlgorithm, foldMembers, isErasing } from "./fold.ts"
import type { SignedAggregationMeta } from "./gate.ts"
import { effectiveCount, type FixedMass, massCommitment, massToFixed } from "./mass.ts"
import { type AggregationMeta, aggregationMetaBytes, memberCommitment } from "./meta.ts"
import { contentMultiplicity } from "./multiplicity.ts"
import { AGGREGATE_PREFIX, type AggregationRecord, aggregationMetaEnvelope } from "./record.ts"

interface FoldOptions {
  /** The composite's own content id. */
  compositeId: string
  /** The content this pyramid is for. */
  pyramidId: string
  /** Of the items; the composite's is `aggregate:` and this. */
  corpusKind: string
  /** 1 folds individual items. */
  level: number
  algorithm: FoldAlgorithm
  className: string
  policy?: FountainPolicy
}

export interface MadeFold {
  manifest: SignedManifest
  symbols: ContentSymbol[]
  record: AggregationRecord
  proof: SignedAggregationMeta
}

/**
 * @param members at least two, each with its content id
 * @throws AvError `UsageError` when a single member could still be made out of the composite (D28); `NoMembers`, `EmptyMember`,
 * and what `makeContent` raises
 */
export async function makeFold(
  members: readonly { contentId: string; payload: Bytes }[],
  options: FoldOptions,
  signer: IdentitySigner,
): Promise<MadeFold> {
  const { compositeId, corpusKind, algorithm } = options
  const payloads = members.map(({ payload }) => payload)
  const composite = foldMembers(algorithm, payloads)
  if (members.length < 2 || !isErasing(payloads, composite)) throw new AvError("UsageError", { why: "a member shows through" })
  const keys = { ed25519: signer.entityId, mlDsa65: signer.mlDsaPublicKey }
  const content = await makeContent(
    { contentId: compositeId, corpusKind: AGGREGATE_PREFIX + corpusKind },
    composite,
    { className: options.className, authorities: [], aggregator: keys, application: new Uint8Array(0) },
    signer,
    options.policy,
  )
  const meta = metaOf(members, options)
  const bytes = aggregationMetaBytes(meta)
  const { ed, pq } = await signer.signHybrid(bytes)
  return {
    ...content,
    record: {
      aggregateContentId: compositeId,
      sourceCorpusKind: corpusKind,
      aggregationLevel: options.level,
      fanIn: members.length,
      memberCommitment: toHex(meta.memberCommitment),
      aggregationMeta: aggregationMetaEnvelope(bytes, ed, pq),
    },
    proof: { meta, signatureEd25519Base64: toBase64(ed), signatureMlDsa65Base64: toBase64(pq) },
  }
}

function metaOf(members: readonly { contentId: string; payload: Bytes }[], options: FoldOptions): AggregationMeta {
  const { masses, maxSourceMultiplicity } = contentMultiplicity(members.map(({ payload }) => payload))
  const smallest = masses.reduce((least, mass) => (mass > 0 && mass < least ? mass : least), 1)
  // Shares are scaled up, so that the smallest is not rounded away (D29).
  const fixed = masses.map((mass, i): FixedMass => [members[i]!.contentId, massToFixed(mass / smallest)])
  const ids = members.map(({ contentId }) => contentId)
  return {
    version: 3,
    contentId: options.pyramidId,
    corpusKind: options.corpusKind,
    tier: options.level,
    aggregationAlgorithmId: options.algorithm,
    sourceCount: members.length,
    memberCommitment: memberCommitment(ids),
    noiseFloorDescriptor: "residual<=1/64",
    nEff: Number(effectiveCount(fixed.map(([, mass]) => mass))),
    maxSourceMultiplicity,
    massCommitment: massCommitment(fixed),
  }
}
