/** Telling first deliveries from copies (av-mesh 8.8, 8.9, D-28). Recorded only after the inner open succeeded. */
import { AvError } from "../../wire/errors.ts"
import type { U64 } from "../../wire/types.ts"
import { REPLAY_WIDTH_LANES, type ReplayOutcome, ReplayWindow } from "../outer/index.ts"

/** One window per epoch, for the current and the previous epoch of a stream. */
export class ChunkDedup {
  readonly #windows = new Map<U64, ReplayWindow>()

  peek(epoch: U64, chunkSeq: U64): ReplayOutcome {
    return this.#windows.get(epoch)?.check(chunkSeq) ?? "Fresh"
  }

  /** Records an authentic chunk; says what it was. Call only after the chunk opened. */
  commit(epoch: U64, chunkSeq: U64): ReplayOutcome {
    let window = this.#windows.get(epoch)
    if (window === undefined) {
      window = new ReplayWindow(REPLAY_WIDTH_LANES)
      this.#windows.set(epoch, window)
      this.#dropOldest()
    }
    return window.admit(chunkSeq)
  }

  #dropOldest(): void {
    if (this.#windows.size <= 2) return
    let oldest: U64 | undefined
    for (const epoch of this.#windows.keys()) if (oldest === undefined || epoch < oldest) oldest = epoch
    if (oldest !== undefined) this.#windows.delete(oldest)
  }
}

/** The reference's ring of the last `capacity` keys: an older key counts as new again. */
export class DedupRing {
  readonly #capacity: number
  /** Insertion order is age. */
  readonly #keys = new Set<string>()

  constructor(capacity = 1_024) {
    if (!Number.isInteger(capacity) || capacity < 1) throw new AvError("UsageError", { capacity })
    this.#capacity = capacity
  }

  /** True when the key would be new. */
  peek(epoch: U64, chunkSeq: U64): boolean {
    return !this.#keys.has(`${epoch}/${chunkSeq}`)
  }

  commit(epoch: U64, chunkSeq: U64): void {
    this.#keys.add(`${epoch}/${chunkSeq}`)
    const oldest = this.#keys.keys().next()
    if (this.#keys.size > this.#capacity && !oldest.done) this.#keys.delete(oldest.value)
  }

  /** Peek and commit in one: true on the first sight of a key. */
  observe(epoch: U64, chunkSeq: U64): boolean {
    const fresh = this.peek(epoch, chunkSeq)
    if (fresh) this.commit(epoch, chunkSeq)
    return fresh
  }
}
