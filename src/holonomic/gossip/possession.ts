/**
 * Proof that a peer really has what it claims (D10): one of its symbols at random, a nonce, two seconds. Both sides, without I/O.
 */
import { equalBytes, toHex } from "../../wire/bytes.ts"
import type { Bytes, Milliseconds, PeerKeyId, RandomBytes } from "../../wire/types.ts"
import { probeDigest } from "../claims/digests.ts"
import { verifySymbolAgainstManifest } from "../content/manifest.ts"
import type { HoldingBook } from "./holding-book.ts"

const ANSWER_WITHIN_MS = 2_000
/** One challenge per peer and content in this time. */
export const CHALLENGE_EVERY_MS = 600_000
/** Challenges under way at once. */
const MAX_PENDING = 256
/** Pairs of peer and content whose last challenge is remembered. */
const MAX_REMEMBERED = 100_000

interface Probe {
  contentId: string
  symbolId: number
  nonce: Bytes
  /** True: a digest is enough, the challenger has the symbol too. */
  held: boolean
  req: number
}

/** What the challenger knows about a content. */
interface ChallengeFacts {
  /** Hashes of the symbols; without them an answer could not be judged. */
  symbolHashes: readonly string[]
  /** Own copies of symbols. */
  symbol(symbolId: number): Promise<Bytes | undefined>
}

interface Pending {
  peerId: PeerKeyId
  probe: Probe
  expected: Bytes | undefined
  symbolHashes: readonly string[]
  untilMs: Milliseconds
}

export class PossessionChallenger {
  readonly #book: HoldingBook
  readonly #random: RandomBytes
  readonly #pending = new Map<string, Pending>()
  readonly #last = new Map<string, Milliseconds>()
  #req = 0

  constructor(book: HoldingBook, random: RandomBytes) {
    this.#book = book
    this.#random = random
  }

  /** Whether this peer may be challenged about this content again. */
  due(peerId: PeerKeyId, contentId: string, nowMs: Milliseconds): boolean {
    const last = this.#last.get(pairOf(peerId, contentId))
    return last === undefined || nowMs - last >= CHALLENGE_EVERY_MS
  }

  /** As many are under way as there may be. */
  get full(): boolean {
    return this.#pending.size >= MAX_PENDING
  }

  /** A challenge about a claim; undefined when none may be made, or when its answer could not be judged. */
  async challenge(peerId: PeerKeyId, contentId: string, facts: ChallengeFacts, nowMs: Milliseconds): Promise<Probe | undefined> {
    const claim = this.#book.claim(peerId, contentId)
    if (claim === undefined || this.full || !this.due(peerId, contentId, nowMs)) return undefined
    const known = claim.symbolIds.filter((id) => id < facts.symbolHashes.length)
    if (known.length === 0) return undefined
    const symbolId = known[below(this.#random, known.length)]!
    const nonce = this.#random(32)
    const own = await facts.symbol(symbolId)
    this.#req = (this.#req + 1) & 0x7fff_ffff
    const probe: Probe = { contentId, symbolId, nonce, held: own !== undefined, req: this.#req }
    const expected = own && probeDigest(nonce, contentId, symbolId, own)
    const untilMs = nowMs + ANSWER_WITHIN_MS
    this.#pending.set(toHex(nonce), { peerId, probe, expected, symbolHashes: facts.symbolHashes, untilMs })
    if (this.#last.size >= MAX_REMEMBERED) this.#last.delete(this.#last.keys().next().value!)
    this.#last.set(pairOf(peerId, contentId), nowMs)
    return probe
  }

  /** An answer by digest. Gives the content it was about; undefined when nobody waited for it. */
  proof(peerId: PeerKeyId, { nonce, digest }: { nonce: Bytes; digest: Bytes }, nowMs: Milliseconds): string | undefined {
    const key = toHex(nonce)
    const pending = this.#pending.get(key)
    if (pending?.peerId !== peerId || pending.expected === undefined) return undefined
    this.#pending.delete(key)
    this.#judge(pending, equalBytes(digest, pending.expected), nowMs)
    return pending.probe.contentId
  }

  /** An answer by the bytes themselves. Gives the content it was about; undefined when `req` is no challenge of this peer. */
  symbol(peerId: PeerKeyId, req: number, symbolId: number, bytes: Bytes, nowMs: Milliseconds): string | undefined {
    for (const [key, pending] of this.#pending) {
      if (pending.peerId !== peerId || pending.probe.req !== req || pending.probe.held) continue
      this.#pending.delete(key)
      const right = symbolId === pending.probe.symbolId && verifySymbolAgainstManifest(bytes, symbolId, pending.symbolHashes)
      this.#judge(pending, right, nowMs)
      return pending.probe.contentId
    }
    return undefined
  }

  /** Forgets challenges nobody answered: their claims stay what they were. */
  expire(nowMs: Milliseconds): void {
    for (const [key, { untilMs }] of this.#pending) if (nowMs > untilMs) this.#pending.delete(key)
  }

  #judge({ peerId, probe, untilMs }: Pending, right: boolean, nowMs: Milliseconds): void {
    // Too late is as good as no answer.
    if (nowMs > untilMs) return
    if (right) this.#book.proved(peerId, probe.contentId, nowMs)
    else this.#book.caught(peerId, probe.contentId)
  }
}

function pairOf(peerId: PeerKeyId, contentId: string): string {
  return JSON.stringify([peerId, contentId])
}

/** Uniform in [0, limit) for limits far below 2^32. */
export function below(random: RandomBytes, limit: number): number {
  const bytes = random(4)
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) % limit
}
