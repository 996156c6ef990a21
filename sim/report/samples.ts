/** Collects numbers and answers with percentiles; exact, since a simulation has few enough of each. */

export interface Summary {
  count: number
  mean: number
  p50: number
  p95: number
  p99: number
  max: number
}

export class Samples {
  #values = new Float64Array(256)
  #count = 0

  add(value: number): void {
    if (this.#count === this.#values.length) {
      const wider = new Float64Array(this.#count * 2)
      wider.set(this.#values)
      this.#values = wider
    }
    this.#values[this.#count++] = value
  }

  get count(): number {
    return this.#count
  }

  sorted(): Float64Array {
    return this.#values.slice(0, this.#count).sort()
  }

  /** At 0, 1, … 100 %; empty without samples. */
  percentiles(): number[] {
    const sorted = this.sorted()
    return sorted.length === 0 ? [] : Array.from({ length: 101 }, (_, percent) => rounded(percentile(sorted, percent / 100)))
  }

  summary(): Summary {
    const sorted = this.sorted()
    let sum = 0
    for (const value of sorted) sum += value
    return {
      count: sorted.length,
      mean: rounded(sorted.length === 0 ? 0 : sum / sorted.length),
      p50: rounded(percentile(sorted, 0.5)),
      p95: rounded(percentile(sorted, 0.95)),
      p99: rounded(percentile(sorted, 0.99)),
      max: rounded(sorted.at(-1) ?? 0),
    }
  }
}

/** The smallest value that at least this share of the sorted values does not exceed; 0 of nothing. */
export function percentile(sorted: ArrayLike<number>, share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0
}

/** Three decimals: enough for everything reported here, and the report stays readable. */
export function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000
}
