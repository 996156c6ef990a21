/** Records a call: everybody's picture in one frame, all sounds mixed, written as they come. */
import type { AudioCapture } from "../../media/audio-engine.ts"
import { AvError } from "../../wire/errors.ts"
import type { Milliseconds } from "../../wire/types.ts"
import { monotonicNow } from "../clock.ts"
import { BrowserWriter } from "./browser-writer.ts"
import { loadMuxer } from "./load-muxer.ts"
import { MuxedWriter } from "./muxed-writer.ts"
import { type RecordedTrack, RecordSources } from "./sources.ts"
import { Stage } from "./stage.ts"
import type { Recording, RecordingResult, RecordOptions } from "./types.ts"
import type { RecordWriter } from "./writer.ts"

/** Where sound is mixed: the room's own context. */
export interface RecordingSound {
  readonly context: AudioContext
  tap(node: AudioNode): AudioCapture
}

interface RecorderOptions extends RecordOptions {
  /** What is to be seen and heard now; asked again and again. */
  tracks(): RecordedTrack[]
  sound: RecordingSound
  /** Without an extension. */
  fileName: string
  /** It was ended, by the browser or by whoever wants it. */
  onEnd(): void
}

export class CallRecording implements Recording {
  readonly #options: RecorderOptions
  readonly #sources: RecordSources
  readonly #startedAt: Milliseconds = monotonicNow()
  #writer: RecordWriter | undefined
  #endedAt: Milliseconds | undefined
  #result: Promise<RecordingResult> | undefined
  #cancelled = false

  private constructor(options: RecorderOptions, sources: RecordSources) {
    this.#options = options
    this.#sources = sources
  }

  /** @throws AvError `MediaUnsupported` where the browser cannot record, `UsageError` */
  static async start(options: RecorderOptions): Promise<CallRecording> {
    const { width = 1280, height = 720, frameRate = 15, videoBitrate = 1_500_000, audioBitrate = 64_000 } = options
    for (const value of [width, height, frameRate, videoBitrate, audioBitrate]) {
      if (!(value > 0 && value < Number.POSITIVE_INFINITY)) throw new AvError("UsageError", { why: "recording", value })
    }
    const muxer = await loadMuxer(options.muxer)
    // Encoders of some formats take whole pairs of lines only.
    const stage = new Stage(2 * Math.ceil(width / 2), 2 * Math.ceil(height / 2), options.labels ?? true)
    const sources = new RecordSources(options.sound.context)
    const recording = new CallRecording(options, sources)
    const writing = {
      canvas: stage.canvas,
      draw: () => {
        sources.refresh(options.tracks())
        stage.draw(sources)
      },
      frameRate,
      videoBitrate,
      audioBitrate,
      mix: sources.mix,
      tap: (node: AudioNode) => options.sound.tap(node),
      ended: () => recording.#release(),
    }
    try {
      const muxed = muxer === undefined ? undefined : await MuxedWriter.open(muxer, writing)
      recording.#writer = muxed ?? new BrowserWriter(writing)
    } catch (error) {
      sources.close()
      throw error
    }
    return recording
  }

  get durationMs(): Milliseconds {
    return (this.#endedAt ?? monotonicNow()) - this.#startedAt
  }

  get stopped(): boolean {
    return this.#endedAt !== undefined
  }

  async stop(): Promise<RecordingResult> {
    if (this.#cancelled) throw new AvError("Aborted")
    this.#result ??= this.#finish()
    return this.#result
  }

  cancel(): void {
    if (this.#result !== undefined) return
    this.#cancelled = true
    this.#writer?.cancel()
    this.#release()
  }

  async #finish(): Promise<RecordingResult> {
    const writing = this.#writer?.finish()
    this.#release()
    if (writing === undefined) throw new AvError("Aborted")
    const { parts, type, seekable, durationMs = this.durationMs } = await writing
    const extension = type.endsWith("mp4") ? "mp4" : "webm"
    const file = new File(parts, `${this.#options.fileName}.${extension}`, { type })
    return { file, durationMs: Math.round(durationMs), seekable }
  }

  #release(): void {
    if (this.stopped) return
    this.#endedAt = monotonicNow()
    this.#sources.close()
    this.#options.onEnd()
  }
}
