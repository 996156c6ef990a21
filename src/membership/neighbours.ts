/** Who is linked to whom (RM-20, RM-38): everybody up to eight members, places on a ring above. */
import { ringPosition } from "../crypto/room-keys.ts"
import { compareBytes, compareUtf8, equalBytes } from "../wire/bytes.ts"
import type { Bytes, PeerKeyId } from "../wire/types.ts"

/** Up to this many members, everybody is linked to everybody. */
export const FULL_MESH = 8

/** How many links a room makes. Anything but the default is for tests of large rooms with few pages. */
export interface RingRules {
  /** Up to this many members everybody is linked to everybody. */
  fullMesh: number
  /** Above: how many of the places on the ring are taken, the most important first. */
  places: number
}

export const RING_RULES: RingRules = { fullMesh: FULL_MESH, places: 6 }

/** Rules that give each member about that many links of its own choice. */
export function ringRules(maxNeighbours: number | undefined): RingRules {
  if (maxNeighbours === undefined) return RING_RULES
  return { fullMesh: Math.min(FULL_MESH, maxNeighbours + 1), places: Math.min(RING_RULES.places, maxNeighbours) }
}

/** The members `me` should have links to, in order of importance. `canLink` says whether a link to that member can be made at all. */
export function neighbours(
  roomId: Bytes,
  members: readonly PeerKeyId[],
  me: PeerKeyId,
  canLink: (keyId: PeerKeyId) => boolean = () => true,
): PeerKeyId[] {
  const ring = ringOrder(roomId, members)
  return neighboursOnRing(ring, ring.indexOf(me), canLink)
}

/** The members that have `own` among their places: they call this one, or wait for its call. */
export function callersOnRing(ring: readonly PeerKeyId[], own: number, rules: RingRules = RING_RULES): PeerKeyId[] {
  const size = ring.length
  const me = ring[own]
  if (me === undefined) return []
  if (size <= rules.fullMesh) return ring.filter((keyId) => keyId !== me)
  const callers = places(size, rules).map((place) => ring[(((own - place) % size) + size) % size]!)
  return [...new Set(callers)].filter((keyId) => keyId !== me)
}

/** How far ahead on a ring of that size the wanted places are, the most important first (RM-38). */
function places(size: number, rules: RingRules): number[] {
  return [1, 2, -1, -2, Math.floor(size / 2), Math.floor(size / 4)].slice(0, rules.places)
}

/** All members in the order of their places on the ring. */
export function ringOrder(roomId: Bytes, members: readonly PeerKeyId[]): PeerKeyId[] {
  return new RingOrder().of(roomId, members)
}

/** {@link ringOrder} of a room as its members come and go: a place is worked out once for each. */
export class RingOrder {
  #roomId: Bytes = new Uint8Array()
  #positions = new Map<PeerKeyId, Bytes>()

  of(roomId: Bytes, members: readonly PeerKeyId[]): PeerKeyId[] {
    const known = equalBytes(roomId, this.#roomId) ? this.#positions : new Map<PeerKeyId, Bytes>()
    // Only members are kept.
    this.#positions = new Map(members.map((keyId) => [keyId, known.get(keyId) ?? ringPosition(roomId, keyId)]))
    this.#roomId = roomId.slice()
    return [...this.#positions]
      .sort(([a, first], [b, second]) => compareBytes(first, second) || compareUtf8(a, b))
      .map(([id]) => id)
  }
}

/** {@link neighbours} of the member at place `own` of a ring that is known already; none for a place below 0. */
export function neighboursOnRing(
  ring: readonly PeerKeyId[],
  own: number,
  canLink: (keyId: PeerKeyId) => boolean = () => true,
  rules: RingRules = RING_RULES,
): PeerKeyId[] {
  const size = ring.length
  const me = ring[own]
  if (me === undefined) return []
  const at = (ahead: number): PeerKeyId => ring[(((own + ahead) % size) + size) % size]!
  if (size <= rules.fullMesh) {
    return Array.from({ length: size - 1 }, (_, i) => at(i + 1)).filter(canLink)
  }
  const links: PeerKeyId[] = []
  for (const place of places(size, rules)) {
    const wanted = at(place)
    // In a very small ring, which only a test asks for, a place may be this member's own.
    if (wanted === me) continue
    if (canLink(wanted)) {
      if (!links.includes(wanted)) links.push(wanted)
      continue
    }
    for (let step = 1; step < size; step++) {
      const other = at(place + step)
      if (other === me || !canLink(other) || links.includes(other)) continue
      links.push(other)
      break
    }
  }
  return links
}
