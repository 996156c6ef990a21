/** Folds between peers: composites come with their records, and whoever still has the items lets them descend. */

import { sha256Sync } from "../../crypto/index.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes, Milliseconds } from "../../wire/types.ts"
import type { MadeFold } from "../aggregation/make-fold.ts"
import { aggregationMetaBytes } from "../aggregation/meta.ts"
import { decodeAggregationMeta } from "../aggregation/meta-codec.ts"
import { AGGREGATE_PREFIX } from "../aggregation/record.ts"
import type { ContentRef, SignedManifest } from "../content/manifest.ts"
import type { NodeContext } from "./context.ts"
import type { HoloMessageOf } from "./messages.ts"

export class FoldGossip {
  readonly #context: NodeContext
  readonly #mayFold: (corpusKind: string) => boolean

  /** @param mayFold kinds of items that anybody may fold: it takes the items away from everybody */
  constructor(context: NodeContext, mayFold: (corpusKind: string) => boolean) {
    this.#context = context
    this.#mayFold = mayFold
  }

  /**
   * A composite of somebody else. The caller has seen that it is wanted and not revoked.
   * @returns true when it is new here
   * @throws AvError `NotAllowed` for items of a kind that is not folded
   */
  async take(manifest: SignedManifest, message: HoloMessageOf<"holo.agg">, nowMs: Milliseconds): Promise<boolean> {
    const { aggregateContentId, sourceCorpusKind, aggregationLevel, fanIn, memberCommitment, aggregationMeta } = message
    if (!this.#mayFold(sourceCorpusKind)) throw new AvError("NotAllowed", { right: "fold" })
    const record = { aggregateContentId, sourceCorpusKind, aggregationLevel, fanIn, memberCommitment, aggregationMeta }
    const proof = decodeAggregationMeta(aggregationMeta)
    const added = await this.#context.shelf.putFold(
      { manifest, symbols: [], record, proof },
      { own: false, nowUnixMs: at(nowMs) },
    )
    if (message.sources !== undefined) await this.#descend(aggregateContentId, sourceCorpusKind, message.sources, nowMs)
    return added
  }

  /** Stores a fold of one's own and lets its items descend. Gives the hash that the claim about it names. */
  async put(fold: MadeFold, sources: readonly string[], nowMs: Milliseconds): Promise<Bytes> {
    await this.#context.shelf.putFold(fold, { own: true, nowUnixMs: at(nowMs) })
    await this.#descend(fold.record.aggregateContentId, fold.record.sourceCorpusKind, sources, nowMs)
    return sha256Sync(aggregationMetaBytes(fold.proof.meta))
  }

  /** The items keep their manifests and lose their symbols. A list that is not the one that was folded changes nothing. */
  async #descend(id: string, corpusKind: string, sources: readonly string[], nowMs: Milliseconds): Promise<void> {
    const refs: ContentRef[] = sources.map((contentId) => ({ contentId, corpusKind }))
    const options = { consent: "Active", underPressure: true, targetTier: "T5", nowUnixMs: at(nowMs) } as const
    await this.#context.shelf.folds.descendAggregatedSources(id, refs, options)
    const ref = { contentId: id, corpusKind: AGGREGATE_PREFIX + corpusKind }
    this.#context.emit({ type: "folded", ref, sources: refs.length })
  }
}

function at(nowMs: Milliseconds): bigint {
  return BigInt(Math.floor(nowMs))
}
