/** All announcements this node holds, one per node, and who offers what (control-plane 2.9, D14). */
import type { Milliseconds, NodeId } from "../wire/types.ts"
import type { PolicyIndex } from "./authorize.ts"
import type { IndexEntry } from "./entry.ts"
import { serviceTag } from "./tags.ts"

const MAX_INDEX = 16_384

interface CapabilityIndexOptions {
  /** Entries that are never evicted: the own node, pinned roots, neighbours. */
  isProtected?: (node: NodeId) => boolean
  capacity?: number
}

export class CapabilityIndex implements PolicyIndex {
  readonly #entries = new Map<NodeId, IndexEntry>()
  readonly #byTag = new Map<string, Set<NodeId>>()
  readonly #isProtected: (node: NodeId) => boolean
  readonly #capacity: number
  readonly #listeners = new Set<() => void>()
  #generation = 0

  constructor(options: CapabilityIndexOptions = {}) {
    this.#isProtected = options.isProtected ?? (() => false)
    this.#capacity = options.capacity ?? MAX_INDEX
  }

  get size(): number {
    return this.#entries.size
  }

  /** Rises with every change. Compare it after subscribing: whoever missed the call sees the difference. */
  get changeGeneration(): number {
    return this.#generation
  }

  /** Calls back after each change; the returned function ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The entry of a node; an expired one is absent at once, before any sweep. */
  get(node: NodeId, now: Milliseconds): IndexEntry | undefined {
    const entry = this.#entries.get(node)
    return entry !== undefined && now < entry.expiresAt ? entry : undefined
  }

  view(node: NodeId, now: Milliseconds): IndexEntry | undefined {
    return this.get(node, now)
  }

  has(node: NodeId): boolean {
    return this.#entries.has(node)
  }

  /** Replaces the node's whole entry, its policy included. Above the bound the entry that expires first goes, perhaps this one. */
  put(entry: IndexEntry): void {
    this.#unlink(entry.node)
    this.#entries.set(entry.node, entry)
    for (const tag of entry.tags) {
      const nodes = this.#byTag.get(tag)
      if (nodes === undefined) this.#byTag.set(tag, new Set([entry.node]))
      else nodes.add(entry.node)
    }
    if (this.#entries.size > this.#capacity) this.#evict(entry)
    this.#changed()
  }

  delete(node: NodeId): void {
    if (this.#unlink(node)) this.#changed()
  }

  /** Removes what has expired; to be called once a minute. */
  sweep(now: Milliseconds): number {
    const expired = [...this.#entries.values()].filter((entry) => now >= entry.expiresAt)
    for (const entry of expired) this.#unlink(entry.node)
    if (expired.length > 0) this.#changed()
    return expired.length
  }

  /** Nodes with a live entry that has the tag, ascending. */
  nodesWithTag(tag: string, now: Milliseconds): NodeId[] {
    const nodes = this.#byTag.get(tag) ?? []
    return [...nodes].filter((node) => this.get(node, now) !== undefined).sort()
  }

  /** Nodes that offer the service, ascending; `self` only when asked for. */
  findServiceNodes(service: string, now: Milliseconds, options: { self?: NodeId; includeSelf?: boolean } = {}): NodeId[] {
    const nodes = this.nodesWithTag(serviceTag(service), now)
    return options.includeSelf === true ? nodes : nodes.filter((node) => node !== options.self)
  }

  /** Live entries, the most recently accepted first. */
  freshest(now: Milliseconds): IndexEntry[] {
    const live = [...this.#entries.values()].filter((entry) => now < entry.expiresAt)
    return live.sort((a, b) => b.acceptedAt - a.acceptedAt || (a.node < b.node ? -1 : 1))
  }

  #evict(newest: IndexEntry): void {
    let victim: IndexEntry | undefined
    for (const entry of this.#entries.values()) {
      if (this.#isProtected(entry.node)) continue
      if (victim === undefined || entry.expiresAt < victim.expiresAt) victim = entry
    }
    // Everything protected: the bound holds all the same.
    this.#unlink((victim ?? newest).node)
  }

  #unlink(node: NodeId): boolean {
    const entry = this.#entries.get(node)
    if (entry === undefined) return false
    this.#entries.delete(node)
    for (const tag of entry.tags) {
      const nodes = this.#byTag.get(tag)
      nodes?.delete(node)
      if (nodes?.size === 0) this.#byTag.delete(tag)
    }
    return true
  }

  #changed(): void {
    this.#generation++
    for (const listener of this.#listeners) listener()
  }
}
