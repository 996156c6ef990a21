/** Who is linked to whom for control, by the room's own rule, and how long a flood takes over these links. */
import { neighboursOnRing, ringOrder } from "../../src/membership/neighbours.ts"
import type { Bytes, PeerKeyId } from "../../src/wire/types.ts"

/** Floods are timed from so many members. */
const PROBES = 6

export class ControlRing {
  readonly links: ReadonlyMap<PeerKeyId, readonly PeerKeyId[]>
  /** Links that are used both ways count twice: what a flood sends at most. */
  readonly directedLinks: number
  /** Time in which a flood reached nineteen of twenty members, ms. */
  readonly floodMs: number
  /** Most links that a flood crossed. */
  readonly floodHops: number

  constructor(
    roomId: Bytes,
    members: readonly PeerKeyId[],
    canLink: (a: PeerKeyId, b: PeerKeyId) => boolean,
    oneWayMs: (a: PeerKeyId, b: PeerKeyId) => number,
  ) {
    const ring = ringOrder(roomId, members)
    const links = new Map<PeerKeyId, Set<PeerKeyId>>(ring.map((keyId) => [keyId, new Set()]))
    for (const [place, keyId] of ring.entries()) {
      for (const other of neighboursOnRing(ring, place, (candidate) => canLink(keyId, candidate))) {
        links.get(keyId)!.add(other)
        links.get(other)!.add(keyId)
      }
    }
    this.links = new Map([...links].map(([keyId, others]) => [keyId, [...others]]))
    let directed = 0
    for (const others of this.links.values()) directed += others.length
    this.directedLinks = directed
    const times: number[] = []
    let hops = 0
    for (let probe = 0; probe < Math.min(PROBES, ring.length); probe++) {
      const from = ring[Math.floor((probe * ring.length) / PROBES)] ?? ring[probe]!
      const reached = this.#flood(from, oneWayMs)
      for (const { at, hops: crossed } of reached) {
        times.push(at)
        hops = Math.max(hops, crossed)
      }
    }
    times.sort((a, b) => a - b)
    this.floodMs = times[Math.floor(times.length * 0.95)] ?? 0
    this.floodHops = hops
  }

  /** First arrival at everybody, in waves: ties and detours of less than a wave do not matter here. */
  #flood(from: PeerKeyId, oneWayMs: (a: PeerKeyId, b: PeerKeyId) => number): { at: number; hops: number }[] {
    const best = new Map<PeerKeyId, { at: number; hops: number }>([[from, { at: 0, hops: 0 }]])
    let wave = [from]
    while (wave.length > 0) {
      const next = new Set<PeerKeyId>()
      for (const keyId of wave) {
        const { at, hops } = best.get(keyId)!
        for (const other of this.links.get(keyId) ?? []) {
          const arrival = at + oneWayMs(keyId, other)
          const known = best.get(other)
          if (known !== undefined && known.at <= arrival) continue
          best.set(other, { at: arrival, hops: hops + 1 })
          next.add(other)
        }
      }
      wave = [...next]
    }
    return [...best.values()]
  }
}
