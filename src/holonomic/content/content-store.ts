/**
 * Keeps contents: nothing unverified is ever written, each change is one batch, and what is revoked stays gone.
 * One object per storage; changes wait for each other.
 */

import { hybridVerify } from "../../crypto/index.ts"
import { retentionPriority } from "../../fountain/config.ts"
import { type HoloStorage, holoKey, holoKeyParts, keyNumber, type StorageOp } from "../../store/holo/storage.ts"
import { equalBytes, utf8Decode, utf8Encode } from "../../wire/bytes.ts"
import { AvError, isAvError } from "../../wire/errors.ts"
import type { Bytes, U64 } from "../../wire/types.ts"
import { type HeadroomLevel, headroomLevel, isWorse } from "../retention/headroom.ts"
import { classify, keepCount, moreSevere, type ReadClass, type RetentionTier, severity, survivors } from "../retention/tiers.ts"
import { encodeSignedClaim } from "../trust/claim-codec.ts"
import type { SignedClaim, VerifyHybrid } from "../trust/verified.ts"
import { type ContentSymbol, checkAdmission } from "./admission.ts"
import { CONSENT_REVOKES, consentAuthorities, consentIn, resolveConsent } from "./consent.ts"
import { type ContentEnvelope, decodeEnvelope } from "./envelope.ts"
import { type ContentRef, manifestHash, type SignedManifest, verifySymbolAgainstManifest } from "./manifest.ts"
import { decodeManifest, encodeManifest } from "./manifest-codec.ts"
import {
  decodeTierRecord,
  decodeTombstone,
  encodeTierRecord,
  encodeTombstone,
  type TierRecord,
  type Tombstone,
} from "./records.ts"

export interface PutOptions {
  own: boolean
  nowUnixMs: U64
  /** Layer quality of the symbols; worse ones go first. Default 0. */
  svcQuality?: number
  /** Claims of consent known about this content. */
  consent?: readonly SignedClaim[]
  /** More to write in the same batch, decided when everything else is found good. */
  also?: (envelope: ContentEnvelope) => Promise<readonly StorageOp[]>
}

type ContentReading =
  | { state: "unknown" }
  | { state: "revoked"; tombstone: Tombstone | undefined }
  | {
      state: "held"
      manifest: SignedManifest
      readClass: ReadClass
      /** Ascending; none when the class is `EnvelopeOnly`. */
      symbols: { symbolId: number; bytes: Bytes }[]
      /** Content id of the aggregate in which it lives on. */
      foldedInto?: string
    }

/** A deletion that has not happened within this time is overdue. */
const DELETE_WITHIN_MS = 60_000n
const NO_HASH = new Uint8Array(32)
/** Manifests that are kept as they were read: every answer to somebody else needs one. */
const KEPT_MANIFESTS = 256

export class ContentStore {
  readonly storage: HoloStorage
  readonly #verify: VerifyHybrid
  /** Contents whose deletion was asked for: never announced, never served, whatever the storage still has. */
  readonly #revoked = new Map<string, Tombstone>()
  readonly #manifests = new Map<string, { bytes: Bytes; manifest: SignedManifest }>()
  #damaged = 0
  #tail: Promise<unknown> = Promise.resolve()
  #level: HeadroomLevel = "normal"

  private constructor(storage: HoloStorage, verify: VerifyHybrid) {
    this.storage = storage
    this.#verify = verify
  }

  /** Finishes the deletions that an earlier run began. Those that fail again are left for {@link retryDeletions}. */
  static async open(storage: HoloStorage, { verify = hybridVerify }: { verify?: VerifyHybrid } = {}): Promise<ContentStore> {
    const store = new ContentStore(storage, verify)
    for (const key of await storage.list("holo/revocation/")) {
      const record = await storage.get(key)
      if (record === undefined) continue
      const tombstone = decodeTombstone(record)
      store.#revoked.set(idOf(tombstone), tombstone)
    }
    await store.retryDeletions(0n)
    return store
  }

  /** Symbols found damaged and dropped. */
  get damagedSymbols(): number {
    return this.#damaged
  }

  /** Admits a content, or more symbols of one that is here; the first manifest and its time stay. Nothing is written on failure. */
  async put(manifest: SignedManifest, symbols: readonly ContentSymbol[], options: PutOptions): Promise<void> {
    // The very manifest that is here was verified when it came: more symbols of it need only their hashes.
    const verify = (await this.#isHere(manifest)) ? async () => true : this.#verify
    const envelope = await checkAdmission(manifest, symbols, verify)
    await this.#exclusive(async () => {
      if (await this.isRevoked(manifest)) throw new AvError("ContentRevoked")
      const { state } = resolveConsent(manifest, envelope, options.consent ?? [], options.nowUnixMs)
      if (state === "Revoked") throw new AvError("ContentRevoked")
      const known = await this.manifest(manifest)
      if (known !== undefined && !equalBytes(manifestHash(known), manifestHash(manifest))) throw new AvError("ManifestConflict")
      if (known === undefined && !options.own && !isWorse("stop", this.#level)) {
        throw new AvError("QuotaExceeded", { why: "no room for content of others" })
      }
      const ops: StorageOp[] = symbols.map(({ symbolId, bytes }) => ({ put: [symbolKey(manifest, symbolId), bytes] }))
      if (known === undefined) ops.push(...firstRecords(manifest, envelope, options))
      ops.push(...((await options.also?.(envelope)) ?? []))
      await this.#write(ops)
    })
  }

  /** What is here, every symbol checked again. Damaged symbols are dropped and counted, and the rest is judged without them. */
  async read(ref: ContentRef): Promise<ContentReading> {
    const stone = await this.storage.get(refKey("tombstone", ref))
    if (stone !== undefined) return { state: "revoked", tombstone: decodeTombstone(stone) }
    if (this.#revoked.has(idOf(ref))) return { state: "revoked", tombstone: undefined }
    const manifest = await this.manifest(ref)
    if (manifest === undefined) return { state: "unknown" }
    const found = []
    for (const symbolId of await this.symbolIds(ref)) {
      const bytes = await this.#symbol(manifest, symbolId)
      if (bytes !== undefined) found.push({ symbolId, bytes })
    }
    // It may have been revoked while the symbols were read.
    if (this.#revoked.has(idOf(ref))) return { state: "revoked", tombstone: undefined }
    const readClass = classify(found.length, manifest.nSource, manifest.minViableSymbols)
    const folded = await this.storage.get(refKey("folded", ref))
    return {
      state: "held",
      manifest,
      readClass,
      symbols: readClass === "EnvelopeOnly" ? [] : found,
      ...(folded && { foldedInto: utf8Decode(folded) }),
    }
  }

  /** One symbol for somebody who asks; undefined when it is not here, damaged, or revoked. */
  async symbol(ref: ContentRef, symbolId: number): Promise<Bytes | undefined> {
    if (await this.isRevoked(ref)) return undefined
    const manifest = await this.manifest(ref)
    const bytes = manifest && (await this.#symbol(manifest, symbolId))
    return this.#revoked.has(idOf(ref)) ? undefined : bytes
  }

  /** Undefined also for what is revoked. */
  async manifest(ref: ContentRef): Promise<SignedManifest | undefined> {
    if (this.#revoked.has(idOf(ref))) return undefined
    const bytes = await this.storage.get(refKey("manifest", ref))
    return bytes && this.#decoded(idOf(ref), bytes)
  }

  /** Contents with a manifest here, without those revoked: what may be announced and counted. */
  async contents(): Promise<ContentRef[]> {
    const keys = await this.storage.list("holo/manifest/")
    const refs = keys.flatMap((key) => {
      const [corpusKind, contentId] = holoKeyParts(key, "manifest") ?? []
      return corpusKind === undefined || contentId === undefined ? [] : [{ contentId, corpusKind }]
    })
    return refs.filter((ref) => !this.#revoked.has(idOf(ref)))
  }

  /** Ascending; none of what is revoked. */
  async symbolIds(ref: ContentRef): Promise<number[]> {
    if (this.#revoked.has(idOf(ref))) return []
    return this.#symbolIds(ref)
  }

  async record(ref: ContentRef): Promise<TierRecord | undefined> {
    const bytes = await this.storage.get(refKey("tier", ref))
    return bytes && decodeTierRecord(bytes)
  }

  async isRevoked(ref: ContentRef): Promise<boolean> {
    return this.#revoked.has(idOf(ref)) || (await this.storage.get(refKey("tombstone", ref))) !== undefined
  }

  /** Drops symbols beyond a tier, repair before source and the tail first. Gives how many went; 0 for what is not here. */
  evictToTier(ref: ContentRef, tier: RetentionTier): Promise<number> {
    return this.#exclusive(async () => {
      const ops = await this.#evictions(ref, tier)
      if (ops.length > 0) await this.#write(ops)
      return ops.length
    })
  }

  /** Drops one symbol. Says whether it was here. */
  dropSymbol(ref: ContentRef, symbolId: number): Promise<boolean> {
    return this.#exclusive(async () => {
      if (!(await this.#symbolIds(ref)).includes(symbolId)) return false
      await this.#write([{ del: symbolKey(ref, symbolId) }])
      return true
    })
  }

  /** Age has moved on. Never back: a milder tier changes nothing. Gives the symbols dropped. */
  setDecayTier(ref: ContentRef, tier: RetentionTier): Promise<number> {
    return this.#setTier(ref, (record) => ({ ...record, decayTier: moreSevere(record.decayTier, tier) }))
  }

  /** Room has become scarce, or not so scarce any more; what was dropped does not come back by that. */
  setPressureTier(ref: ContentRef, tier: RetentionTier): Promise<number> {
    return this.#setTier(ref, (record) => ({ ...record, pressureTier: tier }))
  }

  /** Marks what a content was folded into. */
  markFolded(ref: ContentRef, compositeId: string): Promise<void> {
    return this.#exclusive(() => this.#write([{ put: [refKey("folded", ref), utf8Encode(compositeId)] }]))
  }

  /**
   * Acts on a verified claim of consent. False when it revokes nothing here: it is something else, its signer has no say, or the
   * content is unknown, in which case it counts when the content comes ({@link PutOptions.consent}).
   */
  async applyRevocation(claim: SignedClaim, nowUnixMs: U64): Promise<boolean> {
    const body = consentIn(claim)
    if (body?.state !== CONSENT_REVOKES) return false
    const manifest = await this.manifest(body)
    if (manifest === undefined) return this.isRevoked(body)
    if (!consentAuthorities(decodeEnvelope(manifest.envelope)).has(claim.signerPeerId)) return false
    await this.hardDelete(body, { atUnixMs: nowUnixMs, revocation: encodeSignedClaim(claim) })
    return true
  }

  /**
   * Deletes a content for good, whatever its rarity or tier. From this call on it is neither announced nor served, also after a crash.
   * @throws AvError `HardDeleteFailed`: the duty stays, see {@link retryDeletions}
   */
  hardDelete(
    ref: ContentRef,
    { atUnixMs, revocation = new Uint8Array(0) }: { atUnixMs: U64; revocation?: Bytes },
  ): Promise<void> {
    const { contentId, corpusKind } = ref
    const pending = { contentId, corpusKind, manifestHash: NO_HASH, revokedAtUnixMs: atUnixMs, revocation }
    this.#revoked.set(idOf(ref), this.#revoked.get(idOf(ref)) ?? pending)
    return this.#exclusive(() => this.#delete(ref))
  }

  /** Tries again what could not be deleted. Gives the contents that are overdue. */
  async retryDeletions(nowUnixMs: U64): Promise<ContentRef[]> {
    const overdue: ContentRef[] = []
    for (const pending of [...this.#revoked.values()]) {
      try {
        await this.#exclusive(() => this.#delete(pending))
      } catch (error) {
        if (!isAvError(error, "HardDeleteFailed")) throw error
        const { contentId, corpusKind } = pending
        if (nowUnixMs - pending.revokedAtUnixMs > DELETE_WITHIN_MS) overdue.push({ contentId, corpusKind })
      }
    }
    return overdue
  }

  /** Asks the storage how much room there is. Content of others is refused from `stop` on. */
  async headroom(): Promise<HeadroomLevel> {
    const { quotaBytes, usageBytes } = await this.storage.estimate()
    this.#level = headroomLevel(quotaBytes, usageBytes)
    return this.#level
  }

  /** Decoded once, as long as the storage gives the same bytes. */
  #decoded(id: string, bytes: Bytes): SignedManifest {
    const known = this.#manifests.get(id)
    if (known !== undefined && equalBytes(known.bytes, bytes)) return known.manifest
    const manifest = decodeManifest(bytes)
    this.#manifests.delete(id)
    if (this.#manifests.size >= KEPT_MANIFESTS) this.#manifests.delete(this.#manifests.keys().next().value!)
    this.#manifests.set(id, { bytes, manifest })
    return manifest
  }

  /** This very manifest with this signature is stored. */
  async #isHere(manifest: SignedManifest): Promise<boolean> {
    try {
      const known = await this.storage.get(refKey("manifest", manifest))
      return known !== undefined && equalBytes(known, encodeManifest(manifest))
    } catch (error) {
      if (isAvError(error)) return false
      throw error
    }
  }

  async #delete(ref: ContentRef): Promise<void> {
    const pending = this.#revoked.get(idOf(ref))
    if (pending === undefined) return
    try {
      if ((await this.storage.get(refKey("tombstone", ref))) === undefined) {
        await this.storage.batch([{ put: [refKey("revocation", ref), encodeTombstone(pending)] }])
        const bytes = await this.storage.get(refKey("manifest", ref))
        const hash = bytes === undefined ? NO_HASH : manifestHash(decodeManifest(bytes))
        const ids = await this.#symbolIds(ref)
        await this.storage.batch([
          ...ids.map((id) => ({ del: symbolKey(ref, id) })),
          ...(["manifest", "tier", "folded", "revocation"] as const).map((kind) => ({ del: refKey(kind, ref) })),
          { put: [refKey("tombstone", ref), encodeTombstone({ ...pending, manifestHash: hash })] },
        ])
      }
    } catch (cause) {
      throw new AvError("HardDeleteFailed", { reason: cause instanceof Error ? cause.name : String(cause) }, { cause })
    }
    this.#revoked.delete(idOf(ref))
  }

  #setTier(ref: ContentRef, change: (record: TierRecord) => TierRecord): Promise<number> {
    return this.#exclusive(async () => {
      const before = this.#revoked.has(idOf(ref)) ? undefined : await this.record(ref)
      if (before === undefined) return 0
      const after = change(before)
      const evictions = await this.#evictions(ref, moreSevere(after.decayTier, after.pressureTier))
      const same = after.decayTier === before.decayTier && after.pressureTier === before.pressureTier
      if (same && evictions.length === 0) return 0
      await this.#write([{ put: [refKey("tier", ref), encodeTierRecord(after)] }, ...evictions])
      return evictions.length
    })
  }

  async #evictions(ref: ContentRef, tier: RetentionTier): Promise<StorageOp[]> {
    const [manifest, record] = [await this.manifest(ref), await this.record(ref)]
    if (manifest === undefined || severity(tier) === 0) return []
    const ids = await this.#symbolIds(ref)
    const keep = keepCount(tier, manifest)
    if (ids.length <= keep) return []
    const quality = record?.svcQuality ?? 0
    const ranked = ids.map((symbolId) => ({ symbolId, priority: retentionPriority(quality, symbolId, manifest.nSource) }))
    const kept = new Set(survivors(ranked, keep))
    return ids.filter((id) => !kept.has(id)).map((id) => ({ del: symbolKey(ref, id) }))
  }

  async #symbol(manifest: SignedManifest, symbolId: number): Promise<Bytes | undefined> {
    const bytes = await this.storage.get(symbolKey(manifest, symbolId))
    if (bytes === undefined || verifySymbolAgainstManifest(bytes, symbolId, manifest.symbolHashes)) return bytes
    this.#damaged += 1
    await this.storage.batch([{ del: symbolKey(manifest, symbolId) }])
    return undefined
  }

  async #symbolIds(ref: ContentRef): Promise<number[]> {
    const keys = await this.storage.list(`${refKey("symbol", ref)}/`)
    return keys.map((key) => Number(key.slice(key.lastIndexOf("/") + 1)))
  }

  async #write(ops: readonly StorageOp[]): Promise<void> {
    try {
      await this.storage.batch(ops)
    } catch (error) {
      // The estimate of a browser may still promise room.
      if (isAvError(error, "QuotaExceeded")) this.#level = "stop"
      throw error
    }
  }

  #exclusive<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(run)
    this.#tail = result.catch(() => {})
    return result
  }
}

function firstRecords(manifest: SignedManifest, envelope: ContentEnvelope, options: PutOptions): StorageOp[] {
  const record: TierRecord = {
    admittedAtUnixMs: options.nowUnixMs,
    own: options.own,
    className: envelope.className,
    ...(envelope.thresholds && { thresholds: envelope.thresholds }),
    svcQuality: options.svcQuality ?? 0,
    decayTier: "Full",
    pressureTier: "Full",
  }
  return [
    { put: [refKey("manifest", manifest), encodeManifest(manifest)] },
    { put: [refKey("tier", manifest), encodeTierRecord(record)] },
  ]
}

type RefKind = "manifest" | "symbol" | "tier" | "tombstone" | "revocation" | "folded"

function refKey(kind: RefKind, { corpusKind, contentId }: ContentRef): string {
  return holoKey(kind, corpusKind, contentId)
}

function symbolKey({ corpusKind, contentId }: ContentRef, symbolId: number): string {
  return holoKey("symbol", corpusKind, contentId, keyNumber(symbolId, 10))
}

function idOf({ corpusKind, contentId }: ContentRef): string {
  return JSON.stringify([corpusKind, contentId])
}
