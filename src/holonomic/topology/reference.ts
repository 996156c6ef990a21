/** Topology profile 1: the reference's own rule, for comparing views. It is no tree (cycles happen, limits are ignored): never for live media. */
import { candidateOf, inPeerOrder, latestAds, peerSet, places } from "./candidates.ts"
import { checkSnapshot } from "./check-snapshot.ts"
import { ListedPairs } from "./pairs.ts"
import { PENALTY_PER_SUB_PATH_DUP, parentScore } from "./quantise.ts"
import { type PathKey, pathBytes } from "./sub-path.ts"
import type { AlmTopology, TopologySnapshot } from "./types.ts"

const TOPOLOGY_VERSION = 1

/**
 * One parent per peer and path, by score alone.
 * @throws AvError as {@link checkSnapshot}.
 */
export function computeAlmTopologyVerified(snapshot: TopologySnapshot): AlmTopology {
  checkSnapshot(snapshot)
  const { inside, outside } = byLocality(snapshot)
  const candidates = inPeerOrder(inside.map(candidateOf))
  const pairs = new ListedPairs(places(candidates), snapshot.trustGrants, snapshot.reachabilityObservations)
  const own = candidates.map(({ millibps }) => parentScore(millibps))
  const occupancy = new Map<PathKey, Int32Array>()
  const unrooted = [...outside]
  const edges: { parent: number; child: number; path: PathKey }[] = []
  for (const [child, { id, paths }] of candidates.entries()) {
    const parents = pairs.parentsOf(child)
    const scores = pairs.scoresOf(child)
    if (parents.length === 0) unrooted.push(id)
    else {
      for (const path of paths) {
        const taken = occupancy.get(path) ?? new Int32Array(candidates.length)
        occupancy.set(path, taken)
        const parent = bestOf(parents, scores, own, taken)
        taken[parent]!++
        edges.push({ parent, child, path })
      }
    }
  }
  edges.sort((a, b) => a.child - b.child || a.parent - b.parent || (a.path < b.path ? -1 : 1))
  const tree = edges.map(({ parent, child, path }) => ({
    parentPeerId: candidates[parent]!.id,
    childPeerId: candidates[child]!.id,
    subStreamPath: pathBytes(path),
  }))
  return {
    tree,
    unrootedPeers: peerSet(unrooted),
    snapshotEpochId: snapshot.snapshotEpochId,
    topologyVersion: TOPOLOGY_VERSION,
  }
}

/** The entry for advertisements nobody verified: no tree at all. */
export function computeAlmTopology(snapshot: Pick<TopologySnapshot, "snapshotEpochId">): AlmTopology {
  return { tree: [], unrootedPeers: [], snapshotEpochId: snapshot.snapshotEpochId, topologyVersion: TOPOLOGY_VERSION }
}

/** The advertisements that count, apart by whether anybody observed a round trip from or to their peer. */
export function byLocality({ capacityAds, reachabilityObservations }: TopologySnapshot) {
  const locality = new Set<string>()
  for (const { fromPeerId, toPeerId } of reachabilityObservations) locality.add(fromPeerId).add(toPeerId)
  const inside = []
  const outside: string[] = []
  for (const [id, ad] of latestAds(capacityAds)) {
    if (locality.has(id)) inside.push(ad)
    else outside.push(id)
  }
  return { inside, outside }
}

/** Every listed parent is possible; the first of the best wins. */
function bestOf(parents: Int32Array, scores: Int32Array, own: readonly number[], taken: Int32Array): number {
  let best = -1
  let bestScore = -1
  for (let i = 0; i < parents.length; i++) {
    const parent = parents[i]!
    const score = Math.max(0, own[parent]! + scores[i]! - PENALTY_PER_SUB_PATH_DUP * taken[parent]!)
    if (score > bestScore) {
      best = parent
      bestScore = score
    }
  }
  return best
}
