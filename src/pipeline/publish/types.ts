/** The face of the publish worker: what the main thread asks of it, what it tells, and its statistics. */
import type { AudioEncoding, VideoEncoding } from "../../media/types.ts"
import type { VideoCodecName } from "../../media/video-codecs.ts"
import type { ErrorCode } from "../../wire/errors.ts"

export interface VideoPublishOptions {
  /** Size of the source as its track settings say; the encoder follows when frames turn out otherwise. */
  width: number
  height: number
  /** Larger pictures are scaled down, keeping their shape. Default 1280 × 720, with `detail` 1920 × 1080. */
  maxWidth?: number
  maxHeight?: number
  /** A rung below the full picture (D-37): its size in relation to what the bounds above allow, at most 1. Default 1. */
  scale?: number
  /** Frames per second at most; more are dropped before the encoder. Default 30. */
  frameRate?: number
  /** Bits per second at most, of the full picture; a smaller rung takes its part of it. Default 700 000, with `detail` 1 500 000. */
  maxBitrate?: number
  /** 2 (default) tries L1T2 first and falls back to 1. */
  temporalLayers?: 1 | 2
  /** Screen contents: sharp text before smooth motion. Default false. */
  detail?: boolean
  /** What the encoder is told about the picture. Default `"detail"` with `detail`, else `"motion"`. */
  contentHint?: ContentHint
  /**
   * Encode every `count`-th picture only, beginning with number `index`: one of several descriptions (D-33). Frame rate and
   * bitrate above are those of all of them together.
   */
  description?: { index: number; count: number }
  /** Codecs that may be used, for example those every receiver can show. Default all of the ladder. */
  codecs?: readonly VideoCodecName[]
  /** What was found out for another stream of the same source: taken over without a trial. */
  like?: { codec: string; temporalLayers: number }
  /** Begin at rest: there is no encoder until the mesh worker says that somebody subscribed. Default false. */
  idle?: boolean
}

/** As in WebCodecs. */
type ContentHint = "motion" | "detail" | "text"

export interface AudioPublishOptions {
  /** 1 (default) or 2. */
  channels?: 1 | 2
  /** Bits per second. Default 32 000. */
  maxBitrate?: number
  /** The sound of a screen or player: fidelity before protection against loss. Default false: a voice. */
  music?: boolean
}

/** What the publish worker tells the main thread, on the port of {@link PublishApi.setEventPort}. */
export type PublishEvent =
  /** Level of a microphone source, about ten times a second while it delivers and once when it falls silent. */
  | { type: "level"; sourceKey: string; level: number; speaking: boolean }
  /** The person talks into a muted microphone. Sent once per stretch of talking; needs a track that is not disabled. */
  | { type: "muted-speech"; sourceKey: string }
  /** A video source delivers no more: its track ended. */
  | { type: "source-ended"; sourceKey: string }
  /** The picture changed its size, or the encoder settled on something else: the descriptor may be renewed. */
  | { type: "encoding"; streamKey: string; encoding: VideoEncoding }
  /** The encoder cannot keep up although picture and frame rate are at their least: a codec further down may. Sent at most every 10 s. */
  | { type: "codec-too-slow"; streamKey: string; codec: string }
  /** The encoder failed. `fatal: false`: it was made anew and goes on; `true`: the stream is stopped. */
  | { type: "encoder-error"; streamKey: string; error: ErrorCode; message: string; fatal: boolean }

export interface PublishStreamStats {
  streamKey: string
  kind: "audio" | "video"
  codec: string
  /** Frames or packets encoded. */
  frames: number
  keyframes: number
  encodedBytes: number
  /** Bits per second over the last second or so. */
  bitrate: number
  /** Input frames dropped because the encoder was busy or the frame rate is capped. */
  droppedFrames: number
  encoderErrors: number
  /** Smoothed time from input to output of the encoder in ms. */
  encodeMs: number
  /** Video only: how often the picture or the frame rate was made smaller because the encoder fell behind, less how often it recovered. */
  loadLevel?: number
  width?: number
  height?: number
  /** Frames per second over the last second or so. */
  frameRate?: number
  /** Video only: what the encoder is configured with now. */
  settings?: { frameRate: number; bitrate: number; contentHint: string }
  /** True while at least one receiver is subscribed (the mesh worker says so). */
  active: boolean
}

/**
 * The publish worker as comlink shows it to the main thread. Ports and streams must be in the transfer list:
 * `publish.addVideoSource(key, Comlink.transfer(source, [source]))`. A source is a camera, screen or microphone; a stream
 * is one encoding of a source, named by its stream id in hex (`streamKey`). Several streams may use one source (D-37).
 */
export interface PublishApi {
  /** Frames go to the mesh worker on this port: `MeshApi.connectPublisher` gets the other end. */
  setMeshPort(port: MessagePort): void
  /** {@link PublishEvent} messages come out of this port. */
  setEventPort(port: MessagePort): void
  /** Adds a video source, or puts another device behind the same key (the streams go on with a keyframe). */
  addVideoSource(sourceKey: string, source: ReadableStream<VideoFrame> | MessagePort): void
  /** Adds an audio source: the port of a capture node (`AudioEngine.capture`). */
  addAudioSource(sourceKey: string, port: MessagePort): void
  /** While muted nothing of this source is encoded or sent. */
  setMuted(sourceKey: string, muted: boolean): void
  /** Ends the source and every stream of it. */
  removeSource(sourceKey: string): void
  /**
   * Finds out by trial what the encoder really does, then starts encoding. The first frame is a keyframe.
   *
   * @throws AvError `MediaUnsupported` with `missing`, `TrackUnknown` without such a source.
   */
  startVideo(streamKey: string, sourceKey: string, options: VideoPublishOptions): Promise<VideoEncoding>
  /** @throws AvError `MediaUnsupported` with `missing`, `TrackUnknown` without such a source. */
  startAudio(streamKey: string, sourceKey: string, options: AudioPublishOptions): Promise<AudioEncoding>
  stopStream(streamKey: string): void
  stats(): PublishStreamStats[]
  /** Closes encoders, sources and ports. Every later call is refused with `HandleClosedError`. */
  close(): void
}
