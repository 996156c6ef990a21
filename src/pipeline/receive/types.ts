/** The face of the receive worker: what the main thread asks of it, what it tells, and its statistics. */
import type { FreezeCount } from "../../media/freeze-meter.ts"
import type { ErrorCode } from "../../wire/errors.ts"

export interface VideoReceiveOptions {
  /** Streams with the same group are kept in step: use the participant's key id. */
  group: string
  /** WebCodecs codec string of the descriptor. */
  codec: string
  /** `max_layer.temporal + 1` of the descriptor. */
  temporalLayers: number
}

export interface AudioReceiveOptions {
  group: string
  codec: string
  /** 1 or 2. */
  channels: number
}

/** What the receive worker tells the main thread, on the port of {@link ReceiveApi.setEventPort}. */
export type ReceiveEvent =
  /** Level of an audio stream as it is played, about ten times a second while it sounds and once when it falls silent. */
  | { type: "level"; streamKey: string; level: number; speaking: boolean }
  /** The first picture was written to the track, or the first sound was played. */
  | { type: "started"; streamKey: string }
  | { type: "decoder-error"; streamKey: string; error: ErrorCode; message: string; fatal: boolean }

export interface ReceiveStats {
  streamKey: string
  kind: "audio" | "video"
  codec: string
  /** Frames or packets that arrived, each once. */
  frames: number
  duplicates: number
  repairedFrames: number
  /** Frames that never came, as far as the numbering shows. */
  lostFrames: number
  /** Frames that came but were not fed to the decoder: too late, or a reference was missing. */
  skippedFrames: number
  decodedFrames: number
  /** Video: pictures written to the track. Audio: packets given to the playout node. */
  renderedFrames: number
  keyframeRequests: number
  decoderErrors: number
  /** Bits per second over the last second or so. */
  bitrate: number
  /** Delay over the fastest frame of the last ten seconds plus buffering, in ms; clocks are not compared. */
  jitterMs: number
  /** Current target of the jitter buffer in ms. */
  bufferMs: number
  /** Video: longest time between two rendered pictures. Audio: longest hole that nothing could be decoded for. In ms since the reset. */
  longestGapMs: number
  /** Video only: how often and how long the shown picture stood still. */
  freezes?: FreezeCount
  /** Video only: time from giving a frame to the decoder to its picture, the slow ones counting most; ms. */
  decodeMs?: number
  /** Video only: picture shown minus sound heard, in ms of capture time; undefined without both. */
  avOffsetMs?: number
  /** Audio only: milliseconds made up or silent where sound was due. What forward error correction brought back is not in it. */
  concealedMs?: number
  /** Audio only: lost packets whose sound came back from the copy in the next packet. */
  recoveredFrames?: number
  width?: number
  height?: number
  /** Pictures per second over the last second or so. */
  frameRate?: number
  /** Capture time in µs of the picture last rendered or the sound last played, on the publisher's clock. */
  lastPtsUs?: number
}

/**
 * The receive worker as comlink shows it to the main thread. Ports and writables must be in the transfer list.
 * Streams are named by their stream id in hex, as on the port to the mesh worker.
 */
export interface ReceiveApi {
  /** Frames come from the mesh worker on this port: `MeshApi.connectReceiver` gets the other end. */
  setMeshPort(port: MessagePort): void
  /** {@link ReceiveEvent} messages come out of this port. */
  setEventPort(port: MessagePort): void
  /** Where AV1 is decoded if this browser does not do it: the other end goes to the AV1 worker. Before the first such stream. */
  setAv1Port(port: MessagePort): void
  /** The AV1 worker could not be loaded: streams that wait for it are refused with `MediaUnsupported`. */
  endAv1(): void
  /**
   * @param sink of `createVideoOutput`, transferred
   * @throws AvError `MediaUnsupported` when the browser has no decoder for the codec, `LimitExceeded` above 64 streams.
   */
  addVideo(streamKey: string, options: VideoReceiveOptions, sink: WritableStream<VideoFrame> | MessagePort): Promise<void>
  /**
   * Another description (D-33) of the picture that stream `ofStreamKey` shows: both write to the same track, and either alone
   * plays on at its own share of the frame rate. Removing one leaves the other.
   *
   * @throws AvError `MediaUnsupported`, `LimitExceeded`, `TrackUnknown` without such a stream
   */
  addDescription(streamKey: string, options: VideoReceiveOptions, ofStreamKey: string): Promise<void>
  /**
   * Another encoding (D-37, or another codec) of the picture that stream `ofStreamKey` shows. From its first picture on it alone
   * writes to the track, and every other stream of the track is at its end: `started` is the time to remove them.
   *
   * @throws AvError `MediaUnsupported`, `LimitExceeded`, `TrackUnknown` without such a stream
   */
  addReplacement(streamKey: string, options: VideoReceiveOptions, ofStreamKey: string): Promise<void>
  /**
   * @param port of a playout node (`AudioEngine.createOutput`), transferred
   * @throws AvError `MediaUnsupported`, `LimitExceeded`
   */
  addAudio(streamKey: string, options: AudioReceiveOptions, port: MessagePort): Promise<void>
  /** The subscription's temporal cap: frames above it are not waited for. */
  setMaxTemporal(streamKey: string, maxTemporal: number): void
  /** The publisher muted or unmuted. Speaking goes off at once, and the pause does not count as a gap. */
  setMuted(streamKey: string, muted: boolean): void
  /** Time from the playout node to the ear in ms (`AudioEngine.outputLatencyMs`), for lip sync. */
  setOutputLatency(ms: number): void
  removeStream(streamKey: string): void
  /** Starts `longestGapMs` of one or all streams anew. */
  resetGaps(streamKey?: string): void
  stats(): ReceiveStats[]
  /** Closes decoders, tracks and ports. Every later call is refused with `HandleClosedError`. */
  close(): void
}
