import { describe, expect, it } from "vitest"
import { sha256Sync } from "../../crypto/hash.ts"
import { fromHex, toHex } from "../../wire/bytes.ts"
import { codeOf } from "../../wire/testing.ts"
import { compareTreeDigests, snapshotDigest, treeHash } from "./digest.ts"
import { ad, fullMesh, grant } from "./testing.ts"

const digests = (snapshot: number, tree: number) => ({
  snapshotDigest: new Uint8Array(32).fill(snapshot),
  treeHash: new Uint8Array(32).fill(tree),
})

describe("digests of a topology", () => {
  it("hash the tree as written down by hand", () => {
    const topology = {
      tree: [{ parentPeerId: "p", childPeerId: "é", subStreamPath: Uint8Array.of(0, 1) }],
      unrootedPeers: ["u"],
      snapshotEpochId: 258n,
      topologyVersion: 1001,
    }
    const bytes = [
      "414c4d2d545245452d76310000000000",
      "03e9",
      "0000000000000102",
      "0000000173",
      "00000001",
      "00000002c3a9",
      "0000000170",
      "00020001",
      "00000001",
      "0000000175",
    ]
    expect(toHex(treeHash(topology, "s"))).toBe(toHex(sha256Sync(fromHex(bytes.join("")))))
  })

  it("leave out unverified advertisements and repeated records, and tell a challenged one apart", () => {
    const snapshot = fullMesh([ad("a"), ad("b")])
    const more = { ...snapshot, capacityAds: [...snapshot.capacityAds, ad("a"), ad("c", { verification: "Unverified" })] }
    const challenged = { ...snapshot, capacityAds: [ad("a", { verification: "ThroughputChallenged" }), ad("b")] }
    expect(snapshotDigest(more)).toEqual(snapshotDigest(snapshot))
    expect(snapshotDigest(challenged)).not.toEqual(snapshotDigest(snapshot))
  })

  it("change with everything that decides a tree", () => {
    const snapshot = fullMesh([ad("a"), ad("b")])
    const options = { sourcePeerId: "a", edgeMillibps: 5n }
    const all = [
      snapshotDigest(snapshot),
      snapshotDigest(snapshot, options),
      snapshotDigest(snapshot, { ...options, sourcePeerId: "b" }),
      snapshotDigest(snapshot, { ...options, edgeMillibps: 6n }),
      snapshotDigest({ ...snapshot, localityId: "there" }, options),
      snapshotDigest({ ...snapshot, snapshotEpochId: 10n }, options),
      snapshotDigest({ ...snapshot, trustGrants: [grant("a", "b")] }, options),
      snapshotDigest({ ...snapshot, reachabilityObservations: [] }, options),
    ].map(toHex)
    expect(new Set(all).size).toBe(all.length)
  })

  it("say whether two peers agree", () => {
    expect(compareTreeDigests(digests(1, 2), digests(1, 2))).toBe("same")
    expect(compareTreeDigests(digests(1, 2), digests(3, 2))).toBe("inputs-differ")
    expect(compareTreeDigests(digests(1, 2), digests(3, 4))).toBe("inputs-differ")
    expect(codeOf(() => compareTreeDigests(digests(1, 2), digests(1, 4)))).toBe("TopologyDivergence")
  })
})
