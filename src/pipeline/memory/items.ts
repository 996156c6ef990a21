/** Files and recordings over the contents of a node: cut and signed when they come, gathered again when somebody wants them. */

import { secureRandom } from "../../crypto/index.ts"
import { makeContent, restoreContent } from "../../holonomic/content/make.ts"
import type { ContentRef } from "../../holonomic/content/manifest.ts"
import type { HeldContent, HoloNode } from "../../holonomic/gossip/node.ts"
import {
  encodeItemHead,
  gatherItems,
  type ItemPart,
  isItemId,
  itemId,
  itemPartOf,
  type KnownItem,
  MAX_ITEM_NAME,
  PART_BYTES,
  partLength,
  partRef,
  partsOf,
} from "../../holonomic/items/item.ts"
import type { IdentitySigner } from "../../identity/index.ts"
import type { HoloStorage } from "../../store/holo/storage.ts"
import { AvError, isAvError } from "../../wire/errors.ts"
import type { Bytes, Milliseconds, PeerKeyId } from "../../wire/types.ts"
import type { ItemInfo, Progress, PutItem } from "./types.ts"

/** Left free beside what is put, bytes: the rest of the browser lives there too. */
const SPARE_BYTES = 50 * 1_048_576
/** Room that a content takes in relation to its length: repair, hashes and signatures. */
const OVERHEAD = 1.35
/** One decoding in 250 fails with exactly as many symbols as the source has; never with two more. */
const SPARE_SYMBOLS = 2
/** Contents whose time is over are looked for this often, ms. */
const EXPIRY_EVERY_MS = 15_000
/** Their manifests stay this much longer, ms: a peer whose clock is behind would only bring them again. */
const FORGET_AFTER_MS = 86_400_000
const DAY_MS = 86_400_000
/** Days that a class keeps everything, with a little to spare for its lifetime. */
const CLASSES = [
  { name: "TEMPORARY", days: 4 },
  { name: "STANDARD", days: 26 },
] as const

interface ItemsOptions {
  node: HoloNode
  signer: IdentitySigner
  /** Unix ms. */
  now(): Milliseconds
}

interface Running {
  signal: AbortSignal
  progress: Progress
}

/** What consent says about a content. */
interface Lifetime {
  expiresAtMs: number | undefined
}

export class Items {
  readonly #node: HoloNode
  readonly #signer: IdentitySigner
  readonly #now: () => Milliseconds
  #expiryAtMs: Milliseconds

  constructor({ node, signer, now }: ItemsOptions) {
    this.#node = node
    this.#signer = signer
    this.#now = now
    this.#expiryAtMs = now()
  }

  /** @throws AvError `PayloadTooLarge`, `QuotaExceeded`, `UsageError`, `Aborted` */
  async put(blob: Blob, item: PutItem, storage: HoloStorage, { signal, progress }: Running): Promise<ItemInfo> {
    const { size } = blob
    const parts = partsOf(size)
    if (item.name === "" || [...item.name].length > MAX_ITEM_NAME) throw new AvError("UsageError", { why: "name" })
    const { quotaBytes, usageBytes } = await storage.estimate()
    const [need, left] = [Math.ceil(size * OVERHEAD), quotaBytes - usageBytes - Math.min(SPARE_BYTES, quotaBytes / 4)]
    if (need > left) throw new AvError("QuotaExceeded", { need, left: Math.max(0, Math.floor(left)) })
    const nonce = secureRandom(16)
    const id = itemId(this.#signer.keyId, nonce)
    const { expiresAtMs, durationMs, kind, name, type } = item
    const at = Math.floor(this.#now())
    const head = { nonce, parts, kind, name, type, size, at, ...(durationMs === undefined ? {} : { durationMs }) }
    const done: ContentRef[] = []
    progress(0, size)
    try {
      for (let part = 0; part < parts; part++) {
        requireGoingOn(signal)
        const payload = new Uint8Array(await blob.slice(part * PART_BYTES, (part + 1) * PART_BYTES).arrayBuffer())
        const envelope = { className: classFor(expiresAtMs, at), authorities: [], application: encodeItemHead({ ...head, part }) }
        const ref = partRef(id, part, kind)
        const { manifest, symbols } = await makeContent(ref, payload, envelope, this.#signer)
        requireGoingOn(signal)
        done.push(ref)
        await this.#node.put(manifest, symbols, this.#now(), {
          ...(expiresAtMs === undefined ? {} : { expiresAtUnixMs: BigInt(Math.floor(expiresAtMs)) }),
        })
        progress(part * PART_BYTES + payload.length, size)
      }
    } catch (error) {
      // Half an item is of no use to anybody.
      for (const ref of done) await this.#node.revoke(ref, this.#now())
      throw error
    }
    return (await this.list()).find((known) => known.id === id) ?? notFound(id)
  }

  /** @throws AvError `ItemNotFound`, `InsufficientSymbols`, `ContentRevoked`, `DecodeFailed`, `Aborted` */
  async get(id: string, { signal, progress, wake }: Running & { wake(): void }): Promise<Blob> {
    const { head } = this.#item(id)
    const pieces: Bytes[] = []
    let done = 0
    progress(0, head.size)
    for (let part = 0; part < head.parts; part++) {
      requireGoingOn(signal)
      const length = partLength(head.size, part)
      const onProgress = (have: number, need: number) => progress(done + Math.floor((length * have) / need), head.size)
      const piece = await this.#read(partRef(id, part, head.kind), { signal, onProgress, wake })
      if (piece.length !== length) throw new AvError("DecodeFailed", { part })
      pieces.push(piece)
      done += length
      progress(done, head.size)
    }
    return new Blob(pieces as Uint8Array<ArrayBuffer>[], { type: head.type })
  }

  /** Those that are known, not revoked, and whose time is not over; the newest first. */
  async list(): Promise<ItemInfo[]> {
    const now = this.#now()
    const lifetimes = this.#lifetimes()
    const held = new Map<ItemPart, HeldContent>()
    for (const content of this.#node.contents(now)) {
      const part = itemPartOf(content.manifest)
      if (part !== undefined && lifetimes.has(keyOf(content.ref))) held.set(part, content)
    }
    const infos: ItemInfo[] = []
    for (const known of gatherItems(held.keys())) infos.push(await this.#info(known, held, lifetimes))
    return infos
  }

  /** @throws AvError `ItemNotFound`, `NotAllowed` */
  async revoke(id: string): Promise<void> {
    for (const ref of this.#own(id, "revoke")) await this.#node.revoke(ref, this.#now())
  }

  /** A later end, or none. An end that was promised is not taken back. @throws AvError `ItemNotFound`, `NotAllowed` */
  async extend(id: string, expiresAtMs: number | undefined): Promise<void> {
    const until = expiresAtMs === undefined ? 0n : BigInt(Math.floor(expiresAtMs))
    for (const ref of this.#own(id, "extend")) await this.#node.grant(ref, until, this.#now())
  }

  nextTickMs(): Milliseconds {
    return this.#expiryAtMs
  }

  /** Lets go of what nobody consents to any more because its time is over. */
  async tick(): Promise<void> {
    const now = this.#now()
    if (now < this.#expiryAtMs) return
    this.#expiryAtMs = now + EXPIRY_EVERY_MS
    const lifetimes = this.#lifetimes()
    const ends = this.#ends()
    for (const { ref, manifest } of this.#node.contents(now)) {
      const ended = ends.get(keyOf(ref))
      if (lifetimes.has(keyOf(ref)) || ended === undefined || itemPartOf(manifest) === undefined) continue
      await this.#node.shelf.store.evictToTier(ref, "T5")
      const item = this.#node.shelf.get(ref)
      if (item !== undefined && now > ended + FORGET_AFTER_MS) await this.#node.shelf.remove(item, new Uint8Array(0), now)
    }
  }

  async #read(
    ref: ContentRef,
    { signal, onProgress, wake }: { signal: AbortSignal; onProgress(have: number, need: number): void; wake(): void },
  ): Promise<Bytes> {
    const fetch = (need?: number) => {
      const fetching = this.#node.fetch(ref, this.#now(), { signal, onProgress, ...(need === undefined ? {} : { need }) })
      wake()
      return fetching
    }
    const { manifest, symbols } = await fetch()
    try {
      return restoreContent(manifest, symbols)
    } catch (error) {
      if (!isAvError(error, "DecodeFailed")) throw error
      const more = await fetch(manifest.nSource + SPARE_SYMBOLS)
      return restoreContent(manifest, more.symbols)
    }
  }

  async #info(
    { head, parts }: KnownItem,
    held: ReadonlyMap<ItemPart, HeldContent>,
    lifetimes: ReadonlyMap<string, Lifetime>,
  ): Promise<ItemInfo> {
    const holders: Record<PeerKeyId, number> = {}
    let readable = parts.size === head.parts
    let expiresAtMs: number | undefined
    const needed = new Set<PeerKeyId>()
    for (const part of parts.values()) {
      const { ref, manifest } = held.get(part)!
      const copies = new Map<number, number>()
      const found = await this.#node.holders(ref, this.#now())
      for (const [peer, { symbolIds }] of found) {
        for (const id of symbolIds) copies.set(id, (copies.get(id) ?? 0) + 1)
        holders[peer] = (holders[peer] ?? 0) + symbolIds.length / manifest.nSource / head.parts
      }
      for (const [peer, { symbolIds }] of found) {
        const alone = symbolIds.filter((id) => copies.get(id) === 1).length
        if (copies.size - alone < manifest.nSource) needed.add(peer)
      }
      readable &&= copies.size >= manifest.nSource
      const end = lifetimes.get(keyOf(ref))?.expiresAtMs
      if (end !== undefined) expiresAtMs = Math.min(end, expiresAtMs ?? end)
    }
    return {
      id: head.item,
      kind: head.kind,
      name: head.name,
      type: head.type,
      size: head.size,
      atMs: head.at,
      producer: head.producer,
      own: head.producer === this.#signer.keyId,
      ...(head.durationMs === undefined ? {} : { durationMs: head.durationMs }),
      ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
      holders,
      readable,
      needed: [...needed],
    }
  }

  /** Contents that somebody with a say in them consents to now, and until when. */
  #lifetimes(): Map<string, Lifetime> {
    const now = this.#now()
    const found = new Map<string, Lifetime>()
    for (const [key, end] of this.#grants()) {
      const latest = end.includes(0) ? undefined : Math.max(...end)
      if (latest === undefined || latest > now) found.set(key, { expiresAtMs: latest })
    }
    return found
  }

  /** When the last consent ended, by content. */
  #ends(): Map<string, number> {
    return new Map([...this.#grants()].map(([key, ends]) => [key, Math.max(...ends)]))
  }

  /** Ends of all consents, 0 for one without; of contents that are here. */
  #grants(): Map<string, number[]> {
    const found = new Map<string, number[]>()
    for (const { body, signerPeerId } of this.#node.book.entries("consent_state")) {
      if (body.kind !== "consent_state" || body.consent.state !== 1) continue
      const { contentId, corpusKind, expiresAtUnixMs } = body.consent
      if (!this.#node.shelf.get({ contentId, corpusKind })?.authorities.has(signerPeerId)) continue
      const key = keyOf({ contentId, corpusKind })
      found.set(key, [...(found.get(key) ?? []), Number(expiresAtUnixMs)])
    }
    return found
  }

  #item(id: string): KnownItem {
    if (!isItemId(id)) throw new AvError("UsageError", { why: "item id" })
    const live = this.#lifetimes()
    const parts: ItemPart[] = []
    for (const { ref, manifest } of this.#node.contents(this.#now())) {
      const part = ref.contentId.startsWith(id) && live.has(keyOf(ref)) ? itemPartOf(manifest) : undefined
      if (part?.item === id) parts.push(part)
    }
    return gatherItems(parts)[0] ?? notFound(id)
  }

  #own(id: string, right: string): ContentRef[] {
    const { head } = this.#item(id)
    if (head.producer !== this.#signer.keyId) throw new AvError("NotAllowed", { right, owner: true })
    return Array.from({ length: head.parts }, (_, part) => partRef(id, part, head.kind))
  }
}

/** The class that keeps everything as long as the item shall live. */
function classFor(expiresAtMs: number | undefined, nowMs: number): string {
  const days = expiresAtMs === undefined ? Number.POSITIVE_INFINITY : (expiresAtMs - nowMs) / DAY_MS
  return CLASSES.find((one) => days <= one.days)?.name ?? "PERSISTENT"
}

function requireGoingOn(signal: AbortSignal): void {
  if (signal.aborted) throw new AvError("Aborted")
}

function notFound(id: string): never {
  throw new AvError("ItemNotFound", { id })
}

function keyOf({ corpusKind, contentId }: ContentRef): string {
  return JSON.stringify([corpusKind, contentId])
}
