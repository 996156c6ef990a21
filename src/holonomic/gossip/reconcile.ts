/**
 * Brings the claims of two peers together: asks for hashes, then for the claims that are missing. The union is the result, whatever
 * the order; nothing is deleted because the other side lacks it. One walk per peer at a time, without I/O.
 */
import { fromHex, toHex } from "../../wire/bytes.ts"
import type { Bytes, Milliseconds, U64 } from "../../wire/types.ts"
import { bucketDigests, differingBuckets } from "./buckets.ts"
import type { KeyedClaim } from "./claim-book.ts"
import type { DurableKind } from "./durable.ts"
import { type HoloMessage, type HoloMessageOf, MAX_CLAIM_HASHES, MAX_CLAIMS } from "./messages.ts"

/** An answer that takes longer is asked for again, this many times. */
const ANSWER_WITHIN_MS = 5_000
const MAX_TRIES = 3
/** Claims wanted from one peer that are waited for at once. */
const MAX_WANTED = 20_000

/** What the walk needs to know about our own claims. */
interface ReconcileFacts {
  has(hash: string): boolean
  /** Our leaf hashes, ascending. */
  hashes(epochId: U64, kind: DurableKind | undefined): readonly Bytes[]
}

interface WalkOptions {
  epochId: U64
  /** Only claims of this kind. */
  kind?: DurableKind
}

type Waiting = { request: HoloMessage; sinceMs: Milliseconds; tries: number }

/** One walk over the claims of one peer. */
export class ReconcileWalk {
  readonly #facts: ReconcileFacts
  readonly #options: WalkOptions
  readonly #buckets: number[] = []
  readonly #wanted: string[] = []
  readonly #asked = new Set<string>()
  readonly #theirs = new Set<string>()
  #complete = true
  #waiting: Waiting | undefined
  #state: "hashes" | "claims" | "done" | "failed" = "hashes"

  constructor(facts: ReconcileFacts, options: WalkOptions) {
    this.#facts = facts
    this.#options = options
  }

  get options(): WalkOptions {
    return this.#options
  }

  /** `failed`: the other side does not answer. */
  get state(): "hashes" | "claims" | "done" | "failed" {
    return this.#state
  }

  start(nowMs: Milliseconds): HoloMessage[] {
    return this.#ask(this.#leavesRequest({}), nowMs)
  }

  /** The answer with hashes or digests; answers to something else are ignored. */
  leaves(message: HoloMessageOf<"holo.leaves">, nowMs: Milliseconds): HoloMessage[] {
    const waiting = this.#waiting?.request
    if (waiting?.t !== "holo.leaves?" || message.epochId !== waiting.epochId) return []
    if (message.bucket !== waiting.bucket || message.claimKind !== waiting.claimKind) return []
    this.#waiting = undefined
    if (message.buckets !== undefined) {
      const ours = bucketDigests(this.#facts.hashes(this.#options.epochId, this.#options.kind))
      this.#buckets.push(...differingBuckets(ours, message.buckets))
      // Of the buckets that are alike nothing is listed, so what they lack is known for the others only.
      this.#complete = false
    }
    for (const hash of message.hashes ?? []) {
      const hex = toHex(hash)
      this.#theirs.add(hex)
      if (!this.#facts.has(hex) && this.#wanted.length < MAX_WANTED) this.#wanted.push(hex)
    }
    if (message.next !== undefined) {
      const { bucket } = waiting
      return this.#ask(this.#leavesRequest({ ...(bucket !== undefined && { bucket }), next: message.next }), nowMs)
    }
    const bucket = this.#buckets.shift()
    if (bucket !== undefined) return this.#ask(this.#leavesRequest({ bucket }), nowMs)
    return this.#nextClaims(nowMs)
  }

  /** True when this claim was asked for here; each counts once. */
  expects(hash: string): boolean {
    return this.#asked.delete(hash)
  }

  /** To be called when the claims of a message were taken in. */
  progressed(nowMs: Milliseconds): HoloMessage[] {
    if (this.#state !== "claims") return []
    if (this.#waiting !== undefined) this.#waiting.sinceMs = nowMs
    return this.#asked.size === 0 ? this.#nextClaims(nowMs) : []
  }

  /** Leaf hashes that the other side does not have, as far as it listed its own; known when the walk is done. */
  lacking(): string[] {
    if (!this.#complete) return []
    return this.#facts
      .hashes(this.#options.epochId, this.#options.kind)
      .map(toHex)
      .filter((hash) => !this.#theirs.has(hash))
  }

  tick(nowMs: Milliseconds): HoloMessage[] {
    const waiting = this.#waiting
    if (waiting === undefined || nowMs - waiting.sinceMs < ANSWER_WITHIN_MS) return []
    waiting.tries += 1
    waiting.sinceMs = nowMs
    if (waiting.tries <= MAX_TRIES) return [waiting.request]
    this.#waiting = undefined
    // Claims that do not come: dropped by them, or refused here. The rest may still be had.
    if (this.#state === "claims") {
      this.#asked.clear()
      return this.#nextClaims(nowMs)
    }
    this.#state = "failed"
    return []
  }

  #nextClaims(nowMs: Milliseconds): HoloMessage[] {
    this.#state = "claims"
    this.#waiting = undefined
    const hashes: string[] = []
    while (hashes.length < MAX_CLAIM_HASHES && this.#wanted.length > 0) {
      const hash = this.#wanted.shift()!
      if (!this.#facts.has(hash)) hashes.push(hash)
    }
    if (hashes.length === 0) {
      this.#state = "done"
      return []
    }
    for (const hash of hashes) this.#asked.add(hash)
    return this.#ask({ t: "holo.claims?", hashes: hashes.map((hash) => fromHex(hash)) }, nowMs)
  }

  #leavesRequest(change: { bucket?: number; next?: Bytes }): HoloMessage {
    const { epochId, kind } = this.#options
    return { t: "holo.leaves?", epochId, ...(kind !== undefined && { claimKind: kind }), ...change }
  }

  #ask(request: HoloMessage, nowMs: Milliseconds): HoloMessage[] {
    this.#waiting = { request, sinceMs: nowMs, tries: 1 }
    return [request]
  }
}

/** Splits claims over messages that keep to the limit. */
export function claimsMessages(found: readonly KeyedClaim[]): HoloMessage[] {
  const messages: HoloMessage[] = []
  for (let i = 0; i < found.length; i += MAX_CLAIMS) {
    const part = found.slice(i, i + MAX_CLAIMS)
    const keys = new Map(part.map(({ claim, keys: of }) => [claim.signerPeerId, of]))
    messages.push({ t: "holo.claims", claims: part.map(({ claim }) => claim), keys: [...keys.values()] })
  }
  return messages
}
