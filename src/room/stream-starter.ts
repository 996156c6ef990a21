/** Starts and stops the streams of a publication: in the mesh, in the publish worker, and as descriptors. */
import type { AudioEncoding, VideoEncoding } from "../media/types.ts"
import type { VideoCodecName } from "../media/video-codecs.ts"
import { type MeshPublish, streamKeyOf } from "../pipeline/index.ts"
import type { AudioPublishOptions, VideoPublishOptions } from "../pipeline/publish/types.ts"
import { leastBitrate, pictureBitrate, pictureBounds } from "../pipeline/publish/video-choice.ts"
import { deriveStreamId } from "../seal/inner/index.ts"
import { CODEC_AV1_SVC, CODEC_MDC, CODEC_OPUS } from "../wire/layers.ts"
import type { Bytes, PeerKeyId, RandomBytes } from "../wire/types.ts"
import { audioDescriptor, rungLabel, type StreamInputs, streamPath, videoDescriptor } from "./descriptors.ts"
import type { LocalPublication, PublishedStream } from "./publication.ts"
import { type PlannedStream, planStreams } from "./stream-plan.ts"
import type { PublishOptions } from "./types.ts"

/** Frames per second at most, and for contents whose pixels matter more. */
const MOTION_RATE = 30
const DETAIL_RATE = 15

/** What starting a stream needs from the room around it. */
export interface StarterHost {
  random: RandomBytes
  ownKeyId: PeerKeyId
  roomId(): Bytes
  meshPublish(stream: MeshPublish): Promise<void>
  meshUnpublish(streamId: Bytes): void
  startVideo(streamKey: string, sourceKey: string, options: VideoPublishOptions): Promise<VideoEncoding>
  startAudio(streamKey: string, sourceKey: string, options: AudioPublishOptions): Promise<AudioEncoding>
  stopStream(streamKey: string): void
}

/** Streams of one picture, and what encoding one takes. */
interface StartedVideo {
  streams: PublishedStream[]
  msPerFrame: number | undefined
  frameRate: number
}

export class StreamStarter {
  readonly #host: StarterHost

  constructor(host: StarterHost) {
    this.#host = host
  }

  /** All streams of a picture, in order of size. All or none. */
  async video(publication: LocalPublication, options: PublishOptions, codecs: readonly VideoCodecName[]): Promise<StartedVideo> {
    const base = videoOptions(publication, options)
    const plan = planStreams(modeOf(publication, options), base, pictureBounds(base))
    const instance = this.#host.random(16)
    const streams: PublishedStream[] = []
    let first: VideoEncoding | undefined
    try {
      for (const planned of plan) {
        const chosen = first === undefined ? { codecs } : { like: { codec: first.codec, temporalLayers: first.temporalLayers } }
        const started = await this.#rung(publication, planned, instance, { ...base, ...chosen })
        first ??= started.encoding
        streams.push(started.stream)
      }
    } catch (error) {
      for (const stream of streams) this.stop(stream)
      throw error
    }
    streams.sort((a, b) => (a.spatial ?? 0) - (b.spatial ?? 0))
    return { streams, msPerFrame: first?.msPerFrame, frameRate: base.frameRate ?? MOTION_RATE }
  }

  /** One small stream in another codec, for those who cannot show that of the others. */
  async second(
    publication: LocalPublication,
    options: PublishOptions,
    codecs: readonly VideoCodecName[],
  ): Promise<PublishedStream> {
    const base = videoOptions(publication, options)
    const rungs = planStreams("layers", base, pictureBounds(base))
    const scale = rungs[Math.min(1, rungs.length - 1)]!.scale
    const planned: PlannedStream = { spatial: 0, scale, idle: true }
    const { stream } = await this.#rung(publication, planned, this.#host.random(16), { ...base, codecs })
    return { ...stream, second: true }
  }

  async audio(publication: LocalPublication, options: PublishOptions): Promise<PublishedStream> {
    const instance = this.#host.random(16)
    const inputs = await this.#inputs(publication.label, undefined, instance)
    const { streamId } = inputs
    const streamKey = streamKeyOf(streamId)
    await this.#host.meshPublish({ streamId, sealProfile: 1, kind: "audio", codecId: CODEC_OPUS, fountain: false })
    try {
      const bitrate = options.maxBitrate === undefined ? {} : { maxBitrate: options.maxBitrate }
      const music = publication.source === "screen"
      const encoding = await this.#host.startAudio(streamKey, publication.label, { ...bitrate, music })
      return { streamId, streamKey, instance, codec: encoding.codec, descriptor: audioDescriptor(inputs, encoding) }
    } catch (error) {
      this.#host.meshUnpublish(streamId)
      throw error
    }
  }

  stop(stream: PublishedStream): void {
    this.#host.stopStream(stream.streamKey)
    this.#host.meshUnpublish(stream.streamId)
  }

  async #rung(
    publication: LocalPublication,
    planned: PlannedStream,
    instance: Bytes,
    base: VideoPublishOptions,
  ): Promise<{ stream: PublishedStream; encoding: VideoEncoding }> {
    const { spatial, scale, description, idle, below } = planned
    const inputs = await this.#inputs(rungLabel(publication.label, spatial), description?.index, instance)
    const { streamId } = inputs
    const streamKey = streamKeyOf(streamId)
    const codecId = description === undefined ? CODEC_AV1_SVC : CODEC_MDC
    const floor = below === undefined ? {} : { floor: leastBitrate({ ...base, scale }, below) }
    const maxBitrate = Math.round(pictureBitrate({ ...base, scale }) / (description?.count ?? 1))
    const facts = { streamId, sealProfile: 1 as const, kind: "video" as const, codecId, fountain: true }
    await this.#host.meshPublish({ ...facts, idle, maxBitrate, ...floor })
    try {
      const parts = description === undefined ? {} : { description, temporalLayers: 1 as const }
      const encoding = await this.#host.startVideo(streamKey, publication.label, { ...base, scale, idle, ...parts })
      const about = { spatial, ...(description === undefined ? {} : { description: description.index }) }
      const descriptor = videoDescriptor(inputs, encoding)
      return { stream: { streamId, streamKey, instance, codec: encoding.codec, descriptor, ...about }, encoding }
    } catch (error) {
      this.#host.meshUnpublish(streamId)
      throw error
    }
  }

  async #inputs(trackLabel: string, description: number | undefined, instance: Bytes): Promise<StreamInputs> {
    const about = {
      sealProfile: 1 as const,
      roomId: this.#host.roomId(),
      publisherKeyId: this.#host.ownKeyId,
      trackLabel,
      instance,
    }
    const streamId = await deriveStreamId({ ...about, subStreamPath: streamPath(description) })
    return { ...about, streamId, ...(description === undefined ? {} : { description }) }
  }
}

/** The encoder settled on another size: the descriptor follows, the stream stays. */
export function withEncoding(stream: PublishedStream, encoding: VideoEncoding): PublishedStream {
  const { description, descriptor } = stream
  const inputs = description === undefined ? descriptor : { ...descriptor, description }
  return { ...stream, codec: encoding.codec, descriptor: { ...descriptor, ...videoDescriptor(inputs, encoding) } }
}

function modeOf(publication: LocalPublication, options: PublishOptions) {
  return options.mode ?? (publication.source === "screen" ? "single" : "layers")
}

function videoOptions(publication: LocalPublication, options: PublishOptions): VideoPublishOptions {
  const { track, source } = publication
  const settings = track?.getSettings() ?? {}
  const hinted = track?.contentHint
  const ofTrack = hinted === "motion" || hinted === "detail" || hinted === "text" ? hinted : undefined
  const contentHint = options.contentHint ?? ofTrack ?? (source === "screen" ? "text" : "motion")
  const detail = contentHint !== "motion"
  const most = options.frameRate ?? settings.frameRate ?? MOTION_RATE
  // A screen that says 0 frames per second means: when something changes.
  const frameRate = Math.min(most > 0 ? most : MOTION_RATE, detail && options.frameRate === undefined ? DETAIL_RATE : MOTION_RATE)
  return {
    width: settings.width ?? 640,
    height: settings.height ?? 360,
    frameRate,
    detail,
    contentHint,
    ...(options.maxBitrate === undefined ? {} : { maxBitrate: options.maxBitrate }),
  }
}
