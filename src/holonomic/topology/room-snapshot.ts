/** The facts of a room from which the trees of its streams are computed (D19, D33): who is there, what they advertise, how far apart. */
import { roomCapacityId } from "../../identity/capacity.ts"
import { compareUtf8, equalBytes, toHex } from "../../wire/bytes.ts"
import { MAX_FUTURE_MS, type SignedRelayCapacity, STALE_AFTER_MS } from "../../wire/capacity.ts"
import type { Bytes, Milliseconds, NodeId, PeerKeyId, U64 } from "../../wire/types.ts"
import { u64, unsigned, wellFormed } from "../checks.ts"
import { LinkGraph } from "./link-graph.ts"
import type { ReachabilityObservation, TopologyAd, TopologySnapshot } from "./types.ts"

/** How long an epoch of the topology lasts. */
export const TOPOLOGY_EPOCH_MS = 10_000

/** What the room knows now. Members who were lost are left out by the caller. */
export interface RoomView {
  roomId: Bytes
  members: Iterable<RoomViewMember>
  /** Admitted keyless relays. */
  relays: Iterable<RoomViewRelay>
  /** Admitted advertisements, room-wide and per stream; those of strangers do not count. */
  ads: Iterable<Omit<SignedRelayCapacity, "signatureEd25519Base64" | "signatureMlDsa65Base64">>
}

interface RoomViewRelay {
  keyId: PeerKeyId
  nodeId: NodeId
}

export interface RoomViewMember extends RoomViewRelay {
  /** Of its participant state: direct neighbours and the class of their round trip, ms. Empty without a state. */
  links: readonly (readonly [node: NodeId, rttClass: number])[]
}

/** Epoch of the topology at a time (Unix). */
export function topologyEpoch(nowUnixMs: Milliseconds): U64 {
  return BigInt(Math.floor(nowUnixMs / TOPOLOGY_EPOCH_MS))
}

/** A cut through what the room knows. Immutable. Trees of streams are computed from it, see {@link RoomTree}. */
export class RoomSnapshot {
  readonly roomId: Bytes
  /** Stream id of room-wide advertisements. */
  readonly roomCapacityId: Bytes
  readonly epochId: U64
  readonly localityId: string
  /** Members and keyless relays, in peer order. */
  readonly peers: readonly PeerKeyId[]
  readonly graph: LinkGraph
  /** Those that count at the cut. */
  readonly ads: readonly TopologyAd[]
  readonly observations: readonly ReachabilityObservation[]
  readonly #relays: ReadonlySet<PeerKeyId>

  /**
   * @param nowUnixMs when the cut is made; the age of advertisements is taken at the beginning of its epoch, so that everybody who
   *   makes the cut a little earlier or later judges them alike
   */
  constructor(view: RoomView, nowUnixMs: Milliseconds) {
    const members = new Map<PeerKeyId, RoomViewMember>()
    for (const member of view.members) members.set(wellFormed(member.keyId), member)
    const relays = new Map<PeerKeyId, RoomViewRelay>()
    for (const relay of view.relays) if (!members.has(relay.keyId)) relays.set(wellFormed(relay.keyId), relay)
    this.roomId = view.roomId
    this.roomCapacityId = roomCapacityId(view.roomId)
    this.epochId = topologyEpoch(nowUnixMs)
    this.localityId = `room:${toHex(view.roomId)}`
    this.peers = [...members.keys(), ...relays.keys()].sort(compareUtf8)
    this.#relays = new Set(relays.keys())
    const everybody = this.peers.map((keyId) => (members.get(keyId) ?? relays.get(keyId))!)
    this.observations = reported(everybody)
    this.graph = new LinkGraph(this.peers, this.observations)
    this.ads = [...view.ads].filter((ad) => this.#counts(ad, nowUnixMs)).map(verified)
  }

  isRelay(keyId: PeerKeyId): boolean {
    return this.#relays.has(keyId)
  }

  /** True when nobody advertises room: no tree has an edge then. */
  get empty(): boolean {
    return this.ads.length === 0
  }

  /** What the digest of a stream's tree is taken over: the reported facts, not those filled in. */
  forDigest(streamId: Bytes): TopologySnapshot {
    return {
      capacityAds: this.adsFor(streamId),
      trustGrants: this.peers.map((granterPeerId) => ({
        granterPeerId,
        granteePeerId: "*",
        grantedAtUnixMs: 0n,
        chainDepth: 0,
        weight: 255,
      })),
      reachabilityObservations: this.observations,
      localityId: this.localityId,
      snapshotEpochId: this.epochId,
    }
  }

  /** The advertisements that speak for a stream: those of the whole room and its own. */
  adsFor(streamId: Bytes): TopologyAd[] {
    return this.ads.filter((ad) => equalBytes(ad.streamId, this.roomCapacityId) || equalBytes(ad.streamId, streamId))
  }

  #counts(ad: Pick<SignedRelayCapacity, "advertiserKeyId" | "capacity">, nowUnixMs: Milliseconds): boolean {
    const cut = u64(this.epochId * BigInt(TOPOLOGY_EPOCH_MS), "snapshot_epoch_id")
    const measured = ad.capacity.measuredAtUnixMs
    const current = cut - measured < BigInt(STALE_AFTER_MS) && measured <= BigInt(Math.floor(nowUnixMs)) + BigInt(MAX_FUTURE_MS)
    return current && this.graph.has(ad.advertiserKeyId)
  }
}

function verified(ad: Omit<TopologyAd, "verification">): TopologyAd {
  const { advertiserKeyId, capacity, streamId, epoch } = ad
  return { advertiserKeyId, capacity, streamId, epoch, verification: "HybridSignatureValid" }
}

/** The links that members report, by key id; those to nodes nobody has are nobody's. `everybody` is in peer order. */
function reported(everybody: readonly (RoomViewRelay & Partial<RoomViewMember>)[]): ReachabilityObservation[] {
  const byNode = new Map<NodeId, PeerKeyId>()
  for (const { nodeId, keyId } of everybody) if (!byNode.has(nodeId)) byNode.set(nodeId, keyId)
  const observations: ReachabilityObservation[] = []
  for (const { keyId, links = [] } of everybody) {
    for (const [node, rttClass] of links) {
      const toPeerId = byNode.get(node)
      if (toPeerId === undefined) continue
      const observedRttMs = unsigned(rttClass, 32, "rtt_class")
      observations.push({ fromPeerId: keyId, toPeerId, observedRttMs, observedAtUnixMs: 0n })
    }
  }
  return observations
}
