/** Who is linked to whom (RM-20, RM-38): everybody up to eight members, places on a ring above. */
import { ringPosition } from "../crypto/room-keys.ts"
import { compareBytes, compareUtf8 } from "../wire/bytes.ts"
import type { Bytes, PeerKeyId } from "../wire/types.ts"

/** Up to this many members, everybody is linked to everybody. */
export const FULL_MESH = 8

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

/** All members in the order of their places on the ring. */
export function ringOrder(roomId: Bytes, members: readonly PeerKeyId[]): PeerKeyId[] {
  return members
    .map((keyId) => ({ keyId, position: ringPosition(roomId, keyId) }))
    .sort((a, b) => compareBytes(a.position, b.position) || compareUtf8(a.keyId, b.keyId))
    .map(({ keyId }) => keyId)
}

/** {@link neighbours} of the member at place `own` of a ring that is known already; none for a place below 0. */
export function neighboursOnRing(
  ring: readonly PeerKeyId[],
  own: number,
  canLink: (keyId: PeerKeyId) => boolean = () => true,
): PeerKeyId[] {
  const size = ring.length
  const me = ring[own]
  if (me === undefined) return []
  const at = (ahead: number): PeerKeyId => ring[(((own + ahead) % size) + size) % size]!
  if (size <= FULL_MESH) {
    return Array.from({ length: size - 1 }, (_, i) => at(i + 1)).filter(canLink)
  }
  const links: PeerKeyId[] = []
  for (const place of [1, 2, -1, -2, Math.floor(size / 2), Math.floor(size / 4)]) {
    const wanted = at(place)
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
