/** Finds the video encoder settings that really work in this browser, by encoding a few frames. */
import type { VideoEncoding } from "../../media/types.ts"
import { AvError } from "../../wire/errors.ts"
import type { VideoPublishOptions } from "./types.ts"

/** AV1 Main profile, level 4.0, 8 bit (dependencies.md 4). */
export const AV1_CODEC = "av01.0.08M.08"
const DEFAULT_BITRATE = 700_000
const DEFAULT_FRAME_RATE = 30
const DEFAULT_MAX_WIDTH = 1280
const DEFAULT_MAX_HEIGHT = 720
const TRIAL_FRAMES = 4
const TRIAL_TIMEOUT_MS = 3_000

export interface ChosenVideo {
  encoding: VideoEncoding
  config: VideoEncoderConfig
}

/** Scales a picture into the bounds, keeping its shape; both sides even and at least 2 (av-mesh 9.3). */
export function fitSize(width: number, height: number, maxWidth = DEFAULT_MAX_WIDTH, maxHeight = DEFAULT_MAX_HEIGHT) {
  // A portrait picture gets the same number of pixels as a landscape one.
  const [boundWidth, boundHeight] = width >= height ? [maxWidth, maxHeight] : [maxHeight, maxWidth]
  const scale = Math.min(1, boundWidth / width, boundHeight / height)
  const even = (value: number) => Math.max(2, Math.floor((value * scale) / 2) * 2)
  return { width: even(width), height: even(height) }
}

/** The encoder configuration for a picture of this size. */
export function videoConfig(options: VideoPublishOptions, width: number, height: number, layers: number): VideoEncoderConfig {
  const size = fitSize(width, height, options.maxWidth, options.maxHeight)
  return {
    codec: AV1_CODEC,
    ...size,
    bitrate: options.maxBitrate ?? DEFAULT_BITRATE,
    framerate: options.frameRate ?? DEFAULT_FRAME_RATE,
    latencyMode: "realtime",
    contentHint: options.detail ? "detail" : "motion",
    ...(layers > 1 ? { scalabilityMode: `L1T${layers}` } : {}),
  }
}

/**
 * Tries two temporal layers first, then one. `isConfigSupported` alone is not believed: each candidate encodes frames.
 *
 * @throws AvError `MediaUnsupported` with `missing` when no candidate works
 */
export async function chooseVideo(options: VideoPublishOptions): Promise<ChosenVideo> {
  if (typeof VideoEncoder === "undefined") throw unsupported("VideoEncoder")
  for (const layers of options.temporalLayers === 1 ? [1] : [2, 1]) {
    const config = videoConfig(options, options.width || 640, options.height || 360, layers)
    const seen = await trialLayers(config)
    if (seen === undefined || seen > layers) continue
    const { codec, width, height } = config
    const bitrate = config.bitrate ?? DEFAULT_BITRATE
    const encoding = { codec, width, height, bitrate, frameRate: config.framerate ?? DEFAULT_FRAME_RATE, temporalLayers: seen }
    return { encoding, config: videoConfig(options, options.width || 640, options.height || 360, seen) }
  }
  throw unsupported(`VideoEncoder for ${AV1_CODEC}`)
}

function unsupported(missing: string): AvError {
  return new AvError("MediaUnsupported", { missing }, { message: `This browser cannot send video: it lacks ${missing}.` })
}

/** Number of temporal layers that came out; undefined when the encoder failed. */
async function trialLayers(config: VideoEncoderConfig): Promise<number | undefined> {
  const support = await VideoEncoder.isConfigSupported(config).catch(() => undefined)
  if (support?.supported !== true) return undefined
  const { width, height } = config
  let failed = false
  let outputs = 0
  let layers = 1
  const encoder = new VideoEncoder({
    output: (_chunk, metadata) => {
      outputs++
      layers = Math.max(layers, temporalLayerOf(metadata) + 1)
    },
    error: () => {
      failed = true
    },
  })
  try {
    encoder.configure(config)
    const pixels = new Uint8Array((width * height * 3) / 2).fill(128)
    for (let i = 0; i < TRIAL_FRAMES; i++) {
      const frame = new VideoFrame(pixels, { format: "I420", codedWidth: width, codedHeight: height, timestamp: i * 33_333 })
      encoder.encode(frame, { keyFrame: i === 0 })
      frame.close()
    }
    await Promise.race([encoder.flush(), new Promise((_, reject) => setTimeout(reject, TRIAL_TIMEOUT_MS))])
  } catch {
    failed = true
  }
  if (encoder.state !== "closed") encoder.close()
  return failed || outputs === 0 ? undefined : layers
}

/** The temporal layer an encoder reports for a chunk, 0 when it reports none. */
export function temporalLayerOf(metadata: EncodedVideoChunkMetadata | undefined): number {
  const svc = metadata !== undefined && "svc" in metadata ? metadata.svc : undefined
  if (typeof svc !== "object" || svc === null || !("temporalLayerId" in svc)) return 0
  return typeof svc.temporalLayerId === "number" ? svc.temporalLayerId : 0
}
