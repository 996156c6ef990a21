/** How holonomic vectors write a relay capacity. */
import type { RelayCapacity } from "../../src/wire/capacity.ts"

/** A number, or the name of one that JSON cannot write. */
type RateCase = number | "NaN" | "Infinity" | "-Infinity"

export interface CapacityCase {
  uplink_mbps: RateCase
  max_streams: number
  max_subscribers_per_stream: number
  measured_at_unix_ms: string
  max_layer_supported: { max_spatial: number; max_temporal: number; max_quality: number }
  sub_stream_commitments: { sub_stream_path: number[]; uplink_budget_mbps: RateCase; max_subscribers: number }[]
}

export function rateOf(value: RateCase): number {
  return Number(value)
}

export function capacityOf(c: CapacityCase): RelayCapacity {
  const { max_spatial: maxSpatial, max_temporal: maxTemporal, max_quality: maxQuality } = c.max_layer_supported
  return {
    uplinkMbps: rateOf(c.uplink_mbps),
    maxStreams: c.max_streams,
    maxSubscribersPerStream: c.max_subscribers_per_stream,
    measuredAtUnixMs: BigInt(c.measured_at_unix_ms),
    maxLayerSupported: { maxSpatial, maxTemporal, maxQuality },
    subStreamCommitments: c.sub_stream_commitments.map((commitment) => ({
      subStreamPath: Uint8Array.from(commitment.sub_stream_path),
      uplinkBudgetMbps: rateOf(commitment.uplink_budget_mbps),
      maxSubscribers: commitment.max_subscribers,
    })),
  }
}
