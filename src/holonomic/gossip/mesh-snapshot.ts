/** The facts of a mesh without a room, as a topology is computed from them: advertisements, grants, and measured round trips (D19). */

import { compareUtf8, equalBytes } from "../../wire/bytes.ts"
import { isStale, type SignedRelayCapacity } from "../../wire/capacity.ts"
import type { Bytes, Milliseconds, PeerKeyId, U64 } from "../../wire/types.ts"
import { TOPOLOGY_EPOCH_MS, topologyEpoch } from "../topology/room-snapshot.ts"
import type { AdVerification, ReachabilityObservation, TopologyAd, TopologySnapshot, TrustGrant } from "../topology/types.ts"

/** Round trips older than this say nothing. */
const OBSERVATION_LASTS_MS = 60_000
/** Samples of one pair; their median counts. */
const SAMPLES = 5
const MAX_PAIRS = 100_000
const MAX_ADS = 10_000
/** Steps beyond which nobody trusts. */
const MAX_DEPTH = 4

interface Pair {
  from: PeerKeyId
  to: PeerKeyId
  /** The oldest first. */
  samples: { rttMs: number; atUnixMs: U64 }[]
}

export class MeshFacts {
  readonly #ads = new Map<string, TopologyAd>()
  readonly #pairs = new Map<string, Pair>()

  /** An advertisement whose signatures were judged. Of one peer and stream the newest counts. */
  takeAd(
    signed: Omit<SignedRelayCapacity, "signatureEd25519Base64" | "signatureMlDsa65Base64">,
    verification: AdVerification,
  ): void {
    const { advertiserKeyId, capacity, streamId, epoch } = signed
    const key = `${advertiserKeyId} ${streamId.join()}`
    const before = this.#ads.get(key)
    if (before !== undefined && before.capacity.measuredAtUnixMs >= capacity.measuredAtUnixMs) return
    if (before === undefined && this.#ads.size >= MAX_ADS) return
    this.#ads.set(key, { advertiserKeyId, capacity, streamId, epoch, verification })
  }

  /** A round trip that `from` has measured itself. Hearsay: never part of a witness. */
  takeRtt(from: PeerKeyId, { toPeerId, observedRttMs, observedAtUnixMs }: Omit<ReachabilityObservation, "fromPeerId">): void {
    const key = JSON.stringify([from, toPeerId])
    const pair = this.#pairs.get(key) ?? { from, to: toPeerId, samples: [] }
    if (pair.samples.length === 0 && this.#pairs.size >= MAX_PAIRS) return
    if (pair.samples.some(({ atUnixMs }) => atUnixMs === observedAtUnixMs)) return
    pair.samples.push({ rttMs: observedRttMs, atUnixMs: observedAtUnixMs })
    pair.samples.sort((a, b) => Number(a.atUnixMs - b.atUnixMs))
    if (pair.samples.length > SAMPLES) pair.samples.shift()
    this.#pairs.set(key, pair)
  }

  /**
   * The snapshot of a stream at the beginning of the present topology epoch. Only what was known then enters.
   * @param grants those that count at the cut, see `ClaimBook.grantsAt`
   */
  snapshot(
    { streamId, epoch, localityId }: { streamId: Bytes; epoch: U64; localityId: string },
    grants: readonly TrustGrant[],
    nowUnixMs: Milliseconds,
  ): TopologySnapshot {
    const snapshotEpochId = topologyEpoch(nowUnixMs)
    const cut = snapshotEpochId * BigInt(TOPOLOGY_EPOCH_MS)
    const capacityAds = [...this.#ads.values()].filter(
      (ad) => equalBytes(ad.streamId, streamId) && ad.epoch === epoch && !isStale(ad.capacity.measuredAtUnixMs, cut),
    )
    const reachabilityObservations: ReachabilityObservation[] = []
    for (const { from, to, samples } of this.#pairs.values()) {
      const known = samples.filter(({ atUnixMs }) => atUnixMs <= cut && cut - atUnixMs <= BigInt(OBSERVATION_LASTS_MS))
      const last = known.at(-1)
      if (last === undefined) continue
      const ordered = known.map(({ rttMs }) => rttMs).sort((a, b) => a - b)
      const observedRttMs = ordered[Math.floor((ordered.length - 1) / 2)]!
      reachabilityObservations.push({ fromPeerId: from, toPeerId: to, observedRttMs, observedAtUnixMs: last.atUnixMs })
    }
    return { capacityAds, trustGrants: flattened(grants), reachabilityObservations, localityId, snapshotEpochId }
  }
}

/** Direct grants, and those that follow from them, each pair at its smallest depth. */
export function flattened(grants: readonly TrustGrant[]): TrustGrant[] {
  const direct = new Map<PeerKeyId, TrustGrant[]>()
  // In one order everywhere: where two ways are equally short, the first one found is told.
  const sorted = grants.toSorted(
    (a, b) => compareUtf8(a.granterPeerId, b.granterPeerId) || compareUtf8(a.granteePeerId, b.granteePeerId),
  )
  for (const grant of sorted) direct.set(grant.granterPeerId, [...(direct.get(grant.granterPeerId) ?? []), grant])
  const out: TrustGrant[] = []
  for (const granterPeerId of direct.keys()) {
    const seen = new Set([granterPeerId])
    let level = direct.get(granterPeerId)!
    for (let depth = 0; depth <= MAX_DEPTH && level.length > 0; depth++) {
      const next: TrustGrant[] = []
      for (const grant of level) {
        const { granteePeerId, grantedAtUnixMs, weight } = grant
        if (seen.has(granteePeerId)) continue
        seen.add(granteePeerId)
        out.push({ granterPeerId, granteePeerId, grantedAtUnixMs, chainDepth: depth, weight })
        next.push(...(direct.get(granteePeerId) ?? []))
      }
      level = next
    }
  }
  return out
}
