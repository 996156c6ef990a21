/** What a topology is computed from, and what comes out. */
import type { SignedRelayCapacity } from "../../wire/capacity.ts"
import type { Bytes, PeerKeyId, U64 } from "../../wire/types.ts"

/** How far an advertisement was checked. Only a challenged one is believed above 1000 Mbit/s. */
export type AdVerification = "Unverified" | "HybridSignatureValid" | "ThroughputChallenged"

/** An advertisement as the topology reads it; its signatures were judged before, see `verification`. */
export interface TopologyAd extends Pick<SignedRelayCapacity, "advertiserKeyId" | "capacity" | "streamId" | "epoch"> {
  verification: AdVerification
}

export interface TrustGrant {
  granterPeerId: PeerKeyId
  granteePeerId: PeerKeyId
  grantedAtUnixMs: U64
  /** 0: granted directly. A u8. */
  chainDepth: number
  /** A u32, not used by the topology. */
  weight: number
}

export interface ReachabilityObservation {
  fromPeerId: PeerKeyId
  toPeerId: PeerKeyId
  /** A u32. */
  observedRttMs: number
  observedAtUnixMs: U64
}

/** Everything that decides a tree. Equal snapshots give equal trees on every peer. */
export interface TopologySnapshot {
  capacityAds: readonly TopologyAd[]
  trustGrants: readonly TrustGrant[]
  reachabilityObservations: readonly ReachabilityObservation[]
  /** Part of the digest; the algorithm does not read it. */
  localityId: string
  snapshotEpochId: U64
}

export interface TopologyEdge {
  parentPeerId: PeerKeyId
  childPeerId: PeerKeyId
  /** Empty: the whole stream. */
  subStreamPath: Bytes
}

export interface AlmTopology {
  /** By child, parent, path. */
  tree: TopologyEdge[]
  /** Peers without any parent. */
  unrootedPeers: PeerKeyId[]
  snapshotEpochId: U64
  topologyVersion: number
}

/** A peer that has a parent for some of the paths it wants. */
export interface PartialPeer {
  peerId: PeerKeyId
  missingPaths: Bytes[]
}

export interface RootedTopology extends AlmTopology {
  partial: PartialPeer[]
}

export interface RootedOptions {
  sourcePeerId: PeerKeyId
  /** Bitrate of one description in thousandths of Mbit/s (a u64); 0 or absent: uplinks are not checked. */
  edgeMillibps?: U64
}
