/** One Opus encoding of an audio source. */
import { RateMeter } from "../../media/rate-meter.ts"
import { AUDIO_PACKET_MS, AUDIO_SAMPLE_RATE, type AudioEncoding, type EncodedFrame } from "../../media/types.ts"
import { AvError } from "../../wire/errors.ts"
import { EncoderFaults } from "./encoder-faults.ts"
import type { AudioPublishOptions, PublishStreamStats } from "./types.ts"
import type { StreamSink } from "./video-stream.ts"

const DEFAULT_BITRATE = 32_000
/** Encoding one packet takes well under a millisecond; a queue means that the thread is stuck. */
const MAX_QUEUE = 10

/**
 * Opus with in-band FEC, without DTX: a silent microphone keeps sending small packets, so that a hole always means loss. Left to
 * itself the encoder takes many sounds for music, and those packets carry no FEC: it is told that it hears a voice.
 *
 * @throws AvError `MediaUnsupported` when the browser has no Opus encoder
 */
export async function chooseAudio(
  options: AudioPublishOptions,
): Promise<{ encoding: AudioEncoding; config: AudioEncoderConfig }> {
  if (typeof AudioEncoder === "undefined") throw unsupported("AudioEncoder")
  const channels = options.channels ?? 1
  const bitrate = options.maxBitrate ?? DEFAULT_BITRATE
  const plain = { codec: "opus", sampleRate: AUDIO_SAMPLE_RATE, numberOfChannels: channels, bitrate }
  const music = options.music ?? false
  const opus = {
    frameDuration: AUDIO_PACKET_MS * 1_000,
    useinbandfec: true,
    packetlossperc: 10,
    usedtx: false,
    application: music ? ("audio" as const) : ("voip" as const),
    signal: music ? ("music" as const) : ("voice" as const),
  }
  for (const config of [
    { ...plain, opus },
    { ...plain, opus: { frameDuration: AUDIO_PACKET_MS * 1_000 } },
  ]) {
    const support = await AudioEncoder.isConfigSupported(config).catch(() => undefined)
    if (support?.supported !== true) continue
    const encoding = { codec: "opus", sampleRate: AUDIO_SAMPLE_RATE, channels, bitrate, durationMs: AUDIO_PACKET_MS } as const
    return { encoding, config }
  }
  throw unsupported("AudioEncoder for opus")
}

function unsupported(missing: string): AvError {
  return new AvError("MediaUnsupported", { missing }, { message: `This browser cannot send sound: it lacks ${missing}.` })
}

export class AudioStream {
  readonly #key: string
  readonly #config: AudioEncoderConfig
  readonly #sink: StreamSink
  readonly #rate = new RateMeter()
  readonly #faults: EncoderFaults
  /** Presentation times of the blocks in the encoder: its own output times ignore pauses. One block gives one packet. */
  readonly #pending: { ptsUs: number; discontinuity: boolean }[] = []
  #encoder: AudioEncoder
  #nextId = 0
  #discontinuity = false
  #active = true
  #closed = false
  readonly #stats = { frames: 0, keyframes: 0, encodedBytes: 0, droppedFrames: 0, encoderErrors: 0, encodeMs: 0 }

  constructor(key: string, config: AudioEncoderConfig, sink: StreamSink) {
    this.#key = key
    this.#config = config
    this.#sink = sink
    this.#faults = new EncoderFaults(key, (event) => sink.event(event))
    this.#encoder = this.#makeEncoder()
  }

  /** Encodes 20 ms of sound. */
  input(channels: readonly Float32Array<ArrayBuffer>[], ptsUs: number): void {
    if (this.#closed || !this.#active) return
    const length = channels[0]?.length ?? 0
    if (length === 0 || this.#encoder.encodeQueueSize > MAX_QUEUE) {
      this.#stats.droppedFrames++
      this.#discontinuity = true
      return
    }
    const data = new AudioData({
      format: "f32-planar",
      sampleRate: AUDIO_SAMPLE_RATE,
      numberOfFrames: length,
      numberOfChannels: this.#config.numberOfChannels,
      timestamp: ptsUs,
      data: joinPlanes(channels, this.#config.numberOfChannels, length),
    })
    try {
      this.#encoder.encode(data)
      this.#pending.push({ ptsUs, discontinuity: this.#discontinuity })
      this.#discontinuity = false
    } catch (cause) {
      this.#failed(cause)
    } finally {
      data.close()
    }
  }

  setActive(active: boolean): void {
    if (active && !this.#active) this.resume()
    this.#active = active
  }

  /** The source was muted or nobody listened: the jump in time that follows is intended. */
  resume(): void {
    this.#discontinuity = true
  }

  setBitrate(bps: number): void {
    const bounded = Math.round(Math.max(8_000, Math.min(bps, this.#config.bitrate ?? DEFAULT_BITRATE)))
    if (this.#closed || !Number.isFinite(bounded)) return
    try {
      this.#encoder.configure({ ...this.#config, bitrate: bounded })
    } catch (cause) {
      this.#failed(cause)
    }
  }

  stats(nowMs: number): PublishStreamStats {
    const bitrate = Math.round(this.#rate.amount(nowMs) * 8)
    return { streamKey: this.#key, kind: "audio", codec: "opus", ...this.#stats, bitrate, active: this.#active }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    if (this.#encoder.state !== "closed") this.#encoder.close()
  }

  #makeEncoder(): AudioEncoder {
    const encoder = new AudioEncoder({
      output: (chunk) => {
        if (encoder === this.#encoder) this.#output(chunk)
      },
      error: (error) => {
        if (encoder === this.#encoder) this.#failed(error)
      },
    })
    encoder.configure(this.#config)
    return encoder
  }

  #output(chunk: EncodedAudioChunk): void {
    const input = this.#pending.shift()
    if (this.#closed || input === undefined) return
    const data = new ArrayBuffer(chunk.byteLength)
    chunk.copyTo(data)
    this.#stats.frames++
    this.#stats.encodedBytes += data.byteLength
    this.#rate.add(performance.now(), data.byteLength)
    const frame: EncodedFrame = { ptsUs: input.ptsUs, keyframe: true, temporalId: 0, data, durationMs: AUDIO_PACKET_MS }
    if (input.discontinuity) frame.discontinuity = true
    const frameId = this.#nextId
    this.#nextId = (this.#nextId + 1) >>> 0
    this.#sink.frame(this.#key, frameId, frame)
  }

  #failed(cause: unknown): void {
    if (this.#closed) return
    this.#stats.encoderErrors++
    this.#pending.length = 0
    const remake = () => {
      if (this.#encoder.state !== "closed") this.#encoder.close()
      this.#encoder = this.#makeEncoder()
      this.#discontinuity = true
    }
    this.#faults.failed(cause, remake, () => this.close())
  }
}

/** Puts the planes behind each other; makes the wanted number of channels by mixing down or repeating. */
function joinPlanes(channels: readonly Float32Array[], wanted: number, length: number): Float32Array<ArrayBuffer> {
  const planes = new Float32Array(wanted * length)
  const left = channels[0]!
  const right = channels[1]?.length === length ? channels[1] : left
  if (wanted === 1) {
    for (let i = 0; i < length; i++) planes[i] = (left[i]! + right[i]!) / 2
  } else {
    planes.set(left, 0)
    planes.set(right, length)
  }
  return planes
}
