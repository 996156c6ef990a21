/** Folds old items when there are too many of them (D28): the peer whose turn it is makes one of the sixteen oldest, the others wait. */
import { sha256Sync } from "../../crypto/index.ts"
import { concatBytes, toHex, utf8Encode } from "../../wire/bytes.ts"
import { type AvError, isAvError } from "../../wire/errors.ts"
import type { Bytes, Milliseconds, PeerKeyId, U64 } from "../../wire/types.ts"
import type { FoldAlgorithm } from "../aggregation/fold.ts"
import { foldDue } from "../aggregation/fold-store.ts"
import { type MadeFold, makeFold } from "../aggregation/make-fold.ts"
import { descendOrder, memberCommitment } from "../aggregation/meta.ts"
import { AGGREGATE_PREFIX } from "../aggregation/record.ts"
import { restoreContent } from "../content/make.ts"
import type { ContentRef } from "../content/manifest.ts"
import type { NodeContext } from "./context.ts"
import type { FetchedContent, ReadOptions } from "./fetch-board.ts"
import type { ShelfItem } from "./shelf.ts"

export interface FoldingOptions {
  /** Kinds of items that may be folded at all, by others too. Composites count as what they were made of. */
  corpora(corpusKind: string): boolean
  /** Absent: this peer folds nothing by itself. */
  algorithm?: FoldAlgorithm
  /** Of the composites. Default `PERSISTENT`. */
  className?: string
}

/** What it does by the node. */
interface FoldingNode {
  /** Somebody with a say in it consents to its being kept. */
  consents(item: ShelfItem): boolean
  fetch(ref: ContentRef, options?: ReadOptions): Promise<FetchedContent>
  fold(made: MadeFold, sources: readonly string[]): Promise<void>
}

/** The next in turn waits so long for the one before: it fetches sixteen items, and tells what it has made. */
const TURN_MS = 180_000
/** Sets of items that cannot be folded. */
const MAX_REFUSED = 1_000
/** One decoding in 250 fails with exactly as many symbols as the source has; never with two more. */
const SPARE_SYMBOLS = 2

interface OldItem {
  item: ShelfItem
  contentId: string
  atUnixMs: U64
}

/** Whether items of that kind may be folded; all, where nothing was said. */
export function mayFold(options: FoldingOptions | undefined, corpusKind: string): boolean {
  return options?.corpora(baseKind(corpusKind)) ?? true
}

export class AutoFold {
  readonly #context: NodeContext
  readonly #options: FoldingOptions
  readonly #node: FoldingNode
  /** Since when a set has been due, by what commits to it. */
  #since = new Map<string, Milliseconds>()
  readonly #refused = new Set<string>()
  #under: Promise<void> | undefined

  constructor(context: NodeContext, options: FoldingOptions, node: FoldingNode) {
    this.#context = context
    this.#options = options
    this.#node = node
  }

  /** Looks whether something is to be folded, and begins it: what it needs may have to be fetched. */
  async tick(nowMs: Milliseconds): Promise<void> {
    const { algorithm } = this.#options
    if (algorithm === undefined || this.#under !== undefined) return
    const since = new Map<string, Milliseconds>()
    let begun: readonly OldItem[] | undefined
    for (const due of await this.#due()) {
      const commitment = memberCommitment(due.map(({ contentId }) => contentId))
      const key = toHex(commitment)
      const sinceMs = this.#since.get(key) ?? nowMs
      since.set(key, sinceMs)
      if (this.#refused.has(key) || nowMs - sinceMs < this.#turn(commitment) * TURN_MS) continue
      begun ??= due
    }
    this.#since = since
    if (begun === undefined) return
    this.#under = this.#fold(begun, algorithm).finally(() => {
      this.#under = undefined
    })
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    await this.#under
  }

  /** One set for each kind of which there are too many. */
  async #due(): Promise<OldItem[][]> {
    const { shelf, book } = this.#context
    const signedAt = new Map<string, U64>()
    for (const { body, signedAtUnixMs } of book.entries("content_manifest")) {
      if (body.kind === "content_manifest") signedAt.set(body.hash, signedAtUnixMs)
    }
    const kinds = new Map<string, OldItem[]>()
    for (const item of shelf.items()) {
      const { corpusKind, contentId } = item.ref
      // When it was signed is the same for everybody; when it came here is not.
      const atUnixMs = signedAt.get(item.hash)
      if (atUnixMs === undefined || !mayFold(this.#options, corpusKind) || !this.#node.consents(item)) continue
      if (await shelf.isFolded(item.ref)) continue
      kinds.set(corpusKind, [...(kinds.get(corpusKind) ?? []), { item, contentId, atUnixMs }])
    }
    return [...kinds.values()].map((unfolded) => foldDue(unfolded)).filter((due) => due.length > 0)
  }

  /** How many peers that are here come before this one. */
  #turn(commitment: Bytes): number {
    const rank = (peer: PeerKeyId) => toHex(sha256Sync(concatBytes(commitment, utf8Encode(peer))))
    const own = rank(this.#context.self)
    return this.#context.peers.admitted().filter(({ keyId, heard }) => heard && rank(keyId) < own).length
  }

  async #fold(due: readonly OldItem[], algorithm: FoldAlgorithm): Promise<void> {
    const { signer, self, meshId, emit } = this.#context
    const ids = descendOrder(due.map(({ contentId }) => contentId))
    const commitment = memberCommitment(ids)
    const { corpusKind } = due[0]!.item.ref
    try {
      const members: { contentId: string; payload: Bytes }[] = []
      for (const contentId of ids) members.push({ contentId, payload: await this.#read({ contentId, corpusKind }) })
      const compositeId = toHex(
        sha256Sync(concatBytes(utf8Encode("HOLOMESH-FOLD-v1"), commitment, utf8Encode(self))).subarray(0, 16),
      )
      const { className = "PERSISTENT" } = this.#options
      const made = await makeFold(
        members,
        {
          compositeId,
          pyramidId: `${meshId}/${baseKind(corpusKind)}`,
          corpusKind,
          level: levelOf(corpusKind) + 1,
          algorithm,
          className,
        },
        signer,
      )
      // Somebody else may have been faster meanwhile.
      for (const { item } of due) if (await this.#context.shelf.isFolded(item.ref)) return
      await this.#node.fold(made, ids)
    } catch (error) {
      if (isAvError(error) && !isPassing(error)) this.#refuse(toHex(commitment))
      emit({ type: "rejected", peer: self, what: "fold", code: isAvError(error) ? error.code : "StorageUnavailable" })
    }
  }

  async #read(ref: ContentRef): Promise<Bytes> {
    const { manifest, symbols } = await this.#node.fetch(ref)
    try {
      return restoreContent(manifest, symbols)
    } catch (error) {
      if (!isAvError(error, "DecodeFailed")) throw error
      return restoreContent(manifest, (await this.#node.fetch(ref, { need: manifest.nSource + SPARE_SYMBOLS })).symbols)
    }
  }

  #refuse(key: string): void {
    if (this.#refused.size >= MAX_REFUSED) this.#refused.delete(this.#refused.values().next().value!)
    this.#refused.add(key)
  }
}

/** It may work another time. */
function isPassing(error: AvError): boolean {
  const codes = ["InsufficientSymbols", "Aborted", "QuotaExceeded", "StorageUnavailable", "LimitExceeded", "HandleClosedError"]
  return codes.includes(error.code)
}

function levelOf(corpusKind: string): number {
  return corpusKind.startsWith(AGGREGATE_PREFIX) ? 1 + levelOf(corpusKind.slice(AGGREGATE_PREFIX.length)) : 0
}

function baseKind(corpusKind: string): string {
  return corpusKind.slice(levelOf(corpusKind) * AGGREGATE_PREFIX.length)
}
