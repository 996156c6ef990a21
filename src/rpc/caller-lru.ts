/** A bounded memory of callers (control-plane 4.7). */
import type { NodeId } from "../wire/types.ts"

/**
 * Remembers something per caller and forgets the least recently used. Fill it only after the gate let the caller pass, and keep only
 * what can be worked out again: forgetting must not change any result.
 */
export class CallerLru<V> {
  readonly #cap: number
  // A Map iterates in the order of insertion: re-inserting on use makes the first key the oldest.
  readonly #values = new Map<NodeId, V>()

  constructor(cap = 4_096) {
    this.#cap = cap
  }

  get size(): number {
    return this.#values.size
  }

  get(caller: NodeId): V | undefined {
    const value = this.#values.get(caller)
    if (value === undefined) return undefined
    this.#values.delete(caller)
    this.#values.set(caller, value)
    return value
  }

  set(caller: NodeId, value: V): void {
    this.#values.delete(caller)
    if (this.#values.size >= this.#cap) {
      const [oldest] = this.#values.keys()
      if (oldest !== undefined) this.#values.delete(oldest)
    }
    this.#values.set(caller, value)
  }
}
