/** Rate limits by key: so many at once, so many per second, a bounded number of keys (control-plane 2.7). */
import { LruMap } from "../identity/index.ts"
import type { Milliseconds } from "../wire/types.ts"

const MAX_KEYS = 65_536

export interface Rate {
  burst: number
  perSecond: number
}

interface Bucket {
  tokens: number
  at: Milliseconds
}

export class TokenBuckets {
  readonly #rate: Rate
  readonly #buckets = new LruMap<string, Bucket>(MAX_KEYS)

  constructor(rate: Rate) {
    this.#rate = rate
  }

  /** Takes one; false when the key has to wait. A clock that steps back gives nothing. */
  take(key: string, now: Milliseconds): boolean {
    const { burst, perSecond } = this.#rate
    const bucket = this.#buckets.get(key) ?? { tokens: burst, at: now }
    const elapsed = Math.max(0, now - bucket.at)
    const tokens = Math.min(burst, bucket.tokens + (elapsed * perSecond) / 1000)
    const taken = tokens >= 1
    this.#buckets.set(key, { tokens: taken ? tokens - 1 : tokens, at: now })
    return taken
  }

  /** Milliseconds until {@link take} will succeed; 0 when it would now. */
  waitFor(key: string, now: Milliseconds): Milliseconds {
    const bucket = this.#buckets.get(key)
    if (bucket === undefined) return 0
    const tokens = bucket.tokens + (Math.max(0, now - bucket.at) * this.#rate.perSecond) / 1000
    return tokens >= 1 ? 0 : Math.ceil(((1 - tokens) * 1000) / this.#rate.perSecond)
  }

  forget(key: string): void {
    this.#buckets.delete(key)
  }
}
