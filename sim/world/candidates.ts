/** Which of all relays a receiver looks at: those it is linked to, the planned one, and some others by lot, so that not all ask the same. */
import { mayFeed, type ParentCandidate, type TreeView } from "../../src/alm/index.ts"
import { hasRoomFor } from "../../src/wire/capacity.ts"
import { rttClass } from "../../src/wire/participant-state.ts"
import { oneWayMs } from "../model/places.ts"
import type { SimPeer } from "./peer.ts"
import type { SimRoom } from "./room.ts"

/** Round trip of a pair about which nothing is known, ms: what the tree assumes as well. */
const UNKNOWN_RTT_MS = 300
/** Less than the gain that is worth a switch. */
const LOT_MS = 40
/** Draws per candidate before one gives up: most of the room may be out of the question. */
const DRAWS = 6

/** What the receiver knows of a relay. */
function known(
  peer: SimPeer,
  candidate: ParentCandidate,
  room: SimRoom,
  tree: TreeView | undefined,
): ParentCandidate | undefined {
  const keyId = candidate.signedCapacity.advertiserKeyId
  const other = room.members.get(keyId)
  if (other === undefined) return undefined
  const linked = isLinked(peer, other, room)
  return {
    signedCapacity: candidate.signedCapacity,
    linked,
    // Whether somebody can be reached is seen by trying.
    reachabilityRatio: 1,
    rttMsEstimate: linked ? 2 * oneWayMs(peer.place, other.place) : throughFriend(peer, other, room),
    upstream: tree?.parentOf(keyId),
    currentSubscribers: room.plannedLoad(keyId),
  }
}

export function isLinked(a: SimPeer, b: SimPeer, room: SimRoom): boolean {
  return a.links.has(b.index) || a.up.has(b.index) || (room.ring.links.get(a.keyId)?.includes(b.keyId) ?? false)
}

/** The smallest sum over a common neighbour, from what both report about their links. */
function throughFriend(peer: SimPeer, other: SimPeer, room: SimRoom): number {
  const own = room.ring.links.get(peer.keyId)
  let best = Number.POSITIVE_INFINITY
  for (const friend of room.ring.links.get(other.keyId) ?? []) {
    if (!own?.includes(friend)) continue
    const { place } = room.members.get(friend) ?? peer
    const sum = rttClass(2 * oneWayMs(peer.place, place)) + rttClass(2 * oneWayMs(other.place, place))
    best = Math.min(best, sum)
  }
  return best === Number.POSITIVE_INFINITY ? UNKNOWN_RTT_MS + lot(peer, other) : best
}

/** Equal round trips are ordered by key id (D-26.1): without a lot of its own everybody would ask the same few relays first. */
function lot(peer: SimPeer, other: SimPeer): number {
  return ((Math.imul(peer.index + 1, 0x9e3779b1) ^ Math.imul(other.index + 1, 0x85ebca6b)) >>> 0) % LOT_MS
}

export function candidatesOf(peer: SimPeer, room: SimRoom, most: number, now: number): ParentCandidate[] {
  const all = room.candidates(now)
  const tree = room.treeFor(peer)
  const rooted = tree?.depthOf(peer.keyId) !== undefined ? tree : undefined
  const chosen = new Map<string, ParentCandidate>()
  const take = (candidate: ParentCandidate | undefined) => {
    if (candidate === undefined || chosen.has(candidate.signedCapacity.advertiserKeyId)) return
    if (!room.isVisible(candidate, peer, now)) return
    const seen = known(peer, candidate, room, tree)
    if (seen !== undefined) chosen.set(candidate.signedCapacity.advertiserKeyId, seen)
  }
  const near = [...(room.ring.links.get(peer.keyId) ?? [])]
  for (const hop of peer.up.values()) near.push(hop.parent.keyId)
  const planned = tree?.parentOf(peer.keyId)
  if (planned !== undefined) near.push(planned)
  near.push(...(peer.manager?.spares ?? []))
  for (const keyId of near) take(room.candidate(keyId, now))
  const depth = rooted?.depthOf(peer.keyId)
  const draw = (until: number, sameDepth: boolean) => {
    for (let draws = 0; draws < most * DRAWS && chosen.size < until; draws++) {
      const candidate = all[peer.random.below(all.length)]
      if (candidate === undefined) return
      const { advertiserKeyId, capacity } = candidate.signedCapacity
      if (rooted !== undefined && !mayFeed(rooted, peer.keyId, advertiserKeyId)) continue
      if (sameDepth && rooted?.depthOf(advertiserKeyId) !== depth) continue
      if (hasRoomFor(capacity, room.rateMbps, room.plannedLoad(advertiserKeyId))) take(candidate)
    }
  }
  // Relays near the source are few, and the only choice of those near the source: others leave them alone when they can.
  if (rooted !== undefined) draw(most >> 1, true)
  if (chosen.size < most >> 1) draw(most, false)
  return [...chosen.values()]
}
