/** One encoding of a video source: owns the encoder, numbers its frames, makes keyframes when asked. */
import { FrameNumbering } from "../../media/frame-numbering.ts"
import { KeyframeLimiter } from "../../media/keyframe-limiter.ts"
import { RateMeter } from "../../media/rate-meter.ts"
import { groupLength } from "../../media/temporal-pattern.ts"
import type { EncodedFrame, VideoEncoding } from "../../media/types.ts"
import { EncoderFaults } from "./encoder-faults.ts"
import { EncoderLoad } from "./encoder-load.ts"
import { temporalLayerOf } from "./encoder-trial.ts"
import { FramePacer } from "./frame-pacer.ts"
import { OutputCorrection } from "./output-correction.ts"
import type { PublishEvent, PublishStreamStats, VideoPublishOptions } from "./types.ts"
import { type ChosenVideo, encodedSize } from "./video-choice.ts"

/** One keyframe per 500 ms and stream (RM-19). */
const KEYFRAME_GAP_MS = 500
/** More waiting frames than this mean that the encoder is too slow: newer input is dropped. */
const MAX_QUEUE = 2
/** So many encoder failures within ten seconds end the stream. */
/** Smaller changes are not worth a reconfiguration. */
const BITRATE_STEP = 0.08
const MIN_BITRATE = 30_000
/** Pictures are left out for so long at most before one is encoded all the same, ms. */
const MAX_WAIT_MS = 500

export interface StreamSink {
  frame(streamKey: string, frameId: number, frame: EncodedFrame): void
  event(event: PublishEvent): void
}

export class VideoStream {
  readonly #key: string
  readonly #options: VideoPublishOptions
  readonly #sink: StreamSink
  readonly #numbering: FrameNumbering
  readonly #keyframes = new KeyframeLimiter(KEYFRAME_GAP_MS)
  readonly #frameRate: number
  readonly #load: EncoderLoad
  readonly #correction: OutputCorrection
  #pacer: FramePacer
  readonly #rate = new RateMeter()
  /** Capture time → when the frame went into the encoder. */
  readonly #started = new Map<number, number>()
  readonly #faults: EncoderFaults
  #encoding: VideoEncoding
  #config: VideoEncoderConfig
  /** There is none while nobody watches: an encoder at rest still holds its memory, or its place in the hardware. */
  #encoder: VideoEncoder | undefined
  #sourceWidth = 0
  #sourceHeight = 0
  #forceKeyframe = true
  /** The next frame cannot be anything but a keyframe. */
  #restart = true
  /** Frames given to the encoder since the last keyframe, itself included. */
  #position = 0
  #discontinuity = false
  #waitUntil = Number.NEGATIVE_INFINITY
  #active: boolean
  #closed = false
  readonly #stats = { frames: 0, keyframes: 0, encodedBytes: 0, droppedFrames: 0, encoderErrors: 0, encodeMs: 0 }

  constructor(key: string, options: VideoPublishOptions, chosen: ChosenVideo, sink: StreamSink) {
    this.#key = key
    this.#options = options
    this.#sink = sink
    this.#faults = new EncoderFaults(key, (event) => sink.event(event))
    this.#encoding = chosen.encoding
    this.#config = chosen.config
    this.#numbering = new FrameNumbering(chosen.encoding.temporalLayers)
    this.#frameRate = chosen.encoding.frameRate
    this.#load = new EncoderLoad(this.#frameRate, options.detail ?? false)
    this.#pacer = new FramePacer(this.#frameRate)
    this.#correction = new OutputCorrection(chosen.encoding.bitrate)
    this.#active = !(options.idle ?? false)
    if (this.#active) this.#encoder = this.#makeEncoder()
  }

  /** Which pictures of the source are for this stream; undefined: all. `frameRate` is that of all descriptions together. */
  get description(): { index: number; count: number; frameRate: number } | undefined {
    const { description } = this.#options
    return description === undefined ? undefined : { ...description, frameRate: this.#frameRate * description.count }
  }

  /** Encodes a frame whose timestamp is its `pts`. The caller keeps and closes the frame. */
  input(frame: VideoFrame, nowMs: number): void {
    if (this.#closed) return
    if (!this.#active || this.#encoder === undefined) {
      // What a subscriber would get is told all the same.
      this.#followSize(frame)
      return
    }
    if (nowMs < this.#waitUntil || !this.#pacer.admit(frame.timestamp)) {
      this.#stats.droppedFrames++
      return
    }
    this.#followLoad(nowMs)
    if (this.#encoder.encodeQueueSize > MAX_QUEUE) {
      this.#stats.droppedFrames++
      this.#load.dropped()
      return
    }
    this.#followSize(frame)
    if (this.#keyframes.tick(nowMs)) this.#forceKeyframe = true
    // A keyframe waits for the end of a group of layers, so that the numbering has no unused numbers before it.
    const keyFrame = this.#forceKeyframe && (this.#restart || this.#position % groupLength(this.#encoding.temporalLayers) === 0)
    try {
      this.#encoder.encode(frame, { keyFrame })
      this.#position = keyFrame ? 1 : this.#position + 1
    } catch (cause) {
      this.#failed(cause)
      return
    }
    if (keyFrame) {
      this.#forceKeyframe = false
      this.#restart = false
      this.#keyframes.done(nowMs)
    }
    if (this.#started.size > 64) this.#started.clear()
    this.#started.set(frame.timestamp, performance.now())
  }

  requestKeyframe(nowMs: number): void {
    if (this.#keyframes.request(nowMs)) this.#forceKeyframe = true
  }

  /** The network is behind: leaves out the pictures of the next `ms`, at most {@link MAX_WAIT_MS}. */
  wait(ms: number, nowMs: number): void {
    if (Number.isFinite(ms)) this.#waitUntil = nowMs + Math.min(Math.max(0, ms), MAX_WAIT_MS)
  }

  /** True when a keyframe is due: a source that stands still must repeat its picture. */
  wantsFrame(nowMs: number): boolean {
    if (this.#closed || !this.#active) return false
    return this.#forceKeyframe || (this.#keyframes.due ?? Number.POSITIVE_INFINITY) <= nowMs
  }

  setBitrate(bps: number): void {
    const bounded = Math.max(MIN_BITRATE, Math.min(bps, this.#encoding.bitrate))
    if (this.#closed || !Number.isFinite(bounded)) return
    this.#correction.want(bounded)
    this.#followBitrate()
  }

  setActive(active: boolean): void {
    if (this.#closed || active === this.#active) return
    this.#active = active
    if (!active) {
      this.#closeEncoder()
      return
    }
    try {
      this.#encoder = this.#makeEncoder()
    } catch (cause) {
      this.#failed(cause)
    }
    this.resume()
  }

  /** The source was muted or nobody listened: go on with a keyframe and say that time has passed. */
  resume(): void {
    this.#forceKeyframe = true
    this.#restart = true
    this.#discontinuity = true
    this.#load.restart()
    this.#correction.restart()
  }

  /** Another device is behind the source now. */
  sourceChanged(): void {
    this.#forceKeyframe = true
    this.#restart = true
  }

  stats(nowMs: number): PublishStreamStats {
    const { codec, width, height } = this.#encoding
    return {
      streamKey: this.#key,
      kind: "video",
      codec,
      ...this.#stats,
      bitrate: Math.round(this.#rate.amount(nowMs) * 8),
      width,
      height,
      frameRate: this.#rate.count(nowMs),
      loadLevel: this.#load.level,
      settings: {
        frameRate: this.#config.framerate ?? this.#frameRate,
        bitrate: this.#config.bitrate ?? 0,
        contentHint: this.#config.contentHint ?? "",
      },
      active: this.#active,
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#closeEncoder()
  }

  #closeEncoder(): void {
    if (this.#encoder !== undefined && this.#encoder.state !== "closed") this.#encoder.close()
    this.#encoder = undefined
    this.#started.clear()
  }

  #makeEncoder(): VideoEncoder {
    const encoder = new VideoEncoder({
      output: (chunk, metadata) => {
        if (encoder === this.#encoder) this.#output(chunk, temporalLayerOf(metadata))
      },
      error: (error) => {
        if (encoder === this.#encoder) this.#failed(error)
      },
    })
    encoder.configure(this.#config)
    return encoder
  }

  #output(chunk: EncodedVideoChunk, reportedLayer: number): void {
    if (this.#closed) return
    const nowMs = performance.now()
    const keyframe = chunk.type === "key"
    const temporalId = keyframe ? 0 : Math.min(reportedLayer, this.#encoding.temporalLayers - 1)
    const data = new ArrayBuffer(chunk.byteLength)
    chunk.copyTo(data)
    const startedAt = this.#started.get(chunk.timestamp)
    this.#started.delete(chunk.timestamp)
    if (startedAt !== undefined) {
      this.#load.encoded(nowMs - startedAt)
      this.#stats.encodeMs += (nowMs - startedAt - this.#stats.encodeMs) / 8
    }
    this.#stats.frames++
    if (keyframe) this.#stats.keyframes++
    this.#stats.encodedBytes += data.byteLength
    this.#rate.add(nowMs, data.byteLength)
    this.#correction.frame(data.byteLength, keyframe, nowMs)
    this.#followBitrate()
    const frame: EncodedFrame = { ptsUs: chunk.timestamp, keyframe, temporalId, data }
    if (this.#discontinuity) {
      frame.discontinuity = true
      this.#discontinuity = false
    }
    this.#sink.frame(this.#key, this.#numbering.assign(temporalId), frame)
  }

  #followBitrate(): void {
    const bitrate = Math.round(this.#correction.request)
    const current = this.#config.bitrate ?? bitrate
    if (Math.abs(bitrate - current) >= current * BITRATE_STEP) this.#reconfigure({ ...this.#config, bitrate })
  }

  #followLoad(nowMs: number): void {
    const advice = this.#load.update(nowMs)
    if (advice === "codec") this.#sink.event({ type: "codec-too-slow", streamKey: this.#key, codec: this.#encoding.codec })
    if (advice !== "changed") return
    const frameRate = this.#frameRate * this.#load.point.rate
    this.#pacer = new FramePacer(frameRate)
    this.#resize(frameRate)
  }

  #followSize(frame: VideoFrame): void {
    const { displayWidth, displayHeight } = frame
    if (displayWidth === this.#sourceWidth && displayHeight === this.#sourceHeight) return
    this.#sourceWidth = displayWidth
    this.#sourceHeight = displayHeight
    this.#resize(this.#encoding.frameRate)
  }

  #resize(frameRate: number): void {
    const { scale } = this.#load.point
    const { width, height } = encodedSize(this.#options, this.#sourceWidth, this.#sourceHeight, scale)
    const resized = width !== this.#config.width || height !== this.#config.height
    if (!resized && frameRate === this.#encoding.frameRate) return
    if (resized) {
      // The encoder goes on with delta frames of the new size, which no decoder takes: begin again.
      this.#forceKeyframe = true
      this.#restart = true
    }
    this.#reconfigure({ ...this.#config, width, height, framerate: frameRate })
    this.#encoding = { ...this.#encoding, width, height, frameRate }
    this.#sink.event({ type: "encoding", streamKey: this.#key, encoding: this.#encoding })
  }

  #reconfigure(config: VideoEncoderConfig): void {
    this.#config = config
    try {
      this.#encoder?.configure(config)
    } catch (cause) {
      this.#failed(cause)
    }
  }

  /** An encoder that failed is closed and useless: make a new one, unless it keeps failing. */
  #failed(cause: unknown): void {
    if (this.#closed) return
    this.#stats.encoderErrors++
    const remake = () => {
      this.#closeEncoder()
      this.#encoder = this.#makeEncoder()
      this.#forceKeyframe = true
      this.#restart = true
    }
    this.#faults.failed(cause, remake, () => this.close())
  }
}
