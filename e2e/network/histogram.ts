/** Milliseconds counted in bins of one: quantiles of every packet without keeping the packets. */

const BINS = 4_000

export class DelayHistogram {
  readonly #bins = new Uint32Array(BINS)
  #count = 0

  add(ms: number): void {
    const bin = Math.min(BINS - 1, Math.max(0, Math.round(ms)))
    this.#bins[bin] = (this.#bins[bin] ?? 0) + 1
    this.#count++
  }

  get count(): number {
    return this.#count
  }

  /** The value below or at which the share `q` lies; 0 when nothing was counted. */
  quantile(q: number): number {
    let left = this.#count * q
    for (const [ms, count] of this.#bins.entries()) {
      left -= count
      if (left <= 0 && this.#count > 0) return ms
    }
    return 0
  }

  clear(): void {
    this.#bins.fill(0)
    this.#count = 0
  }
}
