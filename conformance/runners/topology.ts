/** Runs the sections of holonomic vectors on order, quantisation and topologies. */
import { deepStrictEqual, strictEqual } from "node:assert"
import {
  type AdVerification,
  capacityScore,
  clampSelfAsserted,
  computeAlmTopologyVerified,
  computeSourceRootedTopology,
  quantise,
  snapshotDigest,
  type TopologyEdge,
  type TopologySnapshot,
  treeHash,
} from "../../src/holonomic/index.ts"
import { compareUtf8, fromHex, toHex } from "../../src/wire/bytes.ts"
import type { RunnerTable } from "../types.ts"
import { type CapacityCase, capacityOf, rateOf } from "./capacity-case.ts"

/** Peers are named by their place in `peers`. */
interface SnapshotCase {
  peers: string[]
  ads: [peer: number, capacity: CapacityCase, streamId: string, epoch: string, verification: AdVerification][]
  grants: [from: number, to: number, at: string, depth: number, weight: number | null][]
  reach: [from: number, to: number, rtt: number, at: string][]
  locality_id: string
  snapshot_epoch_id: string
}

function snapshotOf(c: SnapshotCase): TopologySnapshot {
  const peer = (place: number): string => c.peers[place] ?? ""
  return {
    capacityAds: c.ads.map(([place, capacity, streamId, epoch, verification]) => ({
      advertiserKeyId: peer(place),
      capacity: capacityOf(capacity),
      streamId: fromHex(streamId),
      epoch: BigInt(epoch),
      verification,
    })),
    trustGrants: c.grants.map(([from, to, at, chainDepth, weight]) => ({
      granterPeerId: peer(from),
      granteePeerId: peer(to),
      grantedAtUnixMs: BigInt(at),
      chainDepth,
      // Old grants have no weight: it was always the full one.
      weight: weight ?? 255,
    })),
    reachabilityObservations: c.reach.map(([from, to, observedRttMs, at]) => ({
      fromPeerId: peer(from),
      toPeerId: peer(to),
      observedRttMs,
      observedAtUnixMs: BigInt(at),
    })),
    localityId: c.locality_id,
    snapshotEpochId: BigInt(c.snapshot_epoch_id),
  }
}

/** The same snapshot with every list turned round must give the same answer. */
function turned(snapshot: TopologySnapshot): TopologySnapshot {
  return {
    ...snapshot,
    capacityAds: snapshot.capacityAds.toReversed(),
    trustGrants: snapshot.trustGrants.toReversed(),
    reachabilityObservations: snapshot.reachabilityObservations.toReversed(),
  }
}

const shown = (tree: TopologyEdge[]) =>
  tree.map(({ parentPeerId, childPeerId, subStreamPath }) => [parentPeerId, childPeerId, [...subStreamPath]])

/** Written as a pair like the edges, or as an object with the members' names. */
type PartialCase = [peer: string, missing: number[][]] | { peer_id: string; missing_paths: number[][] }
const pairOf = (c: PartialCase) => (Array.isArray(c) ? c : [c.peer_id, c.missing_paths])

export const runners: RunnerTable = {
  holonomic: {
    utf8_sort: (c) => deepStrictEqual([...c.in].sort(compareUtf8), c.out),
    quantise: (c) => {
      const millibps = quantise(rateOf(c.in))
      const clamped = clampSelfAsserted(millibps, "HybridSignatureValid")
      strictEqual(millibps.toString(), c.out.millibps)
      strictEqual(clamped.toString(), c.out.clamped)
      strictEqual(capacityScore(Number(clamped)), c.out.score)
      strictEqual(capacityScore(Number(clampSelfAsserted(millibps, "ThroughputChallenged"))), c.out.score_challenged)
    },
    topology: (c) => {
      for (const snapshot of [snapshotOf(c.in), turned(snapshotOf(c.in))]) {
        const topology = computeAlmTopologyVerified(snapshot)
        deepStrictEqual(shown(topology.tree), c.out.tree)
        deepStrictEqual(topology.unrootedPeers, c.out.unrooted_peers)
        strictEqual(toHex(treeHash(topology)), c.out.tree_hash)
        strictEqual(toHex(snapshotDigest(snapshot)), c.out.snapshot_digest)
      }
    },
    topology_rooted: (c) => {
      const options = { sourcePeerId: c.in.source as string, edgeMillibps: BigInt(c.in.edge_millibps) }
      for (const snapshot of [snapshotOf(c.in.snapshot), turned(snapshotOf(c.in.snapshot))]) {
        const topology = computeSourceRootedTopology(snapshot, options)
        deepStrictEqual(shown(topology.tree), c.out.tree)
        deepStrictEqual(topology.unrootedPeers, c.out.unrooted_peers)
        const partial = topology.partial.map(({ peerId, missingPaths }) => [peerId, missingPaths.map((path) => [...path])])
        deepStrictEqual(partial, (c.out.partial as PartialCase[]).map(pairOf))
        strictEqual(toHex(treeHash(topology, options.sourcePeerId)), c.out.tree_hash)
        strictEqual(toHex(snapshotDigest(snapshot, options)), c.out.snapshot_digest)
      }
    },
  },
}
