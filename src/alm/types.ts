/** Plain values that the multicast cores share. */
import type { SignedRelayCapacity } from "../wire/capacity.ts"
import type { Milliseconds, PeerKeyId } from "../wire/types.ts"

/** A relay that may be asked. Everything but the capacity is this peer's own observation. */
export interface ParentCandidate {
  /** Admitted before (D-24): the planner takes it on trust. */
  signedCapacity: Pick<SignedRelayCapacity, "advertiserKeyId" | "capacity">
  /** 0..1; unknown is worse than bad: such a candidate is never chosen. */
  reachabilityRatio?: number | undefined
  rttMsEstimate?: Milliseconds | undefined
  /** Of the stream (or sub-stream) that is planned; unknown counts as none. */
  currentSubscribers?: number | undefined
  /** Name of the network it is in (its /24 or /48), for choosing an independent second parent. */
  network?: string | undefined
  /** False when a link would have to be made first; undefined counts as linked. */
  linked?: boolean | undefined
  /** Who feeds it in the plan, for the same purpose. */
  upstream?: PeerKeyId | undefined
}

export interface JoinPlan {
  primaryParent: PeerKeyId
  /** At most two, best first. */
  backupParents: PeerKeyId[]
  streamBitrateMbps: number
}

/** The planned tree of one stream as one receiver sees it (D-44); `src/holonomic` computes it. */
export interface TreeView {
  /** Unix ms at which the snapshot was assembled. */
  since: Milliseconds
  /** The plan leaves relays places for second parents. */
  spare?: boolean
  /** The planned parent; undefined for the source and for who found no place. */
  parent: PeerKeyId | undefined
  /** Steps from the source, 0 for the source itself; undefined for who is not in the tree. */
  depthOf(keyId: PeerKeyId): number | undefined
  /** The planned parent of another member. */
  parentOf(keyId: PeerKeyId): PeerKeyId | undefined
}

/** `[from, to)` of symbol ids (D-29); undefined means everything. */
export type SymbolRange = readonly [from: number, to: number]
