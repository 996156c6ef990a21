/** When the committer starts a commit and what goes into it (RM-8, RM-28). */
import type { Milliseconds, PeerKeyId } from "../wire/types.ts"

const GATHER_MS = 50
const BETWEEN_STARTS_MS = 250
/** Adds in one commit. */
const MAX_ADDS = 64

export interface Batch<Add, Remove> {
  adds: Add[]
  removes: Remove[]
}

/** Waiting adds and removes of one committer. One entry per key id and kind; a newer one takes the older one's place in the queue. */
export class BatchQueue<Add extends { keyId: PeerKeyId }, Remove extends { keyId: PeerKeyId; urgent: boolean }> {
  readonly #adds = new Map<PeerKeyId, { item: Add; since: Milliseconds }>()
  readonly #removes = new Map<PeerKeyId, { item: Remove; since: Milliseconds }>()
  #lastStart = Number.NEGATIVE_INFINITY
  #open = false

  get waitingAdds(): number {
    return this.#adds.size
  }

  /** True while a commit is being made. */
  get open(): boolean {
    return this.#open
  }

  hasAdd(keyId: PeerKeyId): boolean {
    return this.#adds.has(keyId)
  }

  hasRemove(keyId: PeerKeyId): boolean {
    return this.#removes.has(keyId)
  }

  add(item: Add, now: Milliseconds): void {
    this.#adds.set(item.keyId, { item, since: this.#adds.get(item.keyId)?.since ?? now })
  }

  /** An urgent one (reason `removed`) starts the batch as soon as no commit is open. */
  remove(item: Remove, now: Milliseconds): void {
    const waiting = this.#removes.get(item.keyId)
    if (waiting?.item.urgent === true && !item.urgent) return
    this.#removes.set(item.keyId, { item, since: waiting?.since ?? now })
  }

  dropAdd(keyId: PeerKeyId): void {
    this.#adds.delete(keyId)
  }

  dropRemove(keyId: PeerKeyId): void {
    this.#removes.delete(keyId)
  }

  /** When the next commit is due; undefined while nothing waits or a commit is open. */
  dueAt(): Milliseconds | undefined {
    if (this.#open) return undefined
    let first = Number.POSITIVE_INFINITY
    let urgent = Number.POSITIVE_INFINITY
    for (const { since } of this.#adds.values()) first = Math.min(first, since)
    for (const { since, item } of this.#removes.values()) {
      first = Math.min(first, since)
      if (item.urgent) urgent = Math.min(urgent, since)
    }
    if (first === Number.POSITIVE_INFINITY) return undefined
    return Math.min(urgent, Math.max(first + GATHER_MS, this.#lastStart + BETWEEN_STARTS_MS))
  }

  /** Takes the batch that is due at `now` and counts as open until {@link BatchQueue.done}; undefined when none is due. */
  start(now: Milliseconds): Batch<Add, Remove> | undefined {
    const due = this.dueAt()
    if (due === undefined || due > now) return undefined
    const batch: Batch<Add, Remove> = { adds: [], removes: [...this.#removes.values()].map(({ item }) => item) }
    this.#removes.clear()
    for (const [keyId, { item }] of this.#adds) {
      if (batch.adds.length === MAX_ADDS) break
      batch.adds.push(item)
      this.#adds.delete(keyId)
    }
    this.#lastStart = now
    this.#open = true
    return batch
  }

  /** The commit is made, or came to nothing. */
  done(): void {
    this.#open = false
  }

  clear(): void {
    this.#adds.clear()
    this.#removes.clear()
    this.#open = false
  }
}
