/** A map with a bound: the least recently written or touched entry goes first, protected ones stay. */

/** How many protected entries one insertion steps over before it gives up: a full table must not cost a full scan. */
const MAX_STEPS = 256

export class LruMap<K, V> {
  readonly #entries = new Map<K, V>()
  readonly #capacity: number
  readonly #isProtected: (key: K) => boolean

  /** @param isProtected keys that are never evicted to make room. */
  constructor(capacity: number, isProtected: (key: K) => boolean = () => false) {
    this.#capacity = capacity
    this.#isProtected = isProtected
  }

  get size(): number {
    return this.#entries.size
  }

  /** Reads without changing the order: reading what strangers ask for must not keep it alive. */
  get(key: K): V | undefined {
    return this.#entries.get(key)
  }

  has(key: K): boolean {
    return this.#entries.has(key)
  }

  /** Writes and makes the key the youngest. False when there is no room because everything old is protected. */
  set(key: K, value: V): boolean {
    const isNew = !this.#entries.delete(key)
    if (isNew && this.#entries.size >= this.#capacity && !this.#makeRoom()) return false
    this.#entries.set(key, value)
    return true
  }

  delete(key: K): boolean {
    return this.#entries.delete(key)
  }

  /** Oldest first. */
  entries(): IterableIterator<[K, V]> {
    return this.#entries.entries()
  }

  #makeRoom(): boolean {
    for (let step = 0; step < MAX_STEPS; step++) {
      const oldest = this.#entries.entries().next()
      if (oldest.done) return true
      const [key, value] = oldest.value
      this.#entries.delete(key)
      if (!this.#isProtected(key)) return true
      this.#entries.set(key, value)
    }
    return false
  }
}
