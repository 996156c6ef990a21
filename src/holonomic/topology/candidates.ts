/** Who takes part in a tree: one advertisement per peer, in peer order, with what is believed of it (steps 1-8, D16). */
import { compareBytes, compareUtf8 } from "../../wire/bytes.ts"
import { capacityCanonicalBytes } from "../../wire/capacity.ts"
import type { PeerKeyId } from "../../wire/types.ts"
import { believedMillibps } from "./quantise.ts"
import { type PathKey, pathKey, sortedPaths, WHOLE_STREAM } from "./sub-path.ts"
import type { AdVerification, TopologyAd } from "./types.ts"

export interface Candidate {
  readonly id: PeerKeyId
  /** Believed uplink in thousandths of Mbit/s, cut where more makes no difference. */
  readonly millibps: number
  readonly maxSubscribers: number
  /** Most children by path; undefined: any path, without a limit of its own. */
  readonly promised: ReadonlyMap<PathKey, number> | undefined
  /** Ascending. */
  readonly paths: readonly PathKey[]
}

const RANK: Record<AdVerification, number> = { Unverified: 0, HybridSignatureValid: 1, ThroughputChallenged: 2 }
const ANY_PATH = [WHOLE_STREAM]

/** The advertisement that counts for each peer. Unverified ones vanish. */
export function latestAds(ads: Iterable<TopologyAd>): Map<PeerKeyId, TopologyAd> {
  const latest = new Map<PeerKeyId, TopologyAd>()
  for (const ad of ads) {
    if (ad.verification === "Unverified") continue
    const held = latest.get(ad.advertiserKeyId)
    if (held === undefined || compareAds(held, ad) < 0) latest.set(ad.advertiserKeyId, ad)
  }
  return latest
}

export function candidateOf({ advertiserKeyId, capacity, verification }: TopologyAd): Candidate {
  const promised = capacity.subStreamCommitments.length === 0 ? undefined : new Map<PathKey, number>()
  if (promised !== undefined) {
    for (const { subStreamPath, maxSubscribers } of capacity.subStreamCommitments) {
      const key = pathKey(subStreamPath)
      if (!promised.has(key)) promised.set(key, maxSubscribers)
    }
  }
  return {
    id: advertiserKeyId,
    millibps: believedMillibps(capacity.uplinkMbps, verification),
    maxSubscribers: capacity.maxSubscribersPerStream,
    promised,
    paths: promised === undefined ? ANY_PATH : sortedPaths(promised.keys()),
  }
}

/** Sorts by the UTF-8 bytes of the id, in place. The place in the result stands for the peer from then on. */
export function inPeerOrder<T extends { readonly id: PeerKeyId }>(candidates: T[]): T[] {
  return candidates.sort((a, b) => compareUtf8(a.id, b.id))
}

/** By id, the place in the list. */
export function places(candidates: readonly { readonly id: PeerKeyId }[]): Map<PeerKeyId, number> {
  return new Map(candidates.map(({ id }, place) => [id, place]))
}

/** Sorted and without repetition. */
export function peerSet(ids: Iterable<PeerKeyId>): PeerKeyId[] {
  return [...new Set(ids)].sort(compareUtf8)
}

/** Order of two advertisements of one peer: the last one counts. The order of their arrival must not. */
function compareAds(a: TopologyAd, b: TopologyAd): number {
  const [x, y] = [a.capacity.measuredAtUnixMs, b.capacity.measuredAtUnixMs]
  if (x !== y) return x < y ? -1 : 1
  return RANK[a.verification] - RANK[b.verification] || compareBytes(canonicalBytes(a), canonicalBytes(b))
}

export function canonicalBytes({ capacity, streamId, epoch }: TopologyAd): Uint8Array {
  return capacityCanonicalBytes(capacity, streamId, epoch)
}
