/** Topology profile 1001, rooted at the source of a stream (D18): the plan of live trees. */
import type { PeerKeyId } from "../../wire/types.ts"
import { type Candidate, candidateOf, inPeerOrder, peerSet, places } from "./candidates.ts"
import { checkRootedOptions, checkSnapshot } from "./check-snapshot.ts"
import { ListedPairs } from "./pairs.ts"
import { byLocality } from "./reference.ts"
import { growTrees, type RootedEdge } from "./rooted-core.ts"
import { type PathKey, pathBytes } from "./sub-path.ts"
import type { PartialPeer, RootedOptions, RootedTopology, TopologyEdge, TopologySnapshot } from "./types.ts"

export const ROOTED_TOPOLOGY_VERSION = 1_001

/**
 * A tree per path below the source, within everybody's limits.
 * @throws AvError `IllFormedString`, `IntegerOutOfRange`, `UsageError` (a stream id that is not 32 bytes).
 */
export function computeSourceRootedTopology(snapshot: TopologySnapshot, options: RootedOptions): RootedTopology {
  checkSnapshot(snapshot)
  checkRootedOptions(options)
  const { inside, outside } = byLocality(snapshot)
  const peers = inPeerOrder(inside.map(candidateOf))
  const place = places(peers)
  const pairs = new ListedPairs(place, snapshot.trustGrants, snapshot.reachabilityObservations)
  const source = place.get(options.sourcePeerId)
  // A source that does not take part has no children.
  const edges = source === undefined ? [] : growTrees(peers, source, pairs, options.edgeMillibps ?? 0n)
  const { tree, unrooted, partial } = describeEdges(peers, source, edges)
  return {
    tree,
    unrootedPeers: peerSet([...unrooted, ...outside]),
    snapshotEpochId: snapshot.snapshotEpochId,
    topologyVersion: ROOTED_TOPOLOGY_VERSION,
    partial,
  }
}

interface DescribedEdges {
  tree: TopologyEdge[]
  /** Candidates without a parent, in peer order; the source is none of them. */
  unrooted: PeerKeyId[]
  partial: PartialPeer[]
}

/** Edges between places as edges between ids, and who lacks which. `peers` are the candidates in peer order. */
export function describeEdges(
  peers: readonly Candidate[],
  source: number | undefined,
  edges: readonly RootedEdge[],
): DescribedEdges {
  const found = peers.map(() => new Set<PathKey>())
  for (const { child, path } of edges) found[child]!.add(path)
  const unrooted: PeerKeyId[] = []
  const partial: PartialPeer[] = []
  for (const [place, { id, paths }] of peers.entries()) {
    const have = found[place]!
    if (place === source || have.size === paths.length) continue
    if (have.size === 0) unrooted.push(id)
    else partial.push({ peerId: id, missingPaths: paths.filter((path) => !have.has(path)).map(pathBytes) })
  }
  const tree = edges
    .toSorted((a, b) => a.child - b.child || a.parent - b.parent || (a.path < b.path ? -1 : 1))
    .map(({ parent, child, path }) => ({
      parentPeerId: peers[parent]!.id,
      childPeerId: peers[child]!.id,
      subStreamPath: pathBytes(path),
    }))
  return { tree, unrooted, partial }
}
