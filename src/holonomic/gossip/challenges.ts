/** Which holdings of others are to be proven, and when each is asked for: only what was proven counts in plans (N6). */
import type { Bytes, Milliseconds, PeerKeyId } from "../../wire/types.ts"
import { NEVER, type NodeContext, tell } from "./context.ts"
import type { HoldingBook } from "./holding-book.ts"
import { PossessionChallenger } from "./possession.ts"

/** Claims come in bunches, and so do answers: what found no place now is asked for after this. */
const AGAIN_MS = 500

export class Challenges {
  readonly #context: NodeContext
  readonly #book: HoldingBook
  readonly #challenger: PossessionChallenger
  /** Claims with something unproven, by peer. */
  readonly #waiting = new Map<PeerKeyId, Set<string>>()
  #atMs: Milliseconds = NEVER

  constructor(context: NodeContext, book: HoldingBook) {
    this.#context = context
    this.#book = book
    this.#challenger = new PossessionChallenger(book, context.random)
  }

  /** A peer has said what it holds of a content. */
  claimed(peerId: PeerKeyId, contentId: string, nowMs: Milliseconds): void {
    if (!this.#challenger.due(peerId, contentId, nowMs) || !this.#book.isUnproven(peerId, contentId, nowMs)) return
    const contents = this.#waiting.get(peerId) ?? new Set()
    contents.add(contentId)
    this.#waiting.set(peerId, contents)
    this.#atMs = Math.min(this.#atMs, nowMs)
  }

  /** Everything unproven, of all or of one peer: what could not be asked when it was claimed. */
  sweep(nowMs: Milliseconds, only?: PeerKeyId): void {
    for (const { peerId, contentId } of this.#book.unproven(nowMs)) {
      if (only === undefined || only === peerId) this.claimed(peerId, contentId, nowMs)
    }
  }

  /** What was claimed about a content that could not be judged until its manifest came. */
  known(contentId: string, nowMs: Milliseconds): void {
    for (const { peerId } of this.#book.sources(contentId, nowMs)) this.claimed(peerId, contentId, nowMs)
  }

  /** An answer by digest. Gives the content whose holding it was about; undefined when nobody waited for it. */
  proof(peerId: PeerKeyId, answer: { nonce: Bytes; digest: Bytes }, nowMs: Milliseconds): string | undefined {
    return this.#challenger.proof(peerId, answer, nowMs)
  }

  /** The same for an answer by the symbol itself. */
  symbol(peerId: PeerKeyId, frame: { req: number; symbolId: number; bytes: Bytes }, nowMs: Milliseconds): string | undefined {
    return this.#challenger.symbol(peerId, frame.req, frame.symbolId, frame.bytes, nowMs)
  }

  async tick(nowMs: Milliseconds): Promise<void> {
    this.#challenger.expire(nowMs)
    if (this.#atMs > nowMs) return
    this.#atMs = NEVER
    for (const [peerId, contents] of this.#waiting) {
      for (const contentId of contents) {
        if (this.#challenger.full) {
          this.#atMs = nowMs + AGAIN_MS
          return
        }
        contents.delete(contentId)
        await this.#challenge(peerId, contentId, nowMs)
      }
      if (contents.size === 0) this.#waiting.delete(peerId)
    }
  }

  nextTickMs(): Milliseconds {
    return this.#atMs
  }

  async #challenge(peerId: PeerKeyId, contentId: string, nowMs: Milliseconds): Promise<void> {
    const { shelf, peers } = this.#context
    const item = shelf.byId(contentId)[0]
    if (item === undefined || peers.get(peerId)?.mayAsk !== true) return
    const symbol = (id: number) => shelf.store.symbol(item.ref, id)
    const facts = { symbolHashes: item.manifest.symbolHashes, symbol }
    const probe = await this.#challenger.challenge(peerId, contentId, facts, nowMs)
    if (probe !== undefined) await tell(this.#context, [peerId], { t: "holo.probe", ...probe })
  }
}
