/** The contents a peer knows, with their manifests in memory, over the stores that keep them. */
import { sha256Sync } from "../../crypto/index.ts"
import { type HoloStorage, holoKey, holoKeyParts } from "../../store/holo/storage.ts"
import { toHex, utf8Decode } from "../../wire/bytes.ts"
import { AvError, isAvError } from "../../wire/errors.ts"
import type { Bytes, Milliseconds, PeerKeyId } from "../../wire/types.ts"
import { FoldStore } from "../aggregation/fold-store.ts"
import type { MadeFold } from "../aggregation/make-fold.ts"
import { META_SIGNATURES_LENGTH } from "../aggregation/record.ts"
import type { ContentSymbol } from "../content/admission.ts"
import { consentAuthorities } from "../content/consent.ts"
import { ContentStore, type PutOptions } from "../content/content-store.ts"
import { type ContentEnvelope, decodeEnvelope } from "../content/envelope.ts"
import { type ContentRef, manifestHash, type SignedManifest } from "../content/manifest.ts"
import { decodeTombstone } from "../content/records.ts"
import type { LiveFacts } from "./durable.ts"

/** Contents of one mesh: their manifests are never dropped for lack of room. */
const MAX_CONTENTS = 20_000
/** Hashes of deleted manifests that are remembered in memory. */
const MAX_GONE = 20_000

export interface ShelfItem {
  ref: ContentRef
  manifest: SignedManifest
  /** Hex. */
  hash: string
  envelope: ContentEnvelope
  /** Whose consent and revocation count. */
  authorities: ReadonlySet<PeerKeyId>
  own: boolean
}

export class ContentShelf implements LiveFacts {
  readonly store: ContentStore
  readonly folds: FoldStore
  readonly #storage: HoloStorage
  readonly #items = new Map<string, ShelfItem>()
  readonly #byHash = new Map<string, ShelfItem>()
  readonly #byId = new Map<string, ShelfItem[]>()
  readonly #aggregations = new Set<string>()
  readonly #gone = new Set<string>()

  private constructor(storage: HoloStorage, store: ContentStore) {
    this.#storage = storage
    this.store = store
    this.folds = new FoldStore(store)
  }

  /** @param options of the store beneath */
  static async open(storage: HoloStorage, options: Parameters<typeof ContentStore.open>[1] = {}): Promise<ContentShelf> {
    const shelf = new ContentShelf(storage, await ContentStore.open(storage, options))
    for (const ref of await shelf.store.contents()) {
      const [manifest, record] = [await shelf.store.manifest(ref), await shelf.store.record(ref)]
      if (manifest !== undefined) shelf.#remember(manifest, record?.own ?? false)
    }
    for (const key of await storage.list("holo/tombstone/")) {
      const bytes = await storage.get(key)
      if (bytes !== undefined) shelf.#forgetHash(toHex(decodeTombstone(bytes).manifestHash))
    }
    for (const key of await storage.list("holo/agg/")) {
      const id = holoKeyParts(key, "agg")?.[0]
      if (id !== undefined) await shelf.refreshAggregation(id)
    }
    return shelf
  }

  items(): ShelfItem[] {
    return [...this.#items.values()]
  }

  get(ref: ContentRef): ShelfItem | undefined {
    return this.#items.get(keyOf(ref))
  }

  byHash(hash: string): ShelfItem | undefined {
    return this.#byHash.get(hash)
  }

  /** Holding claims name the id alone. */
  byId(contentId: string): ShelfItem[] {
    return this.#byId.get(contentId) ?? []
  }

  holdsManifest(hash: string): boolean {
    return this.#byHash.has(hash)
  }

  holdsAggregation(hash: string): boolean {
    return this.#aggregations.has(hash)
  }

  /** The manifest was here and is deleted for good. */
  isGone(hash: string): boolean {
    return this.#gone.has(hash)
  }

  /** As `ContentStore.put`. @returns true when the content was not known */
  async put(manifest: SignedManifest, symbols: readonly ContentSymbol[], options: PutOptions): Promise<boolean> {
    const known = this.#items.has(keyOf(manifest))
    if (!known && this.#items.size >= MAX_CONTENTS) throw new AvError("LimitExceeded", { what: "contents" })
    await this.store.put(manifest, symbols, options)
    if (!known) this.#remember(manifest, options.own)
    return !known
  }

  /** As `FoldStore.putAggregatedTier`. @returns true when the composite was not known */
  async putFold({ manifest, symbols, record, proof }: MadeFold, options: Omit<PutOptions, "also">): Promise<boolean> {
    const known = this.#items.has(keyOf(manifest))
    if (!known && this.#items.size >= MAX_CONTENTS) throw new AvError("LimitExceeded", { what: "contents" })
    await this.folds.putAggregatedTier(manifest, symbols, record, proof, options)
    if (!known) this.#remember(manifest, options.own)
    await this.refreshAggregation(record.aggregateContentId)
    return !known
  }

  /** What of a content is here now. */
  symbolIds(ref: ContentRef): Promise<number[]> {
    return this.store.symbolIds(ref)
  }

  /** Deletes for good; from here on nothing of it is served, announced or counted. */
  async remove(item: ShelfItem, revocation: Bytes, nowMs: Milliseconds): Promise<boolean> {
    this.#items.delete(keyOf(item.ref))
    this.#byHash.delete(item.hash)
    const left = this.byId(item.ref.contentId).filter((one) => one !== item)
    if (left.length > 0) this.#byId.set(item.ref.contentId, left)
    else this.#byId.delete(item.ref.contentId)
    this.#forgetHash(item.hash)
    try {
      await this.store.hardDelete(item.ref, { atUnixMs: BigInt(Math.floor(nowMs)), revocation })
      return true
    } catch (error) {
      if (isAvError(error, "HardDeleteFailed")) return false
      throw error
    }
  }

  /** A fold came or went. */
  async refreshAggregation(aggregateContentId: string): Promise<void> {
    const record = await this.folds.getAggregation(aggregateContentId)
    if (record !== undefined) this.#aggregations.add(aggregationHash(record.aggregationMeta))
  }

  forgetAggregation(aggregationMeta: Bytes): void {
    this.#aggregations.delete(aggregationHash(aggregationMeta))
  }

  /** Its symbols have gone into a composite. */
  async isFolded({ corpusKind, contentId }: ContentRef): Promise<boolean> {
    return (await this.#storage.get(holoKey("folded", corpusKind, contentId))) !== undefined
  }

  /** Contents that say they live on in this composite. */
  async foldedInto(aggregateContentId: string): Promise<ContentRef[]> {
    const found: ContentRef[] = []
    for (const key of await this.#storage.list("holo/folded/")) {
      const bytes = await this.#storage.get(key)
      const [corpusKind, contentId] = holoKeyParts(key, "folded") ?? []
      if (bytes === undefined || corpusKind === undefined || contentId === undefined) continue
      if (utf8Decode(bytes) === aggregateContentId) found.push({ contentId, corpusKind })
    }
    return found
  }

  #remember(manifest: SignedManifest, own: boolean): void {
    const { contentId, corpusKind } = manifest
    const envelope = decodeEnvelope(manifest.envelope)
    const item: ShelfItem = {
      ref: { contentId, corpusKind },
      manifest,
      hash: toHex(manifestHash(manifest)),
      envelope,
      authorities: consentAuthorities(envelope),
      own,
    }
    this.#items.set(keyOf(item.ref), item)
    this.#byHash.set(item.hash, item)
    this.#byId.set(contentId, [...this.byId(contentId), item])
  }

  #forgetHash(hash: string): void {
    if (this.#gone.size >= MAX_GONE) this.#gone.delete(this.#gone.keys().next().value!)
    this.#gone.add(hash)
  }
}

/** What an `aggregation` claim names: SHA-256 of the signed bytes, which the record keeps together with both signatures. */
function aggregationHash(aggregationMeta: Bytes): string {
  return toHex(sha256Sync(aggregationMeta.subarray(0, Math.max(0, aggregationMeta.length - META_SIGNATURES_LENGTH))))
}

export function keyOf({ corpusKind, contentId }: ContentRef): string {
  return JSON.stringify([corpusKind, contentId])
}
