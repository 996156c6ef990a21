/** The shape of what has come about: who is fed, how far from the source, by how many. */
import type { World } from "../world/world.ts"

export interface Structure {
  receivers: number
  /** With so many live parents that deliver: none, one, two or more. */
  parents: [none: number, one: number, two: number]
  /** Not connected to the source over live subscriptions. */
  cutOff: number
  /** Came more than ten seconds ago and never decoded anything. */
  neverPlayed: number
  /** Steps from the source along the shortest way, most and mean. */
  depth: number
  meanDepth: number
  /** Steps along the first parents alone; -1 when that way does not lead to the source. */
  primaryDepth: number
  /** Of the planned tree. */
  plannedDepth: number
  /** Receivers that are fed by their planned parent. */
  asPlanned: number
  /** Receivers that feed somebody. */
  relays: number
}

const PATIENCE_MS = 10_000

export function structureOf(world: World): Structure {
  const steps = new Map([[world.source, 0]])
  for (const peer of steps.keys()) {
    for (const { hop } of peer.roster) {
      if (hop.open && hop.delivered && hop.child.alive && !steps.has(hop.child)) steps.set(hop.child, steps.get(peer)! + 1)
    }
  }
  const receivers = world.receivers
  const parents: Structure["parents"] = [0, 0, 0]
  const tree = world.room.tree()
  let [cutOff, depth, sum, asPlanned, relays] = [0, 0, 0, 0, 0]
  let primaryDepth = 0
  for (const peer of receivers) {
    parents[Math.min(2, world.liveParents(peer)) as 0 | 1 | 2]++
    const own = steps.get(peer)
    if (own === undefined) cutOff++
    else {
      depth = Math.max(depth, own)
      sum += own
    }
    const planned = tree?.parentOf(peer.keyId)
    if ([...peer.up.values()].some(({ parent, delivered }) => delivered && parent.keyId === planned)) asPlanned++
    if (peer.roster.size > 0) relays++
    const chain = primaryChain(world, peer)
    primaryDepth = chain < 0 || primaryDepth < 0 ? -1 : Math.max(primaryDepth, chain)
  }
  return {
    receivers: receivers.length,
    parents,
    cutOff,
    neverPlayed: receivers.filter(({ playingAt, joinedAt }) => playingAt === Infinity && world.now - joinedAt > PATIENCE_MS)
      .length,
    depth,
    meanDepth: Math.round((sum / Math.max(1, receivers.length - cutOff)) * 1_000) / 1_000,
    primaryDepth,
    plannedDepth: tree?.depth ?? 0,
    asPlanned,
    relays,
  }
}

function primaryChain(world: World, peer: World["source"]): number {
  let at = peer
  for (let steps = 0; steps <= world.peers.length; steps++) {
    if (at.isSource) return steps
    const primary = at.manager?.primary
    const hop = [...at.up.values()].find(({ parent }) => parent.keyId === primary)
    if (hop === undefined) return -1
    at = hop.parent
  }
  return -1
}
