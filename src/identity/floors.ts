/** The lowest generation that still counts, per token issuer (control-plane 1.8). */
import { fromHex, toHex } from "../wire/bytes.ts"
import { MAX_GENERATION } from "../wire/floor-record.ts"
import type { Bytes } from "../wire/types.ts"
import { LruMap } from "./lru-map.ts"

export const MAX_FLOORS = 65_536

/** A floor as it is kept across restarts. */
export interface StoredFloor {
  /** Entity id in hex. */
  entity: string
  generation: number
  /** The signed record, where the floor came from one; it can be passed on to newcomers. */
  record?: Bytes
}

interface Floor {
  generation: number
  record?: Bytes
}

/**
 * Floors only rise. Whoever calls {@link raise} has verified the source: a signed record, the entity's own announcement, or the
 * operator. Issuers named as token roots are never evicted.
 */
export class FloorTable {
  readonly #roots = new Set<string>()
  readonly #floors: LruMap<string, Floor>

  constructor(capacity: number = MAX_FLOORS) {
    this.#floors = new LruMap(capacity, (entity) => this.#roots.has(entity))
  }

  get size(): number {
    return this.#floors.size
  }

  /** Keeps the floor of this issuer for good. */
  protect(entity: Bytes): void {
    this.#roots.add(toHex(entity))
  }

  isProtected(entity: Bytes): boolean {
    return this.#roots.has(toHex(entity))
  }

  /** The lowest generation that counts; 0 when nothing is known. */
  get(entity: Bytes): number {
    return this.#floors.get(toHex(entity))?.generation ?? 0
  }

  /** True when the floor rose. An equal floor only gains the record that proves it. */
  raise(entity: Bytes, generation: number, record?: Bytes): boolean {
    const key = toHex(entity)
    const known = this.#floors.get(key)
    if (generation === 0 || (known !== undefined && generation < known.generation)) return false
    const rose = generation > (known?.generation ?? 0)
    if (!rose && (record === undefined || known?.record !== undefined)) return false
    return this.#floors.set(key, record === undefined ? { generation } : { generation, record }) && rose
  }

  /** Signed records to give to a newcomer: those of roots first, then the youngest. */
  records(limit: number): Bytes[] {
    const all = [...this.#floors.entries()].reverse()
    const sorted = [...all.filter(([key]) => this.#roots.has(key)), ...all.filter(([key]) => !this.#roots.has(key))]
    const out: Bytes[] = []
    for (const [, { record }] of sorted) {
      if (record !== undefined && out.length < limit) out.push(record)
    }
    return out
  }

  /** Everything, oldest first, for storage. */
  snapshot(): StoredFloor[] {
    return [...this.#floors.entries()].map(([entity, floor]) => ({ entity, ...floor }))
  }

  /** Takes back what {@link snapshot} gave; damaged entries are skipped, floors that rose meanwhile stay. */
  restore(stored: readonly StoredFloor[]): void {
    for (const { entity, generation, record } of stored) {
      const valid =
        /^[0-9a-f]{64}$/.test(entity) && Number.isInteger(generation) && generation > 0 && generation <= MAX_GENERATION
      if (valid) this.raise(fromHex(entity), generation, record)
    }
  }
}
