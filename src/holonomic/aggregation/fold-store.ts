/** Folds and their sources in the store: composites come in through the gate, sources descend, and the composite is never touched by that. */
import { type HoloStorage, holoKey, holoKeyParts, keyNumber } from "../../store/holo/storage.ts"
import { compareUtf8, equalBytes, fromHex } from "../../wire/bytes.ts"
import { AvError, isAvError } from "../../wire/errors.ts"
import type { Bytes, U64 } from "../../wire/types.ts"
import type { ContentSymbol } from "../content/admission.ts"
import type { ContentStore, PutOptions } from "../content/content-store.ts"
import type { ContentRef, SignedManifest } from "../content/manifest.ts"
import { type ConsentState, ejectionVerdict } from "../retention/rarity.ts"
import type { RetentionTier } from "../retention/tiers.ts"
import { checkAggregation, type SignedAggregationMeta } from "./gate.ts"
import { descendOrder, memberCommitment } from "./meta.ts"
import {
  AGGREGATE_PREFIX,
  type AggregationRecord,
  decodeAggregation,
  encodeAggregation,
  type StoredAggregation,
} from "./record.ts"

/** Items folded into one. */
const FOLD_FAN_IN = 16
const LEVEL_DIGITS = 10
const TIME_DIGITS = 20

interface DescentOptions {
  consent: ConsentState
  underPressure: boolean
  targetTier?: RetentionTier
  /** For a hard delete: when, and by which claim. */
  nowUnixMs: U64
  revocation?: Bytes
}

export class FoldStore {
  readonly #contents: ContentStore
  readonly #storage: HoloStorage

  constructor(contents: ContentStore) {
    this.#contents = contents
    this.#storage = contents.storage
  }

  /**
   * Admits a composite with its record, in one batch. The same again changes nothing.
   * @throws AvError as `ContentStore.put` and `checkAggregation`; `AggregationConflict` for another record of this id
   */
  async putAggregatedTier(
    manifest: SignedManifest,
    symbols: readonly ContentSymbol[],
    record: AggregationRecord,
    proof: SignedAggregationMeta,
    options: Omit<PutOptions, "also">,
  ): Promise<void> {
    await this.#contents.put(manifest, symbols, {
      ...options,
      also: async (envelope) => {
        await checkAggregation(manifest, envelope, record, proof)
        const known = await this.getAggregation(record.aggregateContentId)
        if (known !== undefined) {
          const again = encodeAggregation({ ...record, aggregatedAtUnixMs: known.aggregatedAtUnixMs })
          if (!equalBytes(again, encodeAggregation(known))) throw new AvError("AggregationConflict")
          return []
        }
        const stored = { ...record, aggregatedAtUnixMs: options.nowUnixMs }
        return [
          { put: [holoKey("agg", record.aggregateContentId), encodeAggregation(stored)] },
          { put: [levelKey(stored), new Uint8Array(0)] },
        ]
      },
    })
  }

  async getAggregation(aggregateContentId: string): Promise<StoredAggregation | undefined> {
    const bytes = await this.#storage.get(holoKey("agg", aggregateContentId))
    return bytes && decodeAggregation(bytes)
  }

  /** The oldest first, equal ones by id. */
  async listAggregationsAtLevel(level: number, limit: number): Promise<StoredAggregation[]> {
    if (!Number.isInteger(level) || level < 0 || limit <= 0) return []
    const keys = await this.#storage.list(`${holoKey("agg-level", keyNumber(level, LEVEL_DIGITS))}/`)
    const places = keys.flatMap((key) => {
      const [, at, id] = holoKeyParts(key, "agg-level") ?? []
      return at === undefined || id === undefined ? [] : [{ at, id }]
    })
    // Keys are encoded, which changes the order of ids.
    places.sort((a, b) => compareUtf8(a.at, b.at) || compareUtf8(a.id, b.id))
    const found: StoredAggregation[] = []
    for (const { id } of places.slice(0, limit)) {
      const record = await this.getAggregation(id)
      if (record !== undefined) found.push(record)
    }
    return found
  }

  /**
   * Lets the sources of a fold give up their own symbols. Gives how many went.
   * @throws AvError `AggregationNotFound`, `MemberCommitmentMismatch` (another list deletes nothing), `SourceCountMismatch`,
   * `DuplicateSource`, `AggregationShapeMismatch` (a source of another kind), `HardDeleteFailed`
   */
  async descendAggregatedSources(
    aggregateContentId: string,
    sources: readonly ContentRef[],
    options: DescentOptions,
  ): Promise<number> {
    const record = await this.getAggregation(aggregateContentId)
    if (record === undefined) throw new AvError("AggregationNotFound")
    requireSources(record, sources)
    const verdict = ejectionVerdict(options.consent, options.underPressure)
    const { targetTier } = options
    if (verdict === "Keep") return 0
    if (verdict === "EjectToTier" && (targetTier === undefined || targetTier === "Full" || targetTier === "HardDelete")) return 0
    const byId = new Map(sources.map((source) => [source.contentId, source]))
    let evicted = 0
    for (const id of descendOrder([...byId.keys()])) {
      const source = byId.get(id)!
      if (verdict === "EjectHardDelete") {
        evicted += (await this.#contents.symbolIds(source)).length
        const { nowUnixMs: atUnixMs, revocation } = options
        await this.#contents.hardDelete(source, revocation === undefined ? { atUnixMs } : { atUnixMs, revocation })
      } else if (!(await this.#contents.isRevoked(source))) {
        // Also one that is not here yet: when its manifest comes, it is known where it went.
        await this.#contents.markFolded(source, aggregateContentId)
        evicted += await this.#contents.evictToTier(source, targetTier!)
      }
    }
    return evicted
  }

  /** Drops the symbols of one composite of that level and keeps its manifest. Gives how many went. */
  async evictAggregatedTier(aggregateContentId: string, level: number): Promise<number> {
    const record = await this.getAggregation(aggregateContentId)
    if (record === undefined || record.aggregationLevel !== level) return 0
    const corpusKind = AGGREGATE_PREFIX + record.sourceCorpusKind
    return this.#contents.evictToTier({ contentId: aggregateContentId, corpusKind }, "T5")
  }

  /** For a composite that must go with one of its items: deletes it for good, and its record. See `survivesRevocation`. */
  async deleteComposite(aggregateContentId: string, options: { atUnixMs: U64; revocation?: Bytes }): Promise<void> {
    const record = await this.getAggregation(aggregateContentId)
    if (record === undefined) throw new AvError("AggregationNotFound")
    const corpusKind = AGGREGATE_PREFIX + record.sourceCorpusKind
    await this.#contents.hardDelete({ contentId: aggregateContentId, corpusKind }, options)
    await this.#storage.batch([{ del: levelKey(record) }, { del: holoKey("agg", aggregateContentId) }])
  }
}

/** The oldest items of a level that are to be folded now: `fanIn` of them as soon as there are twice as many (D28). */
export function foldDue<T extends { atUnixMs: U64; contentId: string }>(unfolded: readonly T[], fanIn = FOLD_FAN_IN): T[] {
  if (unfolded.length < 2 * fanIn) return []
  const first = descendOrder(unfolded.map(({ contentId }) => contentId))
  const place = new Map(first.map((id, i) => [id, i]))
  const older = (a: T, b: T) => (a.atUnixMs < b.atUnixMs ? -1 : a.atUnixMs > b.atUnixMs ? 1 : 0)
  return unfolded.toSorted((a, b) => older(a, b) || place.get(a.contentId)! - place.get(b.contentId)!).slice(0, fanIn)
}

function requireSources(record: StoredAggregation, sources: readonly ContentRef[]): void {
  const ids = sources.map(({ contentId }) => contentId)
  if (!commits(record.memberCommitment, ids)) throw new AvError("MemberCommitmentMismatch")
  if (sources.length !== record.fanIn) throw new AvError("SourceCountMismatch", { got: sources.length, need: record.fanIn })
  if (new Set(ids).size !== ids.length) throw new AvError("DuplicateSource")
  if (sources.some(({ corpusKind }) => corpusKind !== record.sourceCorpusKind)) throw new AvError("AggregationShapeMismatch")
}

function commits(commitment: string, ids: readonly string[]): boolean {
  try {
    return equalBytes(memberCommitment(ids), fromHex(commitment))
  } catch (error) {
    if (isAvError(error)) return false
    throw error
  }
}

function levelKey({ aggregationLevel, aggregatedAtUnixMs, aggregateContentId }: StoredAggregation): string {
  const at = keyNumber(aggregatedAtUnixMs, TIME_DIGITS)
  return holoKey("agg-level", keyNumber(aggregationLevel, LEVEL_DIGITS), at, aggregateContentId)
}
