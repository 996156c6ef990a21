/** Streams that are asked for in vain: a publisher that is full is no reason to see nothing. */
import type { Milliseconds } from "../../wire/types.ts"
import type { Upstream } from "../upstream.ts"

/** A publisher that has not accepted for so long is full: others are asked even if nobody promises to relay, ms. */
const REFUSED_MS = 3_000

export class Refusals {
  readonly #since = new Map<Upstream, Milliseconds>()

  /** Call it about once a second for each stream that no driver has. */
  isRefused(upstream: Upstream, now: Milliseconds): boolean {
    if (!upstream.isRefused) {
      this.#since.delete(upstream)
      return false
    }
    const since = this.#since.get(upstream) ?? now
    this.#since.set(upstream, since)
    return now - since >= REFUSED_MS
  }

  /** Only these are taken any more. */
  keep(all: readonly Upstream[]): void {
    for (const upstream of this.#since.keys()) if (!all.includes(upstream)) this.#since.delete(upstream)
  }
}
