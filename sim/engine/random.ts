/** Seeded randomness. Every subject draws from a stream of its own, so that one more draw somewhere changes nothing elsewhere. */

const UINT32 = 0x1_0000_0000

/** Small fast counter generator (sfc32) over 128 bits of state. */
export class Random {
  #a: number
  #b: number
  #c: number
  #d: number
  readonly #seed: number
  readonly #label: string

  /** `label` names the subject; the same seed and label give the same numbers on every machine. */
  constructor(seed: number, label: string) {
    this.#seed = seed
    this.#label = label
    const words = scatter(seed, label)
    this.#a = words()
    this.#b = words()
    this.#c = words()
    this.#d = 1
    for (let round = 0; round < 12; round++) this.uint32()
  }

  /** An independent stream for a part of this subject. */
  fork(label: string): Random {
    return new Random(this.#seed, `${this.#label}/${label}`)
  }

  uint32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#d) | 0
    this.#d = (this.#d + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    this.#c |= 0
    return sum >>> 0
  }

  /** In [0, 1). */
  unit(): number {
    return this.uint32() / UINT32
  }

  /** A whole number in [0, limit). */
  below(limit: number): number {
    return Math.floor(this.unit() * limit)
  }

  between(low: number, high: number): number {
    return low + this.unit() * (high - low)
  }

  chance(probability: number): boolean {
    return probability > 0 && this.unit() < probability
  }

  /** Exponentially distributed: the time between events that come `1 / mean` per unit. */
  exponential(mean: number): number {
    return -Math.log(1 - this.unit()) * mean
  }
}

/** Words from an FNV-1a hash of the label, mixed with the seed by the finaliser of murmur3. */
function scatter(seed: number, label: string): () => number {
  let hash = 0x811c9dc5
  for (let i = 0; i < label.length; i++) hash = Math.imul(hash ^ label.charCodeAt(i), 0x01000193)
  let state = (hash ^ Math.imul(seed | 0, 0x9e3779b1) ^ Math.floor(seed / UINT32)) | 0
  return () => {
    state = (state + 0x9e3779b9) | 0
    let word = state
    word = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
    word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35)
    return word ^ (word >>> 16)
  }
}
