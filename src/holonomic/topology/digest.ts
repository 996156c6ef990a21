/** Short names of a topology and of what it was computed from, for comparing views with others (D17). */
import { sha256Sync } from "../../crypto/hash.ts"
import { ByteWriter } from "../../wire/byte-writer.ts"
import { compareBytes, equalBytes } from "../../wire/bytes.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes, PeerKeyId, U64 } from "../../wire/types.ts"
import { utf8 } from "../checks.ts"
import { separator } from "../separators.ts"
import { canonicalBytes } from "./candidates.ts"
import type { AlmTopology, ReachabilityObservation, RootedOptions, TopologyAd, TopologySnapshot, TrustGrant } from "./types.ts"

/** What peers tell each other about a tree (`holo.tree`). 32 bytes each. */
export interface TreeDigests {
  snapshotDigest: Bytes
  treeHash: Bytes
}

/** SHA-256 over a topology. `sourcePeerId` only for a rooted one. */
export function treeHash(topology: AlmTopology, sourcePeerId: PeerKeyId = ""): Bytes {
  const out = new ByteWriter(128 + 160 * topology.tree.length)
    .bytes(separator("treeHash"))
    .u16be(topology.topologyVersion)
    .u64be(topology.snapshotEpochId)
    .lp32(utf8(sourcePeerId))
    .u32be(topology.tree.length)
  for (const { childPeerId, parentPeerId, subStreamPath } of topology.tree) {
    out.lp32(utf8(childPeerId)).lp32(utf8(parentPeerId)).lp16(subStreamPath)
  }
  out.u32be(topology.unrootedPeers.length)
  for (const peer of topology.unrootedPeers) out.lp32(utf8(peer))
  return sha256Sync(out.finish())
}

/** SHA-256 over everything a topology is computed from; unverified advertisements are left out. */
export function snapshotDigest(snapshot: TopologySnapshot, options?: RootedOptions): Bytes {
  const ads = snapshot.capacityAds.filter(({ verification }) => verification !== "Unverified")
  const lists = [
    ads.map(adRecord),
    snapshot.trustGrants.map(grantRecord),
    snapshot.reachabilityObservations.map(observationRecord),
  ]
  return digestOf(snapshot.localityId, snapshot.snapshotEpochId, lists, options)
}

function digestOf(localityId: string, epochId: U64, lists: Bytes[][], options: RootedOptions | undefined): Bytes {
  const out = new ByteWriter(4_096)
    .bytes(separator("snapshotDigest"))
    .lp32(utf8(localityId))
    .u64be(epochId)
    .lp32(utf8(options?.sourcePeerId ?? ""))
    .u64be(options?.edgeMillibps ?? 0n)
  for (const list of lists) {
    list.sort(compareBytes)
    const distinct = list.filter((record, i) => i === 0 || !equalBytes(record, list[i - 1]!))
    out.u32be(distinct.length)
    for (const record of distinct) out.lp32(record)
  }
  return sha256Sync(out.finish())
}

/**
 * What another peer's digests say beside ours: `same`, or `inputs-differ`: ask for what is missing, never for a tree.
 * @throws AvError `TopologyDivergence` when equal inputs gave different trees: one planner is broken. Plan locally then, never vote.
 */
export function compareTreeDigests(ours: TreeDigests, theirs: TreeDigests): "same" | "inputs-differ" {
  if (!equalBytes(ours.snapshotDigest, theirs.snapshotDigest)) return "inputs-differ"
  if (!equalBytes(ours.treeHash, theirs.treeHash)) throw new AvError("TopologyDivergence")
  return "same"
}

function adRecord(ad: TopologyAd): Bytes {
  const mark = ad.verification === "ThroughputChallenged" ? 2 : 1
  return new ByteWriter(256).u8(mark).lp32(utf8(ad.advertiserKeyId)).lp32(canonicalBytes(ad)).finish()
}

function grantRecord({ granterPeerId, granteePeerId, grantedAtUnixMs, chainDepth, weight }: TrustGrant): Bytes {
  const out = new ByteWriter(192).lp32(utf8(granterPeerId)).lp32(utf8(granteePeerId))
  return out.u64be(grantedAtUnixMs).u8(chainDepth).u32be(weight).finish()
}

function observationRecord({ fromPeerId, toPeerId, observedRttMs, observedAtUnixMs }: ReachabilityObservation): Bytes {
  const out = new ByteWriter(192).lp32(utf8(fromPeerId)).lp32(utf8(toPeerId))
  return out.u32be(observedRttMs).u64be(observedAtUnixMs).finish()
}
