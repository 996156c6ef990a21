import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { snapshotDigest, treeHash } from "./digest.ts"
import { computeAlmTopology, computeAlmTopologyVerified } from "./reference.ts"
import { ad, fullMesh, grant, seen, shuffledSnapshot, snapshots } from "./testing.ts"
import type { AlmTopology, TopologySnapshot } from "./types.ts"

const EMPTY: TopologySnapshot = {
  capacityAds: [],
  trustGrants: [],
  reachabilityObservations: [],
  localityId: "here",
  snapshotEpochId: 77n,
}
const shown = ({ tree }: AlmTopology) => tree.map((e) => [e.parentPeerId, e.childPeerId, [...e.subStreamPath]])

describe("topology profile 1", () => {
  it("is the same for any order of its inputs, byte by byte", () => {
    fc.assert(
      fc.property(snapshots, fc.nat(), (snapshot, seed) => {
        const other = shuffledSnapshot(snapshot, seed)
        const [a, b] = [computeAlmTopologyVerified(snapshot), computeAlmTopologyVerified(other)]
        expect(b).toEqual(a)
        expect(treeHash(b)).toEqual(treeHash(a))
        expect(snapshotDigest(other)).toEqual(snapshotDigest(snapshot))
      }),
      { numRuns: 500 },
    )
  })

  it("is empty for an empty snapshot, and says of which epoch", () => {
    expect(computeAlmTopologyVerified(EMPTY)).toEqual({
      tree: [],
      unrootedPeers: [],
      snapshotEpochId: 77n,
      topologyVersion: 1,
    })
  })

  it("leaves a peer nobody observed unrooted and out of every edge", () => {
    const snapshot = fullMesh([ad("a"), ad("b")])
    const topology = computeAlmTopologyVerified({
      ...snapshot,
      capacityAds: [...snapshot.capacityAds, ad("far")],
      trustGrants: [...snapshot.trustGrants, grant("far", "a"), grant("a", "far")],
    })
    expect(topology.unrootedPeers).toEqual(["far"])
    expect(shown(topology)).toEqual([
      ["b", "a", []],
      ["a", "b", []],
    ])
  })

  it("drops grants through chains that are too long", () => {
    const snapshot = { ...fullMesh([ad("a"), ad("b")]), trustGrants: [grant("a", "b", 5), grant("b", "a", 5)] }
    expect(computeAlmTopologyVerified(snapshot)).toMatchObject({ tree: [], unrootedPeers: ["a", "b"] })
  })

  it("gives equal scores to the smaller id, by UTF-8", () => {
    const ads = [ad("child", { uplinkMbps: 0 }), ad("～"), ad("\u{1F600}")]
    const topology = computeAlmTopologyVerified(fullMesh(ads))
    expect(topology.tree.find((e) => e.childPeerId === "child")?.parentPeerId).toBe("～")
  })

  it("gives a child one edge per promised path, in order", () => {
    const ads = [
      ad("p"),
      ad("c", {
        commitments: [
          [[1], 1],
          [[0], 1],
          [[0], 9],
        ],
      }),
    ]
    const topology = computeAlmTopologyVerified({ ...fullMesh(ads), trustGrants: [grant("p", "c")] })
    expect(shown(topology)).toEqual([
      ["p", "c", [0]],
      ["p", "c", [1]],
    ])
  })

  it("does not know unverified peers at all", () => {
    const ads = [ad("a"), ad("b"), ad("liar", { verification: "Unverified", uplinkMbps: 10_000 })]
    const topology = computeAlmTopologyVerified(fullMesh(ads))
    expect(JSON.stringify(topology.tree)).not.toContain("liar")
    expect(topology.unrootedPeers).toEqual([])
  })

  it("spreads four children over four equal parents", () => {
    const parents = ["p1", "p2", "p3", "p4"]
    const children = ["x1", "x2", "x3", "x4"]
    const pairs = parents.flatMap((p) => children.map((c) => [p, c] as const))
    const topology = computeAlmTopologyVerified({
      ...EMPTY,
      capacityAds: [...parents, ...children].map((id) => ad(id)),
      trustGrants: pairs.map(([p, c]) => grant(p, c)),
      reachabilityObservations: pairs.map(([p, c]) => seen(p, c)),
    })
    expect(topology.tree.map((e) => e.parentPeerId).sort()).toEqual(parents)
  })

  it("takes the newest advertisement, whatever came first", () => {
    const snapshot = fullMesh([
      ad("a", { uplinkMbps: 900, measuredAt: 1 }),
      ad("b", { uplinkMbps: 500 }),
      ad("c"),
      ad("a", { uplinkMbps: 1, measuredAt: 2 }),
    ])
    const topology = computeAlmTopologyVerified(snapshot)
    expect(topology.tree.find((e) => e.childPeerId === "c")?.parentPeerId).toBe("b")
  })

  it("has no tree for advertisements nobody verified", () => {
    expect(computeAlmTopology({ snapshotEpochId: 5n })).toEqual({
      tree: [],
      unrootedPeers: [],
      snapshotEpochId: 5n,
      topologyVersion: 1,
    })
  })
})
