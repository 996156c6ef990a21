/** Finds the video codec and encoder settings that really work here and are fast enough, by encoding a few frames. */
import type { VideoEncoding } from "../../media/types.ts"
import { VIDEO_CODECS } from "../../media/video-codecs.ts"
import { AvError } from "../../wire/errors.ts"
import { type EncoderTrial, tryEncoder } from "./encoder-trial.ts"
import type { VideoPublishOptions } from "./types.ts"

const DEFAULT_FRAME_RATE = 30
/** Camera and screen: text needs every pixel. */
const DEFAULTS = {
  motion: { maxWidth: 1280, maxHeight: 720, bitrate: 700_000 },
  detail: { maxWidth: 1920, maxHeight: 1080, bitrate: 1_500_000 },
}
/** A codec that needs more than this share of the time between two frames is too slow: the machine has other work as well. */
const SPEED_SHARE = 0.8
const SECOND_CHANCE = 1.8
/** A trial ends after the time in which so many frames are due: some half a second, for a person waits meanwhile. */
const PATIENCE_FRAMES = 20
/** A screen may be sent at half the rate before another codec is tried: slow but sharp. */
const DETAIL_RATE_SHARE = 0.5

export interface ChosenVideo {
  encoding: VideoEncoding
  config: VideoEncoderConfig
}

/** Below this a picture falls apart into blocks. */
const LEAST_BITS_PER_PIXEL = 0.02

/** Part of the bitrate of the full picture that a rung of this linear scale needs: smaller pictures take more bits per pixel. */
function rungShare(scale: number): number {
  return scale ** 1.3
}

/** Scales a picture into the bounds, keeping its shape; both sides even and at least 2 (av-mesh 9.3). */
export function fitSize(width: number, height: number, maxWidth: number, maxHeight: number, scale = 1) {
  // A portrait picture gets the same number of pixels as a landscape one.
  const [boundWidth, boundHeight] = width >= height ? [maxWidth, maxHeight] : [maxHeight, maxWidth]
  const factor = scale * Math.min(1, boundWidth / width, boundHeight / height)
  const even = (value: number) => Math.max(2, Math.floor((value * factor) / 2) * 2)
  return { width: even(width), height: even(height) }
}

/** The largest picture that is encoded. */
export function pictureBounds(options: Pick<VideoPublishOptions, "detail" | "maxWidth" | "maxHeight">) {
  const { maxWidth, maxHeight } = options.detail ? DEFAULTS.detail : DEFAULTS.motion
  return { width: options.maxWidth ?? maxWidth, height: options.maxHeight ?? maxHeight }
}

/** Bit/s at most for all descriptions of this size together. */
export function pictureBitrate(options: Pick<VideoPublishOptions, "detail" | "maxBitrate" | "scale">): number {
  const { bitrate } = options.detail ? DEFAULTS.detail : DEFAULTS.motion
  return Math.round((options.maxBitrate ?? bitrate) * rungShare(options.scale ?? 1))
}

/** With less than this a picture of the size is worse than the next smaller one with the same bits, bit/s. */
export function leastBitrate(options: VideoPublishOptions, smallerScale: number): number {
  const { width, height } = encodedSize(options, options.width || 1280, options.height || 720)
  const byPixels = LEAST_BITS_PER_PIXEL * width * height * (options.frameRate ?? DEFAULT_FRAME_RATE)
  return Math.round(Math.min(byPixels, pictureBitrate({ ...options, scale: smallerScale })))
}

/** The size a picture of the source is encoded at. */
export function encodedSize(options: VideoPublishOptions, width: number, height: number, scale = 1) {
  const bounds = pictureBounds(options)
  // Scaling comes after fitting: a source smaller than the bounds has smaller rungs.
  return fitSize(width, height, bounds.width, bounds.height, (options.scale ?? 1) * scale)
}

/** The encoder configuration for a picture of this size. */
export function videoConfig(
  options: VideoPublishOptions,
  codec: string,
  width: number,
  height: number,
  layers: number,
): VideoEncoderConfig {
  const descriptions = options.description?.count ?? 1
  return {
    codec,
    ...encodedSize(options, width, height),
    bitrate: Math.round(pictureBitrate(options) / descriptions),
    framerate: (options.frameRate ?? DEFAULT_FRAME_RATE) / descriptions,
    latencyMode: "realtime",
    // Left to vary it, encoders stay a third and more below what they are given.
    bitrateMode: "constant",
    contentHint: options.contentHint ?? (options.detail ? "detail" : "motion"),
    // Parameter sets inside the stream: a joiner gets them with the keyframe.
    ...(codec.startsWith("avc1") ? { avc: { format: "annexb" as const } } : {}),
    ...(layers > 1 ? { scalabilityMode: `L1T${layers}` } : {}),
  }
}

/**
 * Starts as `like` says, where another stream of the source has shown what works; otherwise goes down the ladder of codecs to the first that is fast enough; when none is, the fastest is taken. Of each, two temporal
 * layers are tried first, then one. `isConfigSupported` alone is not believed.
 *
 * @throws AvError `MediaUnsupported` with `missing` when nothing works
 */
export async function chooseVideo(options: VideoPublishOptions): Promise<ChosenVideo> {
  if (typeof VideoEncoder === "undefined") throw unsupported("VideoEncoder")
  if (options.like !== undefined) return settled(options, options.like.codec, options.like.temporalLayers)
  const allowed = VIDEO_CODECS.filter(({ name }) => options.codecs === undefined || options.codecs.includes(name))
  const budgetMs = (SPEED_SHARE * 1_000) / ((options.frameRate ?? DEFAULT_FRAME_RATE) * (options.detail ? DETAIL_RATE_SHARE : 1))
  let fastest: { chosen: ChosenVideo; msPerFrame: number } | undefined
  for (const { codec } of allowed) {
    const found = await tryCodec(options, codec, budgetMs)
    if (found === undefined) continue
    if (found.msPerFrame <= budgetMs) return found.chosen
    if (fastest === undefined || found.msPerFrame < fastest.msPerFrame) fastest = found
  }
  if (fastest !== undefined) return fastest.chosen
  throw unsupported(`VideoEncoder for ${allowed.map(({ codec }) => codec).join(", ")}`)
}

async function tryCodec(options: VideoPublishOptions, codec: string, budgetMs: number) {
  const [width, height] = sourceSize(options)
  for (const layers of options.temporalLayers === 1 ? [1] : [2, 1]) {
    const config = videoConfig(options, codec, width, height, layers)
    const trial = await tryTwice(config, budgetMs)
    if (trial === undefined || trial.layers > layers) continue
    const { msPerFrame } = trial
    const chosen = settled(options, codec, trial.layers)
    return { chosen: { ...chosen, encoding: { ...chosen.encoding, msPerFrame } }, msPerFrame }
  }
  return undefined
}

function settled(options: VideoPublishOptions, codec: string, temporalLayers: number): ChosenVideo {
  const config = videoConfig(options, codec, ...sourceSize(options), temporalLayers)
  const { width, height, bitrate, framerate } = config
  return { encoding: { codec, width, height, bitrate: bitrate!, frameRate: framerate!, temporalLayers }, config }
}

/** What a source without settings is taken to be. */
function sourceSize({ width, height }: VideoPublishOptions): [number, number] {
  return [width || 640, height || 360]
}

/** A somewhat slow result may be the fault of a busy moment: it gets a second chance. */
async function tryTwice(config: VideoEncoderConfig, budgetMs: number): Promise<EncoderTrial | undefined> {
  const patienceMs = PATIENCE_FRAMES * budgetMs
  const trial = await tryEncoder(config, patienceMs)
  if (trial === undefined || trial.msPerFrame <= budgetMs || trial.msPerFrame > SECOND_CHANCE * budgetMs) return trial
  const again = await tryEncoder(config, patienceMs)
  return again !== undefined && again.msPerFrame < trial.msPerFrame ? again : trial
}

function unsupported(missing: string): AvError {
  return new AvError("MediaUnsupported", { missing }, { message: `This browser cannot send video: it lacks ${missing}.` })
}
