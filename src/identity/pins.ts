/** Which entity stands behind a node id, on first use (control-plane 1.7). A later other entity is refused. */
import { ctEqual } from "../crypto/index.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, NodeId } from "../wire/types.ts"

/** Bound of the table; a stranger can fill it only by completing session proofs. */
export const MAX_PINS = 65_536

/**
 * `node id → entity id`, least recently used out first. Written only after a completed session proof or a directly received,
 * verified announcement; reading never writes.
 */
export class PinTable {
  readonly #pins = new Map<NodeId, Bytes>()
  readonly #permanent = new Map<NodeId, Bytes>()
  readonly #capacity: number
  #refused = 0

  constructor(capacity: number = MAX_PINS) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#pins.size + this.#permanent.size
  }

  /** How often another entity was presented for a pinned node id. */
  get refused(): number {
    return this.#refused
  }

  /** True for entries that are never evicted. */
  isPermanent(node: NodeId): boolean {
    return this.#permanent.has(node)
  }

  get(node: NodeId): Bytes | undefined {
    return this.#permanent.get(node) ?? this.#pins.get(node)
  }

  /** Pins an entity that is never evicted: the local node, and entities named as token roots. */
  pinForever(node: NodeId, entity: Bytes): void {
    this.#require(node, entity)
    this.#pins.delete(node)
    this.#permanent.set(node, entity)
  }

  /** Records an authenticated binding. Another entity under a pinned node id is `EntityRebind`; nothing changes then. */
  pin(node: NodeId, entity: Bytes): void {
    this.#require(node, entity)
    if (this.#permanent.has(node)) return
    this.#pins.delete(node)
    this.#pins.set(node, entity)
    const oldest = this.#pins.keys().next()
    if (this.#pins.size > this.#capacity && !oldest.done) this.#pins.delete(oldest.value)
  }

  /** True when the claim contradicts a pin: such a message is dropped. */
  contradicts(node: NodeId, entity: Bytes): boolean {
    const known = this.get(node)
    return known !== undefined && !ctEqual(known, entity)
  }

  #require(node: NodeId, entity: Bytes): void {
    if (!this.contradicts(node, entity)) return
    this.#refused++
    throw new AvError("EntityRebind", { node })
  }
}
