/** All fetches of a node: symbols that the plan wants here, and contents that somebody wants to read. */
import { AvError, isAvError } from "../../wire/errors.ts"
import type { Milliseconds, PeerKeyId } from "../../wire/types.ts"
import { rebuildSymbols } from "../content/make.ts"
import type { ContentRef, SignedManifest } from "../content/manifest.ts"
import { NEVER, type NodeContext, tell } from "./context.ts"
import { type FetchSource, MAX_OPEN_REQUESTS, SymbolFetch } from "./fetching.ts"
import type { SymbolFrame } from "./messages.ts"
import type { Peer } from "./peers.ts"
import { keyOf, type ShelfItem } from "./shelf.ts"

/** Fetches under way at once; those for reading come before those for keeping. */
const MAX_FETCHES = 64
const MAX_ADOPTING = 8
/** Without progress for so long, a reader is told that nobody has enough. */
const PATIENCE_MS = 6_000
/** How often a fetch that waits looks again. */
const LOOK_MS = 500

export interface FetchedContent {
  manifest: SignedManifest
  symbols: { symbolId: number; bytes: Uint8Array }[]
}

export interface ReadOptions {
  /** Stores what came. Default false: looking at something must not fill the device. */
  keep?: boolean
  /** Distinct symbols; default as many as the content's source. */
  need?: number
  onProgress?(have: number, need: number): void
  signal?: AbortSignal
}

interface Active {
  ref: ContentRef
  fetch: SymbolFetch
  /** Symbols that nobody has: made again from what is fetched. */
  rebuild?: ReadonlySet<number>
  /** Undefined: for keeping, as the plan says. */
  reader?: { options: ReadOptions; resolve(content: FetchedContent): void; reject(error: unknown): void; need: number }
  have: number
  progressMs: Milliseconds
}

interface FetchBoardEvents {
  /** Whom to ask, the best first. */
  sources(item: ShelfItem, nowMs: Milliseconds): FetchSource[]
  /** Symbols were stored. */
  stored(ref: ContentRef, nowMs: Milliseconds): void
}

export class FetchBoard {
  readonly #context: NodeContext
  readonly #events: FetchBoardEvents
  readonly #active = new Set<Active>()
  /** Symbols beyond the source that a rebuild needed, by content. */
  readonly #more = new Map<string, number>()
  #req = 0x8000_0000
  #lookedMs: Milliseconds = Number.NEGATIVE_INFINITY

  constructor(context: NodeContext, events: FetchBoardEvents) {
    this.#context = context
    this.#events = events
  }

  /**
   * Fetches exactly these symbols to keep them. Does nothing while an earlier order for this content runs: the next look decides anew.
   * False when too many others are under way.
   */
  async adopt(item: ShelfItem, ids: readonly number[], nowMs: Milliseconds): Promise<boolean> {
    const keeping = [...this.#active].filter(({ reader }) => reader === undefined)
    if (this.#keeps(keyOf(item.ref))) return true
    if (keeping.length >= MAX_ADOPTING) return false
    const { ref, manifest } = item
    const claimed = this.#events.sources(item, nowMs).map(({ symbolIds }) => symbolIds)
    const lost = ids.filter((id) => !claimed.some((held) => held.has(id)))
    if (lost.length === ids.length) {
      await this.#rebuild(item, new Set(lost), nowMs)
      return true
    }
    const found = new Set(ids.filter((id) => !lost.includes(id)))
    const fetch = new SymbolFetch({ manifest, have: new Set(), ids: found, need: found.size })
    this.#active.add({ ref, fetch, have: 0, progressMs: nowMs })
    return true
  }

  /** Gets enough others. What could not be decoded with twenty is tried with more the next time. */
  async #rebuild(item: ShelfItem, ids: ReadonlySet<number>, nowMs: Milliseconds): Promise<void> {
    const key = keyOf(item.ref)
    const held = new Set(await this.#context.shelf.symbolIds(item.ref))
    const others = this.#events.sources(item, nowMs).flatMap(({ symbolIds }) => [...symbolIds])
    const need = item.manifest.nSource + (this.#more.get(key) ?? 0)
    if (new Set([...held, ...others]).size < need || this.#keeps(key)) return
    const fetch = new SymbolFetch({ manifest: item.manifest, have: held, need })
    this.#active.add({ ref: item.ref, fetch, have: fetch.have, rebuild: ids, progressMs: nowMs })
  }

  /** Gets enough of a content to read it. @throws AvError `InsufficientSymbols`, `ContentRevoked`, `Aborted`, `LimitExceeded` */
  async read(item: ShelfItem, options: ReadOptions, nowMs: Milliseconds): Promise<FetchedContent> {
    if (this.#active.size >= MAX_FETCHES) throw new AvError("LimitExceeded", { what: "fetches" })
    if (options.signal?.aborted) throw new AvError("Aborted")
    const held = await this.#context.shelf.symbolIds(item.ref)
    const need = options.need ?? item.manifest.nSource
    const fetch = new SymbolFetch({ manifest: item.manifest, have: new Set(held), need })
    return new Promise((resolve, reject) => {
      const active: Active = {
        ref: item.ref,
        fetch,
        reader: { options, resolve, reject, need },
        have: fetch.have,
        progressMs: nowMs,
      }
      this.#active.add(active)
      options.onProgress?.(Math.min(fetch.have, need), need)
      options.signal?.addEventListener("abort", () => this.#fail(active, new AvError("Aborted")), { once: true })
    })
  }

  /** A content was revoked. */
  revoked(ref: ContentRef): void {
    for (const active of this.#active) {
      if (keyOf(active.ref) === keyOf(ref)) this.#fail(active, new AvError("ContentRevoked"))
    }
  }

  gone(peer: PeerKeyId): void {
    for (const { fetch } of this.#active) fetch.gone(peer)
  }

  /** Takes a frame. False when nobody asked for it. */
  async onSymbol(peer: Peer, frame: SymbolFrame, nowMs: Milliseconds): Promise<boolean> {
    for (const active of this.#active) {
      if (!active.fetch.symbol(peer.keyId, frame, nowMs)) continue
      await this.#step(active, nowMs)
      return true
    }
    return false
  }

  async tick(nowMs: Milliseconds): Promise<void> {
    this.#lookedMs = nowMs
    for (const active of this.#active) {
      active.fetch.tick(nowMs)
      await this.#step(active, nowMs)
    }
  }

  /** Counted from the last look, not from now: whoever asks again with every message must not put it off for ever. */
  nextTickMs(): Milliseconds {
    return this.#active.size === 0 ? NEVER : this.#lookedMs + LOOK_MS
  }

  close(): void {
    for (const active of this.#active) this.#fail(active, new AvError("Aborted"))
  }

  async #step(active: Active, nowMs: Milliseconds): Promise<void> {
    const { fetch, reader, ref } = active
    if (fetch.have > active.have) {
      active.have = fetch.have
      active.progressMs = nowMs
      reader?.options.onProgress?.(Math.min(fetch.have, reader.need), reader.need)
    }
    if (fetch.done) return this.#finish(active, nowMs)
    const item = this.#context.shelf.get(ref)
    if (item === undefined) return this.#fail(active, new AvError("ContentRevoked"))
    const sources = this.#events.sources(item, nowMs)
    const mayOpen = (peer: PeerKeyId) => MAX_OPEN_REQUESTS - this.#openAt(peer)
    for (const { peerId, message } of fetch.next(sources, mayOpen, () => this.#newReq(), nowMs)) {
      await tell(this.#context, [peerId], message)
    }
    if (!fetch.idle) return
    // For keeping there is no hurry: the next look at the content knows more.
    if (reader === undefined) return this.#finish(active, nowMs)
    if (nowMs - active.progressMs >= PATIENCE_MS) {
      this.#fail(active, new AvError("InsufficientSymbols", { have: fetch.have, need: reader.need }))
    }
  }

  async #finish(active: Active, nowMs: Milliseconds): Promise<void> {
    if (!this.#active.delete(active)) return
    const { fetch, reader, ref } = active
    const { manifest, symbols } = fetch
    try {
      if (active.rebuild !== undefined) return await this.#made(active, active.rebuild, nowMs)
      if ((reader === undefined || reader.options.keep) && symbols.length > 0) await this.#store(manifest, symbols, nowMs)
      reader?.resolve({ manifest, symbols: await this.#withOwn(ref, symbols) })
    } catch (error) {
      if (reader === undefined && isAvError(error)) return
      if (reader === undefined) throw error
      reader.reject(error)
    }
  }

  async #made({ fetch, ref }: Active, ids: ReadonlySet<number>, nowMs: Milliseconds): Promise<void> {
    const { manifest, symbols } = fetch
    const key = keyOf(ref)
    const more = this.#more.get(key) ?? 0
    if (!fetch.done) return
    try {
      await this.#store(manifest, rebuildSymbols(manifest, await this.#withOwn(ref, symbols), ids), nowMs)
      this.#more.delete(key)
    } catch (error) {
      if (isAvError(error, "DecodeFailed") && more < manifest.kRepair) this.#more.set(key, more + 1)
      throw error
    }
  }

  /** Fetched symbols with those that are here. */
  async #withOwn(ref: ContentRef, symbols: FetchedContent["symbols"]): Promise<FetchedContent["symbols"]> {
    const own = []
    for (const symbolId of await this.#context.shelf.symbolIds(ref)) {
      const bytes = await this.#context.shelf.store.symbol(ref, symbolId)
      if (bytes !== undefined && !symbols.some((one) => one.symbolId === symbolId)) own.push({ symbolId, bytes })
    }
    return [...own, ...symbols]
  }

  async #store(manifest: SignedManifest, symbols: FetchedContent["symbols"], nowMs: Milliseconds): Promise<void> {
    const { contentId } = manifest
    const own = this.#context.shelf.get(manifest)?.own ?? false
    const named = symbols.map((symbol) => ({ ...symbol, contentId }))
    await this.#context.shelf.put(manifest, named, { own, nowUnixMs: BigInt(Math.floor(nowMs)) })
    this.#events.stored({ contentId, corpusKind: manifest.corpusKind }, nowMs)
  }

  /** Symbols of this content are being fetched for keeping. */
  #keeps(key: string): boolean {
    return [...this.#active].some(({ reader, ref }) => reader === undefined && keyOf(ref) === key)
  }

  #fail(active: Active, error: AvError): void {
    if (this.#active.delete(active)) active.reader?.reject(error)
  }

  #openAt(peer: PeerKeyId): number {
    let open = 0
    for (const { fetch } of this.#active) open += fetch.openAt(peer)
    return open
  }

  /** Apart from those of challenges, which count from 1. */
  #newReq(): number {
    this.#req = 0x8000_0000 + ((this.#req + 1) & 0x7fff_ffff)
    return this.#req
  }
}
