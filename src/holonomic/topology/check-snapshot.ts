/** The checks of a snapshot before anything is computed from it: every text and integer must be encodable (D01, D02). */
import { AvError } from "../../wire/errors.ts"
import { u64, unsigned, wellFormed } from "../checks.ts"
import type { RootedOptions, TopologyAd, TopologySnapshot } from "./types.ts"

/** @throws AvError `IllFormedString`, `IntegerOutOfRange`, `UsageError` (a stream id that is not 32 bytes). */
export function checkSnapshot(snapshot: TopologySnapshot): void {
  wellFormed(snapshot.localityId)
  u64(snapshot.snapshotEpochId, "snapshot_epoch_id")
  for (const ad of snapshot.capacityAds) checkAd(ad)
  for (const grant of snapshot.trustGrants) {
    wellFormed(grant.granterPeerId)
    wellFormed(grant.granteePeerId)
    u64(grant.grantedAtUnixMs, "granted_at_unix_ms")
    unsigned(grant.chainDepth, 8, "chain_depth")
    unsigned(grant.weight, 32, "weight")
  }
  for (const observation of snapshot.reachabilityObservations) {
    wellFormed(observation.fromPeerId)
    wellFormed(observation.toPeerId)
    unsigned(observation.observedRttMs, 32, "observed_rtt_ms")
    u64(observation.observedAtUnixMs, "observed_at_unix_ms")
  }
}

/** @throws AvError as {@link checkSnapshot}. */
export function checkRootedOptions({ sourcePeerId, edgeMillibps }: RootedOptions): void {
  wellFormed(sourcePeerId)
  if (edgeMillibps !== undefined) u64(edgeMillibps, "edge_millibps")
}

/** @throws AvError as {@link checkSnapshot}. */
function checkAd({ advertiserKeyId, capacity, streamId, epoch }: TopologyAd): void {
  wellFormed(advertiserKeyId)
  if (streamId.length !== 32) throw new AvError("UsageError", { why: "stream id length", got: streamId.length })
  u64(epoch, "epoch")
  u64(capacity.measuredAtUnixMs, "measured_at_unix_ms")
  unsigned(capacity.maxStreams, 16, "max_streams")
  unsigned(capacity.maxSubscribersPerStream, 16, "max_subscribers_per_stream")
  unsigned(capacity.maxLayerSupported.maxSpatial, 8, "max_spatial")
  unsigned(capacity.maxLayerSupported.maxTemporal, 8, "max_temporal")
  unsigned(capacity.maxLayerSupported.maxQuality, 8, "max_quality")
  for (const { subStreamPath, maxSubscribers } of capacity.subStreamCommitments) {
    unsigned(subStreamPath.length, 16, "sub_stream_path")
    unsigned(maxSubscribers, 16, "max_subscribers")
  }
}
