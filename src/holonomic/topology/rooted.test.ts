import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { toHex } from "../../wire/bytes.ts"
import { codeOf } from "../../wire/testing.ts"
import { snapshotDigest, treeHash } from "./digest.ts"
import { computeSourceRootedTopology } from "./rooted.ts"
import { pathKey } from "./sub-path.ts"
import { ad, fullMesh, grant, seen, shuffledSnapshot, simplestRooted, snapshots } from "./testing.ts"
import type { RootedTopology, TopologySnapshot } from "./types.ts"

const sources = fc.constantFrom("peer#0", "Peer#1", "é#2", "nobody")
const rates = fc.constantFrom(0n, 1_500n, 40_000n, 1n << 63n)

/** Depth by peer on one path; fails on a second parent or a cycle. */
function depths({ tree }: RootedTopology, source: string, path = ""): Map<string, number> {
  const parents = new Map<string, string>()
  for (const edge of tree.filter((e) => pathKey(e.subStreamPath) === path)) {
    expect(parents.has(edge.childPeerId)).toBe(false)
    parents.set(edge.childPeerId, edge.parentPeerId)
  }
  const found = new Map([[source, 0]])
  for (const child of parents.keys()) {
    let steps = 0
    let at: string | undefined = child
    while (at !== undefined && at !== source) {
      at = parents.get(at)
      expect(++steps).toBeLessThanOrEqual(parents.size)
    }
    expect(at).toBe(source)
    found.set(child, steps)
  }
  return found
}

describe("the source-rooted topology", () => {
  it("is what the rule says, read most simply", () => {
    fc.assert(
      fc.property(snapshots, sources, rates, (snapshot, sourcePeerId, edgeMillibps) => {
        const options = { sourcePeerId, edgeMillibps }
        const shown = (edges: ReturnType<typeof simplestRooted>) =>
          edges.map((e) => `${e.parentPeerId}>${e.childPeerId}/${toHex(e.subStreamPath)}`).sort()
        expect(shown(computeSourceRootedTopology(snapshot, options).tree)).toEqual(shown(simplestRooted(snapshot, options)))
      }),
      { numRuns: 1_500 },
    )
  })

  it("is the same for any order of its inputs, byte by byte", () => {
    fc.assert(
      fc.property(snapshots, sources, rates, fc.nat(), (snapshot, sourcePeerId, edgeMillibps, seed) => {
        const options = { sourcePeerId, edgeMillibps }
        const other = shuffledSnapshot(snapshot, seed)
        const [a, b] = [computeSourceRootedTopology(snapshot, options), computeSourceRootedTopology(other, options)]
        expect(b).toEqual(a)
        expect(treeHash(b, sourcePeerId)).toEqual(treeHash(a, sourcePeerId))
        expect(snapshotDigest(other, options)).toEqual(snapshotDigest(snapshot, options))
      }),
      { numRuns: 500 },
    )
  })

  it("has no cycle, no second parent, no parent without the path, and keeps every limit", () => {
    fc.assert(
      fc.property(snapshots, sources, rates, (snapshot, sourcePeerId, edgeMillibps) => {
        const topology = computeSourceRootedTopology(snapshot, { sourcePeerId, edgeMillibps })
        const onPaths = new Set(topology.tree.map((e) => pathKey(e.subStreamPath)))
        for (const path of onPaths) depths(topology, sourcePeerId, path)
        for (const path of onPaths) {
          for (const edge of topology.tree.filter((e) => pathKey(e.subStreamPath) === path && e.parentPeerId !== sourcePeerId)) {
            const parentHasIt = topology.tree.some(
              (e) => e.childPeerId === edge.parentPeerId && pathKey(e.subStreamPath) === path,
            )
            expect(parentHasIt).toBe(true)
          }
        }
        for (const { advertiserKeyId, capacity } of snapshot.capacityAds) {
          const own = topology.tree.filter((e) => e.parentPeerId === advertiserKeyId)
          const most = Math.max(
            ...snapshot.capacityAds
              .filter((other) => other.advertiserKeyId === advertiserKeyId)
              .map((other) => other.capacity.maxSubscribersPerStream),
          )
          expect(new Set(own.map((e) => e.childPeerId)).size).toBeLessThanOrEqual(most)
          expect(capacity.maxSubscribersPerStream).toBeLessThanOrEqual(most)
        }
        const rooted = new Set(topology.tree.map((e) => e.childPeerId))
        expect(topology.unrootedPeers.some((peer) => rooted.has(peer))).toBe(false)
      }),
      { numRuns: 500 },
    )
  })

  it.each([
    [2, 100],
    [10, 100],
    [3, 40],
    [2, 63],
  ])("is as shallow as uplinks of %i copies allow for %i receivers", (k, receivers) => {
    const bitrate = 2_500n
    const ids = Array.from({ length: receivers + 1 }, (_, i) => `p${i}`)
    const snapshot = fullMesh(ids.map((id) => ad(id, { uplinkMbps: k * 2.5 })))
    const topology = computeSourceRootedTopology(snapshot, { sourcePeerId: "p7", edgeMillibps: bitrate })
    expect(topology.unrootedPeers).toEqual([])
    expect(topology.partial).toEqual([])
    const found = depths(topology, "p7")
    expect(found.size).toBe(receivers + 1)
    const depth = Math.max(...found.values())
    let reached = 1
    let smallest = 0
    while (reached < receivers + 1) reached += k ** ++smallest
    expect(depth).toBe(smallest)
    expect(depth).toBeLessThanOrEqual(Math.ceil(Math.log(receivers) / Math.log(k)) + 2)
    for (const id of ids) expect(topology.tree.filter((e) => e.parentPeerId === id).length).toBeLessThanOrEqual(k)
  })

  it("gives the descriptions of a peer to different parents", () => {
    const halves: [number[], number][] = [
      [[0], 4],
      [[1], 4],
    ]
    const ids = ["s", "a", "b", "c", "d"]
    const ads = ids.map((id) => ad(id, { commitments: halves, subscribers: id === "s" ? 2 : 4 }))
    const { tree, partial } = computeSourceRootedTopology(fullMesh(ads), { sourcePeerId: "s" })
    const parentsOf = (child: string) => tree.filter((e) => e.childPeerId === child).map((e) => e.parentPeerId)
    // The source has room for two; the others take their halves from two peers each.
    for (const child of ["c", "d"]) expect(new Set(parentsOf(child)).size).toBe(2)
    expect(partial).toEqual([])
  })

  it("says who lacks which path", () => {
    const ads = [
      ad("s"),
      ad("a", { commitments: [[[0], 1]] }),
      ad("b", {
        commitments: [
          [[0], 0],
          [[1], 0],
        ],
      }),
    ] as const
    const snapshot: TopologySnapshot = {
      capacityAds: [ad("s", { commitments: [[[0], 1]] }), ads[1], ads[2]],
      trustGrants: [grant("s", "a"), grant("a", "b")],
      reachabilityObservations: [seen("s", "a"), seen("a", "b"), seen("x", "s")],
      localityId: "here",
      snapshotEpochId: 1n,
    }
    const topology = computeSourceRootedTopology(snapshot, { sourcePeerId: "s" })
    expect(topology.tree.map((e) => [e.parentPeerId, e.childPeerId, [...e.subStreamPath]])).toEqual([
      ["s", "a", [0]],
      ["a", "b", [0]],
    ])
    expect(topology.partial).toEqual([{ peerId: "b", missingPaths: [Uint8Array.of(1)] }])
    expect(topology.topologyVersion).toBe(1_001)
  })

  it("has nobody below a source that does not take part", () => {
    const topology = computeSourceRootedTopology(fullMesh([ad("a"), ad("b")]), { sourcePeerId: "elsewhere" })
    expect(topology.tree).toEqual([])
    expect(topology.unrootedPeers).toEqual(["a", "b"])
  })

  it("refuses what cannot be encoded", () => {
    const snapshot = fullMesh([ad("a"), ad("b")])
    const code = (change: Partial<TopologySnapshot>, edgeMillibps = 0n) =>
      codeOf(() => computeSourceRootedTopology({ ...snapshot, ...change }, { sourcePeerId: "a", edgeMillibps }))
    expect(code({})).toBeUndefined()
    expect(code({ localityId: "\ud800" })).toBe("IllFormedString")
    expect(code({ capacityAds: [ad("a\udc00")] })).toBe("IllFormedString")
    expect(code({ snapshotEpochId: 1n << 64n })).toBe("IntegerOutOfRange")
    expect(code({ trustGrants: [grant("a", "b", 256)] })).toBe("IntegerOutOfRange")
    expect(code({ trustGrants: [grant("a", "b", 0.5)] })).toBe("IntegerOutOfRange")
    expect(code({ reachabilityObservations: [seen("a", "b", -1)] })).toBe("IntegerOutOfRange")
    expect(code({ capacityAds: [ad("a", { subscribers: 65_536 })] })).toBe("IntegerOutOfRange")
    expect(code({ capacityAds: [ad("a", { streamId: new Uint8Array(31) })] })).toBe("UsageError")
    expect(code({}, -1n)).toBe("IntegerOutOfRange")
  })
})
