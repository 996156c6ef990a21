/** Fixed-window counters with a bounded number of keys (control-plane 6.7). */
import type { Milliseconds } from "../wire/types.ts"
import type { Budget } from "./limits.ts"

const MAX_KEYS = 16_384

interface Window {
  endsAt: Milliseconds
  used: number
}

/**
 * Counts per key within a window that starts with the key's first use. Keys are forgotten lazily; above 16 384 live keys the
 * oldest goes, because memory is worth more than the budget of somebody who has been waiting longest.
 */
export class FixedWindows {
  readonly #budget: Budget
  readonly #windows = new Map<string, Window>()

  constructor(budget: Budget) {
    this.#budget = budget
  }

  /** Takes `amount` when it fits; returns 0 when taken, else the milliseconds until the window ends (at least 1). */
  take(key: string, now: Milliseconds, amount = 1): Milliseconds {
    const [limit, windowMs] = this.#budget
    let window = this.#windows.get(key)
    if (window === undefined || now >= window.endsAt) {
      this.#windows.delete(key)
      if (this.#windows.size >= MAX_KEYS) this.#makeRoom(now)
      window = { endsAt: now + windowMs, used: 0 }
      this.#windows.set(key, window)
    }
    if (window.used + amount > limit) return Math.max(1, window.endsAt - now)
    window.used += amount
    return 0
  }

  forget(key: string): void {
    this.#windows.delete(key)
  }

  get size(): number {
    return this.#windows.size
  }

  /** Insertion order is the order of window ends, so the expired ones are at the front. */
  #makeRoom(now: Milliseconds): void {
    for (const [key, window] of this.#windows) {
      if (now < window.endsAt && this.#windows.size < MAX_KEYS) return
      this.#windows.delete(key)
    }
  }
}
