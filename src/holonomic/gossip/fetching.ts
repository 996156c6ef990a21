/** Gets symbols of one content from several holders at once: each hashed before it counts, exactly the missing ones, bounded requests (D34, N7). */
import type { Bytes, Milliseconds, PeerKeyId } from "../../wire/types.ts"
import { type SignedManifest, verifySymbolAgainstManifest } from "../content/manifest.ts"
import { type HoloMessageOf, MAX_REQUESTED_SYMBOLS, SYMBOLS_END, type SymbolFrame } from "./messages.ts"

/** Requests that one peer answers at once. */
export const MAX_OPEN_REQUESTS = 4
/** Of one fetch at one peer: two keep its answer flowing. */
const OPEN_PER_FETCH = 2
/** Symbols of one request; small, so that several holders share the work. */
const BATCH = 8
/** A holder that sends nothing for so long is asked no more. */
const SILENT_AFTER_MS = 10_000

export interface FetchSource {
  peerId: PeerKeyId
  symbolIds: ReadonlySet<number>
}

interface FetchOptions {
  manifest: SignedManifest
  /** Symbols that are here already. */
  have: ReadonlySet<number>
  /** Exactly these; absent: any, until `need` are here. */
  ids?: ReadonlySet<number>
  need: number
}

interface Request {
  peerId: PeerKeyId
  left: Set<number>
  sinceMs: Milliseconds
}

interface FetchRequest {
  peerId: PeerKeyId
  message: HoloMessageOf<"holo.symbols?">
}

export class SymbolFetch {
  readonly manifest: SignedManifest
  readonly #options: FetchOptions
  readonly #got = new Map<number, Bytes>()
  readonly #requests = new Map<number, Request>()
  readonly #refused = new Map<PeerKeyId, Set<number>>()
  readonly #silent = new Set<PeerKeyId>()

  constructor(options: FetchOptions) {
    this.#options = options
    this.manifest = options.manifest
  }

  /** What came so far. */
  get symbols(): { symbolId: number; bytes: Bytes }[] {
    return [...this.#got].map(([symbolId, bytes]) => ({ symbolId, bytes }))
  }

  get have(): number {
    return this.#options.have.size + this.#got.size
  }

  get done(): boolean {
    return this.#missing().length === 0
  }

  /** Nothing is on its way; when {@link next} then finds nothing to ask for either, nobody has the rest. */
  get idle(): boolean {
    return this.#requests.size === 0
  }

  /** What to ask for now. @param mayOpen how many more requests a peer takes @param newReq numbers that are in use nowhere else */
  next(
    sources: readonly FetchSource[],
    mayOpen: (peer: PeerKeyId) => number,
    newReq: () => number,
    nowMs: Milliseconds,
  ): FetchRequest[] {
    const open = new Set([...this.#requests.values()].flatMap(({ left }) => [...left]))
    const wanted = this.#missing().filter((id) => !open.has(id))
    const out: FetchRequest[] = []
    let remaining = this.#options.ids === undefined ? this.#options.need - this.have - open.size : wanted.length
    const usable = sources.filter(({ peerId }) => !this.#silent.has(peerId))
    // In turns: each holder gets a batch before one gets a second.
    for (let round = 0; round < OPEN_PER_FETCH; round++) {
      for (const { peerId, symbolIds } of usable) {
        const own = [...this.#requests.values()].filter((request) => request.peerId === peerId).length
        if (remaining <= 0 || own > round || own >= OPEN_PER_FETCH || mayOpen(peerId) <= 0) continue
        const refused = this.#refused.get(peerId)
        const size = Math.min(BATCH, MAX_REQUESTED_SYMBOLS, remaining)
        const batch = wanted.filter((id) => !open.has(id) && symbolIds.has(id) && !refused?.has(id)).slice(0, size)
        if (batch.length === 0) continue
        for (const id of batch) open.add(id)
        remaining -= batch.length
        const req = newReq()
        this.#requests.set(req, { peerId, left: new Set(batch), sinceMs: nowMs })
        const { contentId, corpusKind } = this.manifest
        out.push({ peerId, message: { t: "holo.symbols?", contentId, corpusKind, symbolIds: batch, req } })
      }
    }
    return out
  }

  /** Takes a frame. False when it answers nothing of this fetch. A wrong symbol ends the use of its sender. */
  symbol(peerId: PeerKeyId, { req, symbolId, bytes }: SymbolFrame, nowMs: Milliseconds): boolean {
    const request = this.#requests.get(req)
    if (request?.peerId !== peerId) return false
    if (symbolId === SYMBOLS_END) {
      this.#requests.delete(req)
      this.#refuse(peerId, request.left)
      return true
    }
    if (!request.left.delete(symbolId)) return true
    request.sinceMs = nowMs
    const { symbolHashes, symbolSize } = this.manifest
    if (bytes.length === symbolSize && verifySymbolAgainstManifest(bytes, symbolId, symbolHashes)) {
      this.#got.set(symbolId, bytes.slice())
    } else {
      this.#silent.add(peerId)
      this.#refuse(peerId, [symbolId])
    }
    return true
  }

  /** A peer has gone. */
  gone(peerId: PeerKeyId): void {
    for (const [req, request] of this.#requests) if (request.peerId === peerId) this.#requests.delete(req)
  }

  /** Requests under way at a peer. */
  openAt(peerId: PeerKeyId): number {
    return [...this.#requests.values()].filter((request) => request.peerId === peerId).length
  }

  tick(nowMs: Milliseconds): void {
    for (const [req, { peerId, sinceMs }] of this.#requests) {
      if (nowMs - sinceMs < SILENT_AFTER_MS) continue
      this.#requests.delete(req)
      this.#silent.add(peerId)
    }
  }

  #missing(): number[] {
    const { ids, have, need } = this.#options
    if (ids === undefined && this.have >= need) return []
    const all = ids ?? this.manifest.symbolHashes.keys()
    return [...all].filter((id) => !have.has(id) && !this.#got.has(id))
  }

  #refuse(peerId: PeerKeyId, ids: Iterable<number>): void {
    const refused = this.#refused.get(peerId) ?? new Set<number>()
    for (const id of ids) refused.add(id)
    this.#refused.set(peerId, refused)
  }
}
