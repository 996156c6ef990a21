/** What a parent asks for when several children want a stream: per axis the most that anybody wants (RM-19). */
import { BLINKING_DOT } from "../wire/layers.ts"
import type { ReceiverLayerPolicy } from "../wire/types.ts"

/** Between two `av.policy` messages of one stream to the same parent, in ms. */
export const POLICY_GAP_MS = 250

/** The maximum per axis; without any policy the smallest one. */
export function mergePolicies(policies: readonly ReceiverLayerPolicy[]): ReceiverLayerPolicy {
  const [first = BLINKING_DOT, ...rest] = policies
  return rest.reduce(
    (merged, policy) => ({
      maxSpatial: Math.max(merged.maxSpatial, policy.maxSpatial),
      maxTemporal: Math.max(merged.maxTemporal, policy.maxTemporal),
      maxQuality: Math.max(merged.maxQuality, policy.maxQuality),
    }),
    first,
  )
}
