/** Values that media code passes between threads: encoded frames and the messages on the media MessagePorts. */

/** What kind of media a stream carries. */
export type MediaKind = "audio" | "video"

/**
 * One encoded video frame (an AV1 temporal unit) or one Opus packet. `data` is transferred, never copied, when the frame
 * crosses a thread border; the sender's view is detached afterwards.
 */
export interface EncodedFrame {
  /** Capture time in microseconds of the publisher's one clock, shared by its audio and video (room.md 7). An integer. */
  ptsUs: number
  /** True when the frame needs no other frame. Every Opus packet is one. */
  keyframe: boolean
  /** Temporal layer the encoder reported, 0 for the base layer and for audio. */
  temporalId: number
  data: ArrayBuffer
  /** Audio only: packet duration in milliseconds; goes into `aux` of the media payload (D-30). */
  durationMs?: number
  /** The stream paused or its source changed right before this frame: a jump of `ptsUs` is intended. */
  discontinuity?: boolean
}

/**
 * Publish worker → mesh worker. One MessagePort carries all streams of the worker pair; `streamKey` is the stream id as 64
 * hex digits. `frame.data` is in the transfer list.
 *
 * `frameId` is the `frame_id` of D-30, chosen by the publisher because numbering carries the layer pattern: with T temporal
 * layers, base frames stand exactly `2^(T-1)` numbers apart. The mesh worker puts it on the wire unchanged.
 */
export type PublishToMesh = {
  type: "frame"
  streamKey: string
  /** Unsigned 32 bit, wraps. */
  frameId: number
  frame: EncodedFrame
}

/** Mesh worker → publish worker, on the same port. */
export type MeshToPublish =
  /** Some receiver needs a keyframe. May come as often as it likes: the publish worker makes at most one per 500 ms. */
  | { type: "keyframe"; streamKey: string }
  /** New target of the encoder, in bits per second of encoded media (without repair and sealing). */
  | { type: "bitrate"; streamKey: string; bps: number }
  /** What was encoded last still waits to be sent: leave out the pictures of the next `ms`. A frame that waits too long is lost. */
  | { type: "wait"; streamKey: string; ms: number }
  /** `false`: nobody has subscribed for 5 s, so nothing is encoded. `true`: encode again, starting with a keyframe. */
  | { type: "active"; streamKey: string; active: boolean }

/** Mesh worker → receive worker, on the same port. Frames may come in any order and twice. */
export type MeshToReceive =
  | {
      type: "frame"
      streamKey: string
      frameId: number
      frame: EncodedFrame
      /** `performance.timeOrigin + performance.now()` in µs when the last needed chunk of the frame arrived. */
      arrivalUs: number
      /** True when repair symbols were needed to complete the frame. */
      repaired?: boolean
    }
  /** The frame will not come any more: too many of its symbols are missing. */
  | { type: "lost"; streamKey: string; frameId: number }

/** Receive worker → mesh worker, on the same port. Sent at most every 300 ms per stream. */
export type ReceiveToMesh = { type: "need-keyframe"; streamKey: string }

/** What the publish worker made of a video stream: goes into the stream descriptor (D-33). */
export interface VideoEncoding {
  /** WebCodecs codec string. */
  codec: string
  width: number
  height: number
  frameRate: number
  bitrate: number
  /** Number of temporal layers really produced, 1 or 2. */
  temporalLayers: number
  /** Time per frame in the trial; absent without one. Not part of the descriptor. */
  msPerFrame?: number
}

/** What the publish worker made of an audio stream. */
export interface AudioEncoding {
  codec: "opus"
  sampleRate: 48000
  channels: number
  bitrate: number
  /** Packet duration in milliseconds. */
  durationMs: number
}

/** Names under which the worklet module registers its processors. */
export const CAPTURE_PROCESSOR = "holomesh-capture"
export const PLAYOUT_PROCESSOR = "holomesh-playout"
/** Processor → its node: `process` has run for the last time. */
export const PROCESSOR_ENDED = "ended"

/** Sample rate of all audio inside the library, in hertz. */
export const AUDIO_SAMPLE_RATE = 48_000
/** Duration of one Opus packet, in milliseconds (D-32). */
export const AUDIO_PACKET_MS = 20
/** Samples per channel in one packet: 20 ms at 48 kHz. */
export const AUDIO_PACKET_SAMPLES = 960

/** Capture worklet → publish worker: 20 ms of sound. The arrays are transferred. */
export interface PcmBlock {
  type: "pcm"
  /** Samples per channel since the capture node was made, at the first sample of this block. */
  position: number
  /** One array of {@link AUDIO_PACKET_SAMPLES} per channel. */
  channels: Float32Array<ArrayBuffer>[]
}

/** Publish worker → page, on the port of a capture: the track's own sound cannot be used as it is, the worklet has to resample it. */
export const SOUND_UNFIT = "unfit"

/** Receive worker → playout worklet. */
export type PlayoutCommand =
  /** Decoded sound; `ptsUs` of its first sample. */
  | { type: "pcm"; ptsUs: number; channels: Float32Array<ArrayBuffer>[]; discontinuity: boolean }
  /** How much sound to gather before playing starts or goes on after it ran dry. */
  | { type: "target"; ms: number }
  /** Play this much later (positive) or earlier (negative); done gradually. */
  | { type: "adjust"; ms: number }
  /** The publisher muted: fade out and forget what is buffered. */
  | { type: "clear" }

/** Playout worklet → receive worker, about every 40 ms while the AudioContext runs. */
export interface PlayoutReport {
  type: "played"
  /** `pts` of the sample that left the worklet last; undefined while nothing plays. */
  ptsUs: number | undefined
  /** Buffered sound after that, in ms. */
  bufferedMs: number
  /** Root mean square of what was played since the last report, 0..1. */
  rms: number
  /** Blocks taken in since the start: the sender keeps a bounded number under way. */
  received: number
  /** Milliseconds played as concealment (silence where sound was due) since the start. */
  concealedMs: number
  /** The longest such hole, in ms. */
  longestGapMs: number
}
