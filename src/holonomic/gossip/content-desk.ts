/** Contents that come and go: manifests are looked for and taken in, and what is revoked is deleted for good. */
import { toHex } from "../../wire/bytes.ts"
import { AvError, isAvError } from "../../wire/errors.ts"
import type { Bytes, Milliseconds, PeerKeyId, U64 } from "../../wire/types.ts"
import { consentAuthorities } from "../content/consent.ts"
import { decodeEnvelope } from "../content/envelope.ts"
import { type ContentRef, manifestHash, type SignedManifest } from "../content/manifest.ts"
import { decodeManifest } from "../content/manifest-codec.ts"
import { encodeSignedClaim } from "../trust/claim-codec.ts"
import type { ContentCare } from "./content-care.ts"
import { manifestRequest } from "./content-server.ts"
import { NEVER, type NodeContext, some, tell } from "./context.ts"
import type { DurableClaim } from "./durable.ts"
import type { FetchBoard } from "./fetch-board.ts"
import type { FoldGossip } from "./fold-gossip.ts"
import { ManifestHunt } from "./manifest-hunt.ts"
import type { HoloMessageOf } from "./messages.ts"
import type { Peer } from "./peers.ts"
import { keyOf, type ShelfItem } from "./shelf.ts"

/** Others that are asked for a manifest that a reader wants. */
const ASK_FOR_MANIFEST = 3
const MANIFEST_WITHIN_MS = 5_000

interface Reader {
  ref: ContentRef
  untilMs: Milliseconds
  found(item: ShelfItem | undefined): void
}

export class ContentDesk {
  readonly #context: NodeContext
  readonly #care: ContentCare
  readonly #fetches: FetchBoard
  readonly #folds: FoldGossip
  readonly #hunt: ManifestHunt
  /** Those who wait for a manifest. */
  readonly #readers = new Set<Reader>()

  constructor(context: NodeContext, parts: { care: ContentCare; fetches: FetchBoard; folds: FoldGossip }) {
    this.#context = context
    this.#care = parts.care
    this.#fetches = parts.fetches
    this.#folds = parts.folds
    this.#hunt = new ManifestHunt(context.random)
  }

  /** Deletions that an earlier run owed, and manifests that claims name but that are not here. */
  async start(): Promise<void> {
    const { shelf, book } = this.#context
    for (const item of shelf.items()) {
      const { revocation } = book.consent(item.ref, item.authorities, 0n)
      if (revocation !== undefined) await this.#delete(item, revocation, 0)
    }
    for (const { body } of book.entries("content_manifest")) {
      if (body.kind === "content_manifest" && !shelf.holdsManifest(body.hash) && !shelf.isGone(body.hash)) {
        this.#hunt.want(body.hash, undefined, 0)
      }
    }
  }

  async tick(nowMs: Milliseconds): Promise<void> {
    const peers = this.#askable().map(({ keyId }) => keyId)
    for (const { peer, hash } of this.#hunt.next(peers, nowMs)) await tell(this.#context, [peer], manifestRequest(hash))
    for (const reader of this.#readers) if (nowMs >= reader.untilMs) reader.found(undefined)
  }

  nextTickMs(): Milliseconds {
    return Math.min(this.#hunt.nextTickMs(), NEVER, ...[...this.#readers].map(({ untilMs }) => untilMs))
  }

  close(): void {
    for (const reader of this.#readers) reader.found(undefined)
  }

  /** A claim is new: acts on what it says. */
  async added(claim: DurableClaim, from: PeerKeyId | undefined, nowMs: Milliseconds): Promise<void> {
    const { shelf, book } = this.#context
    const { body } = claim
    switch (body.kind) {
      case "content_manifest":
        if (!shelf.holdsManifest(body.hash) && !shelf.isGone(body.hash)) this.#hunt.want(body.hash, from, nowMs)
        return
      case "consent_state": {
        const item = shelf.get(body.consent)
        if (item === undefined) return
        const { revocation } = book.consent(item.ref, item.authorities, at(nowMs))
        if (revocation === undefined) this.#care.touch(item.ref, nowMs)
        else await this.#delete(item, revocation, nowMs)
      }
    }
  }

  /** Everything of a content goes, and nothing of it comes back (N5). */
  async #delete(item: ShelfItem, revocation: string, nowMs: Milliseconds): Promise<void> {
    const found = await this.#context.book.claim(revocation)
    this.#context.emit({ type: "revoked", ref: item.ref })
    const deleting = this.#context.shelf.remove(item, found ? encodeSignedClaim(found.claim) : new Uint8Array(0), nowMs)
    this.#care.forget(item)
    this.#fetches.revoked(item.ref)
    this.#context.book.refresh()
    if (await deleting) this.#context.emit({ type: "hard-deleted", ref: item.ref })
  }

  /** A manifest that was asked for, with its record when it is a fold's. */
  async onManifest(bytes: Bytes, fold: HoloMessageOf<"holo.agg"> | undefined, nowMs: Milliseconds): Promise<void> {
    const manifest = decodeManifest(bytes)
    const hash = toHex(manifestHash(manifest))
    const readers = [...this.#readers].filter(({ ref }) => keyOf(ref) === keyOf(manifest))
    if (!this.#hunt.wants(hash) && readers.length === 0) return
    const authorities = consentAuthorities(decodeEnvelope(manifest.envelope))
    const { state } = this.#context.book.consent(manifest, authorities, at(nowMs))
    if (state === "Revoked") {
      this.#hunt.found(hash)
      throw new AvError("ContentRevoked")
    }
    const options = { own: false, nowUnixMs: at(nowMs) }
    const added =
      fold === undefined ? await this.#context.shelf.put(manifest, [], options) : await this.#taken(manifest, hash, fold, nowMs)
    this.#hunt.found(hash)
    this.#context.book.refresh()
    const { contentId, corpusKind } = manifest
    if (added) this.#context.emit({ type: "manifest", ref: { contentId, corpusKind } })
    this.#care.arrived({ contentId, corpusKind }, nowMs)
    for (const reader of readers) reader.found(this.#context.shelf.get(manifest))
  }

  /** A fold that is not wanted here is not looked for again. */
  async #taken(manifest: SignedManifest, hash: string, fold: HoloMessageOf<"holo.agg">, nowMs: Milliseconds): Promise<boolean> {
    try {
      return await this.#folds.take(manifest, fold, nowMs)
    } catch (error) {
      if (isAvError(error, "NotAllowed")) this.#hunt.found(hash)
      throw error
    }
  }

  /** A manifest that somebody wants to read now; undefined when nobody has it. */
  async awaitManifest(ref: ContentRef, nowMs: Milliseconds, signal: AbortSignal | undefined): Promise<ShelfItem | undefined> {
    const claiming = this.#care.holdings.sources(ref.contentId, nowMs).map(({ peerId }) => peerId)
    const others = this.#askable()
    const first = others.map(({ keyId }) => keyId).filter((peer) => claiming.includes(peer))
    const asked = some(this.#context.random, first.length > 0 ? first : others.map(({ keyId }) => keyId), ASK_FOR_MANIFEST)
    if (asked.length === 0) return undefined
    const waiting = new Promise<ShelfItem | undefined>((resolve) => {
      const reader = {
        ref,
        untilMs: nowMs + MANIFEST_WITHIN_MS,
        found: (item: ShelfItem | undefined) => {
          this.#readers.delete(reader)
          resolve(item)
        },
      }
      this.#readers.add(reader)
      signal?.addEventListener("abort", () => reader.found(undefined), { once: true })
    })
    await tell(this.#context, asked, { t: "holo.manifest?", ...ref })
    return waiting
  }

  #askable(): Peer[] {
    return this.#context.peers.all().filter(({ mayAsk, heard }) => mayAsk && heard)
  }
}

function at(nowMs: Milliseconds): U64 {
  return BigInt(Math.floor(nowMs))
}
