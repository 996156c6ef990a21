/** The planned tree of one stream in a room, and the questions its members ask about it. */
import type { Bytes, PeerKeyId, U64 } from "../../wire/types.ts"
import { Branches } from "./branches.ts"
import { type Candidate, candidateOf, latestAds, places } from "./candidates.ts"
import { checkRootedOptions } from "./check-snapshot.ts"
import { snapshotDigest, type TreeDigests, treeHash } from "./digest.ts"
import { RoomPairs } from "./room-pairs.ts"
import type { RoomSnapshot } from "./room-snapshot.ts"
import { describeEdges, ROOTED_TOPOLOGY_VERSION } from "./rooted.ts"
import { growTrees, type RootedEdge } from "./rooted-core.ts"
import { type PathKey, pathKey, WHOLE_STREAM } from "./sub-path.ts"
import type { RootedOptions, RootedTopology } from "./types.ts"

export interface RoomTreeOptions extends RootedOptions {
  streamId: Bytes
  /** Copies that each receiver takes. With 2 a deep plan leaves half of the relays' places for second parents where it can; 1 by default. */
  parents?: 1 | 2
}

/** A member without an advertisement: it gets a place in the tree and carries nobody. */
const STAND_IN = { millibps: 0, maxSubscribers: 0, promised: undefined, paths: [WHOLE_STREAM] as const }

/**
 * Source-rooted tree (profile 1001) over a {@link RoomSnapshot}. Immutable; equal snapshots give equal trees.
 *
 * Without a `path` the questions are about the whole stream, or about all sub-streams together where a member takes the stream in
 * parts: its depth is then the greatest of them, its parent that of its first one.
 */
export class RoomTree {
  readonly snapshot: RoomSnapshot
  readonly streamId: Bytes
  readonly sourcePeerId: PeerKeyId
  readonly edgeMillibps: U64
  readonly #peers: readonly Candidate[]
  readonly #place: ReadonlyMap<PeerKeyId, number>
  readonly #edges: readonly RootedEdge[]
  readonly #branches: ReadonlyMap<PathKey, Branches>
  /** The branches where there is one path, as for most streams: parents are looked up many times a second. */
  readonly #only: Branches | undefined
  #digests: TreeDigests | undefined

  /** @throws AvError `IllFormedString`, `IntegerOutOfRange` */
  constructor(snapshot: RoomSnapshot, options: RoomTreeOptions) {
    checkRootedOptions(options)
    this.snapshot = snapshot
    this.streamId = options.streamId
    this.sourcePeerId = options.sourcePeerId
    this.edgeMillibps = options.edgeMillibps ?? 0n
    this.#peers = candidatesOf(snapshot, options)
    this.#place = places(this.#peers)
    const source = this.#place.get(options.sourcePeerId)
    this.#edges = source === undefined ? [] : this.#grow(source)
    this.#branches = this.#branchesOf(source)
    this.#only = this.#branches.size === 1 ? [...this.#branches.values()][0] : undefined
  }

  /** True when somebody has a parent. */
  get hasEdges(): boolean {
    return this.#edges.length > 0
  }

  /** Members that have a planned parent; on several paths each path counts. */
  get size(): number {
    return this.#edges.length
  }

  /** Steps from the source, 0 for the source itself; undefined for who is not in the tree. */
  depthOf(keyId: PeerKeyId, path?: Bytes): number | undefined {
    if (path === undefined && this.#only !== undefined) {
      const place = this.#place.get(keyId)
      return place === undefined ? undefined : this.#only.depthOf(place)
    }
    let deepest: number | undefined
    for (const [branches, place] of this.#asked(keyId, path)) {
      const depth = branches.depthOf(place)
      if (depth !== undefined && (deepest === undefined || depth > deepest)) deepest = depth
    }
    return deepest
  }

  /** Undefined for the source and for who found no place. */
  parentOf(keyId: PeerKeyId, path?: Bytes): PeerKeyId | undefined {
    if (path === undefined && this.#only !== undefined) {
      const place = this.#place.get(keyId)
      const parent = place === undefined ? undefined : this.#only.parentOf(place)
      return parent === undefined ? undefined : this.#peers[parent]!.id
    }
    for (const [branches, place] of this.#asked(keyId, path)) {
      const parent = branches.parentOf(place)
      if (parent !== undefined) return this.#peers[parent]!.id
    }
    return undefined
  }

  /** In peer order. */
  childrenOf(keyId: PeerKeyId, path?: Bytes): PeerKeyId[] {
    return this.#union(keyId, path, (branches, place) => branches.childrenOf(place))
  }

  /** Everybody below, in peer order: who must never become a parent of `keyId`. */
  descendantsOf(keyId: PeerKeyId, path?: Bytes): PeerKeyId[] {
    return this.#union(keyId, path, (branches, place) => branches.descendantsOf(place))
  }

  /** True when `keyId` is somewhere below `above`, on any path unless one is named. */
  isBelow(keyId: PeerKeyId, above: PeerKeyId, path?: Bytes): boolean {
    const target = this.#place.get(above)
    if (target === undefined) return false
    return this.#asked(keyId, path).some(([branches, place]) => branches.isBelow(place, target))
  }

  /** The most steps from the source to anybody; 0 for an empty tree. */
  get depth(): number {
    return Math.max(0, ...[...this.#branches.values()].map((branches) => branches.depth))
  }

  /** The tree as profile 1001 states it, for showing and hashing. */
  topology(): RootedTopology {
    const source = this.#place.get(this.sourcePeerId)
    const { tree, unrooted, partial } = describeEdges(this.#peers, source, this.#edges)
    return {
      tree,
      unrootedPeers: unrooted,
      snapshotEpochId: this.snapshot.epochId,
      topologyVersion: ROOTED_TOPOLOGY_VERSION,
      partial,
    }
  }

  /** What is told to others (`holo.tree`). Computed when first asked for. */
  digests(): TreeDigests {
    this.#digests ??= {
      snapshotDigest: snapshotDigest(this.snapshot.forDigest(this.streamId), this),
      treeHash: treeHash(this.topology(), this.sourcePeerId),
    }
    return this.#digests
  }

  #grow(source: number): RootedEdge[] {
    const graph = this.snapshot.graph
    const node = Int32Array.from(this.#peers, ({ id }) => graph.placeOf(id)!)
    const relay = Uint8Array.from(this.#peers, ({ id }) => (this.snapshot.isRelay(id) ? 1 : 0))
    return growTrees(this.#peers, source, new RoomPairs(graph, node, relay), this.edgeMillibps)
  }

  #branchesOf(source: number | undefined): Map<PathKey, Branches> {
    const byPath = new Map<PathKey, RootedEdge[]>()
    for (const edge of this.#edges) {
      const list = byPath.get(edge.path)
      if (list === undefined) byPath.set(edge.path, [edge])
      else list.push(edge)
    }
    if (source !== undefined && byPath.size === 0) byPath.set(WHOLE_STREAM, [])
    return new Map([...byPath].map(([path, edges]) => [path, new Branches(this.#peers.length, source ?? 0, edges)]))
  }

  /** The branches in question, with the place of the peer in all of them. */
  #asked(keyId: PeerKeyId, path: Bytes | undefined): [Branches, number][] {
    const place = this.#place.get(keyId)
    if (place === undefined) return []
    if (path === undefined) return [...this.#branches.values()].map((branches) => [branches, place])
    const branches = this.#branches.get(pathKey(path))
    return branches === undefined ? [] : [[branches, place]]
  }

  #union(keyId: PeerKeyId, path: Bytes | undefined, ask: (branches: Branches, place: number) => Iterable<number>): PeerKeyId[] {
    const found = new Set<number>()
    for (const [branches, place] of this.#asked(keyId, path)) for (const peer of ask(branches, place)) found.add(peer)
    return [...found].sort((a, b) => a - b).map((place) => this.#peers[place]!.id)
  }
}

/** Members and relays that advertise, and stand-ins for the other members, in peer order. */
function candidatesOf(snapshot: RoomSnapshot, { streamId, sourcePeerId }: RoomTreeOptions): Candidate[] {
  const latest = latestAds(snapshot.adsFor(streamId))
  const candidates: Candidate[] = []
  for (const id of snapshot.peers) {
    const ad = latest.get(id)
    if (ad !== undefined) candidates.push(candidateOf(ad))
    else if (!snapshot.isRelay(id) || id === sourcePeerId) candidates.push({ id, ...STAND_IN })
  }
  return candidates
}
