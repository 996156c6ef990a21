/**
 * Recording with a muxing library: pictures and mixed sound go through the browser's encoders into a file with duration and index.
 * Sound gives the pace, so that it goes on in a page that nobody looks at.
 */
import type { AudioSampleSource, CanvasSource, Output } from "mediabunny"
import type { AudioCapture } from "../../media/audio-engine.ts"
import { AUDIO_PACKET_SAMPLES, AUDIO_SAMPLE_RATE, type PcmBlock } from "../../media/types.ts"
import { AvError } from "../../wire/errors.ts"
import type { Milliseconds } from "../../wire/types.ts"
import { monotonicNow } from "../clock.ts"
import { FileChunks } from "./file-chunks.ts"
import { RecordClock } from "./record-clock.ts"
import type { RecordWriter, WriterOptions, WrittenFile } from "./writer.ts"

export type Muxer = typeof import("mediabunny")

const CHANNELS = 2
const SAMPLES_PER_MS = AUDIO_SAMPLE_RATE / 1_000
const BLOCK_MS = AUDIO_PACKET_SAMPLES / SAMPLES_PER_MS
/** Pictures that wait for the encoder; more are left out. */
const MAX_PICTURES = 4
/** Pieces of sound that wait for theirs: ten seconds. More means that it has stopped working. */
const MAX_SOUNDS = 500
/** Longest piece of silence. */
const SILENCE_MS = 1_000

interface Tracks {
  output: Output
  picture: CanvasSource
  sound: AudioSampleSource
  chunks: FileChunks
}

export class MuxedWriter implements RecordWriter {
  readonly #muxer: Muxer
  readonly #options: WriterOptions
  readonly #tracks: Tracks
  readonly #clock = new RecordClock(BLOCK_MS, monotonicNow())
  readonly #capture: AudioCapture
  readonly #timer: ReturnType<typeof setInterval>
  readonly #frameMs: Milliseconds
  /** What the encoders still have to take. */
  readonly #pending = new Set<Promise<void>>()
  #waiting = { pictures: 0, sounds: 0 }
  #nextPictureMs: Milliseconds = 0
  #open = true
  #failure: AvError | undefined

  private constructor(muxer: Muxer, options: WriterOptions, tracks: Tracks) {
    this.#muxer = muxer
    this.#options = options
    this.#tracks = tracks
    this.#frameMs = 1_000 / options.frameRate
    this.#capture = options.tap(options.mix)
    this.#capture.port.onmessage = ({ data }: MessageEvent<PcmBlock>) => this.#block(data)
    this.#timer = setInterval(() => this.#turn(), this.#frameMs)
    this.#turn()
  }

  /** Undefined where the browser has no encoder for any of the formats. */
  static async open(muxer: Muxer, options: WriterOptions): Promise<MuxedWriter | undefined> {
    const { canvas, frameRate, videoBitrate, audioBitrate } = options
    if (globalThis.VideoEncoder === undefined || globalThis.AudioEncoder === undefined) return undefined
    const { width, height } = canvas
    const [pictureQuality, soundQuality] = [videoBitrate, audioBitrate].map((bitrate) => new muxer.Quality({ bitrate }))
    const formats = [
      { format: new muxer.WebMOutputFormat(), pictures: ["vp9", "vp8"], sounds: ["opus"] },
      { format: new muxer.Mp4OutputFormat({ fastStart: false }), pictures: ["avc"], sounds: ["aac", "opus"] },
    ] as const
    for (const { format, pictures, sounds } of formats) {
      const size = { width, height, quality: pictureQuality!, frameRate }
      const shape = { numberOfChannels: CHANNELS, sampleRate: AUDIO_SAMPLE_RATE, quality: soundQuality! }
      const video = await muxer.getFirstEncodableVideoCodec([...pictures], size)
      const audio = await muxer.getFirstEncodableAudioCodec([...sounds], shape)
      if (video === null || audio === null) continue
      const chunks = new FileChunks()
      const target = new muxer.StreamTarget(new WritableStream({ write: ({ position, data }) => chunks.write(position, data) }))
      const output = new muxer.Output({ format, target })
      const picture = new muxer.CanvasSource(canvas, { codec: video, quality: pictureQuality!, latencyMode: "realtime" })
      const sound = new muxer.AudioSampleSource({ codec: audio, quality: soundQuality! })
      output.addVideoTrack(picture, { frameRate })
      output.addAudioTrack(sound)
      await output.start()
      return new MuxedWriter(muxer, options, { output, picture, sound, chunks })
    }
    return undefined
  }

  async finish(): Promise<WrittenFile> {
    const durationMs = this.#clock.now(monotonicNow())
    this.#close()
    const { output, chunks } = this.#tracks
    await Promise.all(this.#pending)
    try {
      await output.finalize()
    } catch (cause) {
      throw this.#failure ?? encodeFailed(cause)
    }
    return { parts: chunks.parts(), type: output.format.mimeType, seekable: true, durationMs }
  }

  cancel(): void {
    this.#close()
    this.#tracks.output.cancel().catch(() => undefined)
  }

  #close(): void {
    this.#open = false
    clearInterval(this.#timer)
    this.#capture.close()
    this.#capture.port.close()
  }

  #block({ channels }: PcmBlock): void {
    if (!this.#open) return
    const { startMs, silenceMs } = this.#clock.block(monotonicNow())
    this.#silence(startMs - silenceMs, silenceMs)
    const samples = new Float32Array(AUDIO_PACKET_SAMPLES * CHANNELS)
    for (let plane = 0; plane < CHANNELS; plane++) {
      samples.set(channels[plane] ?? channels[0] ?? [], plane * AUDIO_PACKET_SAMPLES)
    }
    this.#sound(samples, startMs)
    this.#turn()
  }

  /** A picture, when it is time for one. */
  #turn(): void {
    if (!this.#open) return
    const at = monotonicNow()
    const { startMs, silenceMs } = this.#clock.fill(at)
    this.#silence(startMs, silenceMs)
    const now = this.#clock.now(at)
    if (now < this.#nextPictureMs) return
    // On the grid of the frame rate: after a pause it does not hurry to catch up.
    const turn = Math.floor(now / this.#frameMs)
    this.#nextPictureMs = (turn + 1) * this.#frameMs
    if (this.#waiting.pictures >= MAX_PICTURES) return
    this.#options.draw()
    this.#give("pictures", this.#tracks.picture.add((turn * this.#frameMs) / 1_000, this.#frameMs / 1_000))
  }

  #silence(startMs: Milliseconds, lengthMs: Milliseconds): void {
    for (let done = 0; done < lengthMs; done += SILENCE_MS) {
      const samples = Math.round(Math.min(SILENCE_MS, lengthMs - done) * SAMPLES_PER_MS)
      if (samples > 0) this.#sound(new Float32Array(samples * CHANNELS), startMs + done)
    }
  }

  /** @param data planes one after the other */
  #sound(data: Float32Array<ArrayBuffer>, startMs: Milliseconds): void {
    if (this.#waiting.sounds >= MAX_SOUNDS) {
      this.#fail(new AvError("MediaEncodeFailed", { what: "recording", why: "stalled" }))
      return
    }
    const format = { format: "f32-planar", numberOfChannels: CHANNELS, sampleRate: AUDIO_SAMPLE_RATE } as const
    const sample = new this.#muxer.AudioSample({ ...format, data, timestamp: startMs / 1_000 })
    this.#give(
      "sounds",
      this.#tracks.sound.add(sample).finally(() => sample.close()),
    )
  }

  #give(what: "pictures" | "sounds", work: Promise<void>): void {
    this.#waiting[what] += 1
    const done = work
      .catch((cause: unknown) => this.#fail(encodeFailed(cause)))
      .finally(() => {
        this.#waiting[what] -= 1
        this.#pending.delete(done)
      })
    this.#pending.add(done)
  }

  #fail(failure: AvError): void {
    if (this.#failure !== undefined || !this.#open) return
    this.#failure = failure
    this.#close()
    this.#options.ended(failure)
  }
}

function encodeFailed(cause: unknown): AvError {
  return new AvError("MediaEncodeFailed", { what: "recording" }, { cause })
}
