/** The reported links of a room as a graph, used in both directions (D33 c). */
import type { PeerKeyId } from "../../wire/types.ts"
import type { ReachabilityObservation } from "./types.ts"

/** Peers are named by their place in peer order. */
export class LinkGraph {
  readonly #place: ReadonlyMap<PeerKeyId, number>
  readonly #neighbours: Int32Array[]
  readonly #rttMs: Int32Array[]

  constructor(peers: readonly PeerKeyId[], observations: readonly ReachabilityObservation[]) {
    this.#place = new Map(peers.map((keyId, place) => [keyId, place]))
    const links = peers.map(() => new Map<number, number>())
    for (const { fromPeerId, toPeerId, observedRttMs } of observations) {
      const [from, to] = [this.#place.get(fromPeerId), this.#place.get(toPeerId)]
      if (from === undefined || to === undefined || from === to) continue
      shorter(links[from]!, to, observedRttMs)
      shorter(links[to]!, from, observedRttMs)
    }
    this.#neighbours = links.map((list) => Int32Array.from(list.keys()))
    this.#rttMs = links.map((list) => Int32Array.from(list.values()))
  }

  get size(): number {
    return this.#place.size
  }

  has(keyId: PeerKeyId): boolean {
    return this.#place.has(keyId)
  }

  placeOf(keyId: PeerKeyId): number | undefined {
    return this.#place.get(keyId)
  }

  /** Places of the direct neighbours. */
  neighbours(place: number): Int32Array {
    return this.#neighbours[place]!
  }

  /** The round trips beside {@link neighbours}, ms: the smaller one where both ends report. */
  roundTrips(place: number): Int32Array {
    return this.#rttMs[place]!
  }
}

function shorter(links: Map<number, number>, to: number, rttMs: number): void {
  const held = links.get(to)
  if (held === undefined || rttMs < held) links.set(to, rttMs)
}
