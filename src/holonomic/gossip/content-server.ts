/** Answers of a node about contents: manifests, symbols in the caller's pace, and proofs of possession. */
import { fromHex, toHex } from "../../wire/bytes.ts"
import type { PeerKeyId } from "../../wire/types.ts"
import { AGGREGATE_PREFIX } from "../aggregation/record.ts"
import { probeDigest } from "../claims/digests.ts"
import { encodeManifest } from "../content/manifest-codec.ts"
import { type NodeContext, tell } from "./context.ts"
import { MAX_OPEN_REQUESTS } from "./fetching.ts"
import type { HoloMessage, HoloMessageOf } from "./messages.ts"
import { SYMBOLS_END } from "./messages.ts"
import type { Peer } from "./peers.ts"
import type { ShelfItem } from "./shelf.ts"

/** Sources of a fold that are told with it. */
const MAX_SOURCES = 64

export class ContentServer {
  readonly #context: NodeContext
  /** Answers under way, by peer. */
  readonly #open = new Map<PeerKeyId, number>()
  readonly #paused: () => boolean

  /** @param paused true while the storage is nearly full: content of others is not served then */
  constructor(context: NodeContext, paused: () => boolean) {
    this.#context = context
    this.#paused = paused
  }

  /** Nothing is answered about what is not here. */
  async onManifestRequest(peer: Peer, request: HoloMessageOf<"holo.manifest?">): Promise<void> {
    for (const item of this.#asked(request)) {
      const message = (await this.#foldMessage(item)) ?? { t: "holo.manifest", manifest: encodeManifest(item.manifest) }
      await tell(this.#context, [peer.keyId], message)
    }
  }

  /** Sends what of the symbols is here, then the end; each waits for the one before. Runs beside everything else. */
  async onSymbolsRequest(peer: Peer, { contentId, corpusKind, symbolIds, req }: HoloMessageOf<"holo.symbols?">): Promise<void> {
    const open = this.#open.get(peer.keyId) ?? 0
    const item = this.#context.shelf.get({ contentId, corpusKind })
    const serves = open < MAX_OPEN_REQUESTS && item !== undefined && (item.own || !this.#paused())
    if (!serves) return this.#end(peer.keyId, req)
    this.#open.set(peer.keyId, open + 1)
    try {
      for (const symbolId of new Set(symbolIds)) {
        if (this.#context.peers.get(peer.keyId) !== peer) return
        // Read one by one: it may be revoked or dropped meanwhile.
        const bytes = await this.#context.shelf.store.symbol(item.ref, symbolId)
        if (bytes === undefined) continue
        await this.#context.send(peer.keyId, { kind: "symbol", frame: { req, symbolId, bytes } })
      }
      await this.#end(peer.keyId, req)
    } finally {
      const left = (this.#open.get(peer.keyId) ?? 1) - 1
      if (left > 0) this.#open.set(peer.keyId, left)
      else this.#open.delete(peer.keyId)
    }
  }

  /** Shows that a symbol is here: by digest to who has it too, else by the symbol itself. */
  async onProbe(peer: Peer, { contentId, symbolId, nonce, held, req }: HoloMessageOf<"holo.probe">): Promise<void> {
    for (const { ref } of this.#context.shelf.byId(contentId)) {
      const bytes = await this.#context.shelf.store.symbol(ref, symbolId)
      if (bytes === undefined) continue
      const digest = probeDigest(nonce, contentId, symbolId, bytes)
      if (held) await tell(this.#context, [peer.keyId], { t: "holo.proof", nonce, digest })
      else await this.#context.send(peer.keyId, { kind: "symbol", frame: { req, symbolId, bytes } })
      return
    }
  }

  #end(peer: PeerKeyId, req: number): void | Promise<void> {
    return this.#context.send(peer, { kind: "symbol", frame: { req, symbolId: SYMBOLS_END, bytes: new Uint8Array(0) } })
  }

  #asked({ contentId, corpusKind, manifestHash }: HoloMessageOf<"holo.manifest?">): ShelfItem[] {
    const { shelf } = this.#context
    if (manifestHash !== undefined) return [shelf.byHash(toHex(manifestHash))].filter((item) => item !== undefined)
    if (contentId === undefined) return []
    if (corpusKind === undefined || corpusKind === "") return shelf.byId(contentId)
    return [shelf.get({ contentId, corpusKind })].filter((item) => item !== undefined)
  }

  /** A composite travels with its record, without which it would be any content. */
  async #foldMessage({ ref, manifest }: ShelfItem): Promise<HoloMessage | undefined> {
    if (!ref.corpusKind.startsWith(AGGREGATE_PREFIX)) return undefined
    const record = await this.#context.shelf.folds.getAggregation(ref.contentId)
    if (record === undefined) return undefined
    const { aggregatedAtUnixMs: _, ...told } = record
    const sources = (await this.#context.shelf.foldedInto(ref.contentId)).map(({ contentId }) => contentId)
    return {
      t: "holo.agg",
      manifest: encodeManifest(manifest),
      ...told,
      memberCommitment: told.memberCommitment.toLowerCase(),
      ...(sources.length > 0 && sources.length <= MAX_SOURCES && { sources }),
    }
  }
}

/** A request for the manifest that a claim names. */
export function manifestRequest(hash: string): HoloMessage {
  return { t: "holo.manifest?", manifestHash: fromHex(hash) }
}
