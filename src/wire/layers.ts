/** Codec ids, layers and what a receiver's policy lets through (av-mesh 5.1, 5.2). */
import type { ChunkLayer, ReceiverLayerPolicy } from "./types.ts"

export const CODEC_AV1_SVC = 0x01
export const CODEC_JPEG_XS = 0x02
export const CODEC_MDC = 0x03
/** Project's own id for Opus (D-9). */
export const CODEC_OPUS = 0x80
/** Project's own id for fountain symbols (D-9). */
export const CODEC_FOUNTAIN = 0x81
/** No scalability semantics; its layer is always {@link LAYER_BASE}. */
export const CODEC_OPAQUE = 0xff

export const LAYER_BASE: ChunkLayer = /* @__PURE__ */ Object.freeze({ spatial: 0, temporal: 0, quality: 0 })
/** The smallest policy: base layer only. */
export const BLINKING_DOT: ReceiverLayerPolicy = /* @__PURE__ */ Object.freeze({ maxSpatial: 0, maxTemporal: 0, maxQuality: 0 })
/** The policy that admits every layer. */
export const UNCAPPED: ReceiverLayerPolicy = /* @__PURE__ */ Object.freeze({
  maxSpatial: 255,
  maxTemporal: 255,
  maxQuality: 255,
})

/** True when the layer is within the policy on all three axes. Never looks at the codec; see {@link admitsChunk}. */
export function admits(policy: ReceiverLayerPolicy, layer: ChunkLayer): boolean {
  return layer.spatial <= policy.maxSpatial && layer.temporal <= policy.maxTemporal && layer.quality <= policy.maxQuality
}

/** {@link admits}, with opaque chunks always let through: their layer carries no meaning (D-4). */
export function admitsChunk(policy: ReceiverLayerPolicy, codecId: number, layer: ChunkLayer): boolean {
  return codecId === CODEC_OPAQUE || admits(policy, layer)
}
