/** Who is subscribed to one stream, in the order of subscription, and who of them gets a chunk (av-mesh 7, D-4, D-19.4). */
import { admitsChunk } from "../wire/layers.ts"
import type { ChunkLayer, PeerKeyId, ReceiverLayerPolicy } from "../wire/types.ts"

export interface RosterEntry {
  readonly peer: PeerKeyId
  policy: ReceiverLayerPolicy
}

/** The one fan-out rule of the project: publishers and relays choose receivers with it, whatever they send through. */
export class Roster<S extends RosterEntry> {
  readonly #entries = new Map<PeerKeyId, S>()

  get size(): number {
    return this.#entries.size
  }

  get(peer: PeerKeyId): S | undefined {
    return this.#entries.get(peer)
  }

  /** Adds at the end, or takes the place of the entry of the same peer. */
  set(entry: S): void {
    this.#entries.set(entry.peer, entry)
  }

  delete(peer: PeerKeyId): S | undefined {
    const entry = this.#entries.get(peer)
    this.#entries.delete(peer)
    return entry
  }

  [Symbol.iterator](): IterableIterator<S> {
    return this.#entries.values()
  }

  peers(): PeerKeyId[] {
    return [...this.#entries.keys()]
  }

  /**
   * Everyone whose policy admits the chunk. An opaque chunk is for all, whatever its layer says (D-4).
   * @param except whom the chunk came from: it has it
   */
  *admitted(codecId: number, layer: ChunkLayer, except?: PeerKeyId): Generator<S> {
    for (const entry of this.#entries.values()) {
      if (entry.peer !== except && admitsChunk(entry.policy, codecId, layer)) yield entry
    }
  }
}
