/** Planned trees: rooms of many members, and full meshes of listed pairs. */

import {
  computeAlmTopologyVerified,
  computeSourceRootedTopology,
  RoomSnapshot,
  RoomTree,
  type RoomView,
  type TopologySnapshot,
} from "../../src/holonomic/index.ts"
import { roomCapacityId } from "../../src/identity/capacity.ts"
import { type Effort, round, takeTurns } from "../measure.ts"
import type { BenchRow, Subject } from "../subject.ts"

const ROOM = new Uint8Array(32).fill(3)
const STREAM = new Uint8Array(32).fill(7)
const ROOM_WIDE = roomCapacityId(ROOM)
const NOW = 1_700_000_000_500
/** Copies that a member's uplink carries, in turn; half of the members only receive. */
const COPIES = [0, 2, 0, 10]
const BITRATE_MILLIBPS = 2_500n

const nodeOf = (i: number) => (i + 1).toString(16).padStart(16, "0")
/** Shaped like the real ones: "mk1" and 64 hex digits, in no useful order. */
const keyOf = (i: number) => `mk1${((i * 2_654_435_761) >>> 0).toString(16).padStart(64, "0")}`

function capacity(copies: number) {
  return {
    uplinkMbps: copies * 2.5,
    maxStreams: 8,
    maxSubscribersPerStream: 64,
    measuredAtUnixMs: BigInt(NOW - 1_000),
    maxLayerSupported: { maxSpatial: 255, maxTemporal: 255, maxQuality: 255 },
    subStreamCommitments: [],
  }
}

/** Everybody links to six others on a ring, as members of large rooms do. */
function roomOf(members: number): RoomView {
  const places = [1, 2, members - 1, members - 2, Math.floor(members / 2), Math.floor(members / 4)]
  return {
    roomId: ROOM,
    members: Array.from({ length: members }, (_, i) => ({
      keyId: keyOf(i),
      nodeId: nodeOf(i),
      links: places.map((ahead) => [nodeOf((i + ahead) % members), 1 << (i % 8)] as const),
    })),
    relays: [],
    ads: Array.from({ length: members }, (_, i) => i)
      .filter((i) => i === 0 || COPIES[i % COPIES.length] !== 0)
      .map((i) => ({
        advertiserKeyId: keyOf(i),
        capacity: capacity(i === 0 ? 4 : (COPIES[i % COPIES.length] ?? 0)),
        streamId: ROOM_WIDE,
        epoch: 1n,
      })),
  }
}

async function rooms(effort: Effort): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  for (const members of [100, 1_000, 10_000]) {
    const view = roomOf(members)
    const options = { streamId: STREAM, sourcePeerId: keyOf(0), edgeMillibps: BITRATE_MILLIBPS }
    let snapshot = new RoomSnapshot(view, NOW)
    let tree = new RoomTree(snapshot, options)
    const times = await takeTurns(effort.rounds, {
      snapshot: async () => {
        snapshot = new RoomSnapshot(view, NOW)
      },
      tree: async () => {
        tree = new RoomTree(snapshot, options)
      },
      digests: async () => tree.digests(),
    })
    rows.push({
      members,
      snapshot_ms: round(times.snapshot),
      tree_ms: round(times.tree),
      digests_ms: round(times.digests),
      depth: tree.depth,
    })
  }
  return rows
}

function meshOf(peers: number): TopologySnapshot {
  const ids = Array.from({ length: peers }, (_, i) => keyOf(i))
  const pairs = ids.flatMap((from) => ids.filter((to) => to !== from).map((to) => ({ from, to })))
  return {
    capacityAds: ids.map((advertiserKeyId, i) => ({
      advertiserKeyId,
      capacity: capacity(COPIES[(i % 3) + 1] ?? 0),
      streamId: STREAM,
      epoch: 1n,
      verification: "HybridSignatureValid",
    })),
    trustGrants: pairs.map(({ from, to }) => ({
      granterPeerId: from,
      granteePeerId: to,
      grantedAtUnixMs: 1n,
      chainDepth: 0,
      weight: 255,
    })),
    reachabilityObservations: pairs.map(({ from, to }, i) => ({
      fromPeerId: from,
      toPeerId: to,
      observedRttMs: 1 + (i % 250),
      observedAtUnixMs: 1n,
    })),
    localityId: "here",
    snapshotEpochId: 1n,
  }
}

async function meshes(effort: Effort): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  for (const peers of [60, 200, 500]) {
    const snapshot = meshOf(peers)
    const options = { sourcePeerId: keyOf(1), edgeMillibps: BITRATE_MILLIBPS }
    const times = await takeTurns(effort.rounds, {
      profile1: async () => computeAlmTopologyVerified(snapshot),
      profile1001: async () => computeSourceRootedTopology(snapshot, options),
    })
    rows.push({ peers, profile_1_ms: round(times.profile1), profile_1001_ms: round(times.profile1001) })
  }
  return rows
}

export const roomTree: Subject = {
  name: "room-tree",
  title: "The planned tree of a room",
  note: "Every member reports six links; half of them advertise room for 2 or 10 copies. The snapshot is made once per 10 s for all streams, the tree once per stream and snapshot, the digests only when they are told to others.",
  run: rooms,
}

export const listedTopology: Subject = {
  name: "topology",
  title: "Both topology profiles over listed pairs",
  note: "Full mesh: a grant and a round trip for every ordered pair.",
  run: meshes,
}
