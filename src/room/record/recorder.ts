/** Records a call: everybody's picture in one frame, all sounds mixed, written as they come. */
import { AvError } from "../../wire/errors.ts"
import type { Milliseconds } from "../../wire/types.ts"
import { monotonicNow } from "../clock.ts"
import { cells, placeIn } from "./layout.ts"
import { type RecordedTrack, RecordSources } from "./sources.ts"
import type { Recording, RecordingResult, RecordOptions } from "./types.ts"

/** Formats in the order in which they are tried; every browser has one of them. */
const FORMATS = [
  "video/webm;codecs=vp9,opus",
  "video/webm;codecs=vp8,opus",
  "video/mp4;codecs=avc1.42E01F,mp4a.40.2",
  "video/webm",
  "video/mp4",
]
/** What was encoded is handed over this often, so that the browser may put it on the disk; ms. */
const SLICE_MS = 1_000
const BACKGROUND = "#10141a"
const LABEL = "rgb(0 0 0 / 60%)"

export interface RecorderOptions extends RecordOptions {
  /** What is to be seen and heard now; asked again and again. */
  tracks(): RecordedTrack[]
  /** Without an extension. */
  fileName: string
  /** It was ended by the browser or by {@link CallRecording.stop}. */
  onEnd(): void
}

/** @throws AvError `MediaUnsupported` where the browser cannot record, `UsageError` */
export class CallRecording implements Recording {
  readonly #options: RecorderOptions
  readonly #canvas = document.createElement("canvas")
  readonly #sources: RecordSources
  readonly #recorder: MediaRecorder
  readonly #slices: Blob[] = []
  readonly #startedAt: Milliseconds = monotonicNow()
  readonly #timer: ReturnType<typeof setInterval>
  readonly #ended: Promise<void>
  #endedAt: Milliseconds | undefined
  #cancelled = false
  #failure: AvError | undefined

  constructor(options: RecorderOptions) {
    this.#options = options
    const { width = 1280, height = 720, frameRate = 15, videoBitrate = 1_500_000, audioBitrate = 64_000 } = options
    for (const value of [width, height, frameRate, videoBitrate, audioBitrate]) {
      if (!(value > 0)) throw new AvError("UsageError", { why: "recording", value })
    }
    const mimeType = globalThis.MediaRecorder && FORMATS.find((format) => MediaRecorder.isTypeSupported(format))
    if (mimeType === undefined) throw new AvError("MediaUnsupported", { missing: "MediaRecorder" })
    this.#canvas.width = width
    this.#canvas.height = height
    this.#sources = new RecordSources()
    this.#draw()
    const stream = new MediaStream([...this.#canvas.captureStream(frameRate).getVideoTracks(), this.#sources.sound])
    this.#recorder = new MediaRecorder(stream, {
      mimeType,
      videoBitsPerSecond: videoBitrate,
      audioBitsPerSecond: audioBitrate,
    })
    this.#recorder.ondataavailable = ({ data }) => {
      if (data.size > 0 && !this.#cancelled) this.#slices.push(data)
    }
    this.#recorder.onerror = (event) => {
      const cause = "error" in event ? event.error : undefined
      this.#failure = new AvError("MediaEncodeFailed", { what: "recording" }, { cause })
    }
    this.#ended = new Promise((resolve) => {
      this.#recorder.onstop = () => {
        this.#release()
        resolve()
      }
    })
    this.#recorder.start(SLICE_MS)
    this.#timer = setInterval(() => this.#draw(), 1_000 / frameRate)
  }

  get durationMs(): Milliseconds {
    return (this.#endedAt ?? monotonicNow()) - this.#startedAt
  }

  get stopped(): boolean {
    return this.#endedAt !== undefined
  }

  async stop(): Promise<RecordingResult> {
    this.#end()
    await this.#ended
    if (this.#cancelled) throw new AvError("Aborted")
    if (this.#slices.length === 0 && this.#failure !== undefined) throw this.#failure
    const type = this.#recorder.mimeType.split(";")[0] ?? ""
    const extension = type.endsWith("mp4") ? "mp4" : "webm"
    const file = new File(this.#slices, `${this.#options.fileName}.${extension}`, { type })
    return { file, durationMs: Math.round(this.durationMs) }
  }

  cancel(): void {
    this.#cancelled = true
    this.#slices.length = 0
    this.#end()
  }

  #end(): void {
    if (this.stopped) return
    this.#endedAt = monotonicNow()
    if (this.#recorder.state === "inactive") this.#release()
    else this.#recorder.stop()
  }

  #release(): void {
    this.#endedAt ??= monotonicNow()
    clearInterval(this.#timer)
    for (const track of this.#recorder.stream.getTracks()) track.stop()
    this.#sources.close()
    this.#options.onEnd()
  }

  #draw(): void {
    const { tracks, labels = true } = this.#options
    this.#sources.refresh(tracks())
    const { width, height } = this.#canvas
    const context = this.#canvas.getContext("2d")
    if (context === null) return
    context.fillStyle = BACKGROUND
    context.fillRect(0, 0, width, height)
    const { pictures } = this.#sources
    const boxes = cells(pictures.length, width, height)
    for (const [i, { video, label, muted }] of pictures.entries()) {
      const cell = boxes[i]!
      if (!muted && video.videoWidth > 0) {
        const box = placeIn(video.videoWidth, video.videoHeight, cell)
        context.drawImage(video, box.x, box.y, box.width, box.height)
      }
      if (labels && label !== "") write(context, label, cell.x, cell.y + cell.height, height)
    }
  }
}

function write(context: CanvasRenderingContext2D, text: string, left: number, bottom: number, frameHeight: number): void {
  const size = Math.max(10, Math.round(frameHeight / 36))
  context.font = `600 ${size}px system-ui, sans-serif`
  const { width } = context.measureText(text)
  context.fillStyle = LABEL
  context.fillRect(left + size / 2, bottom - 2 * size, width + size, size * 1.5)
  context.fillStyle = "white"
  context.textBaseline = "middle"
  context.fillText(text, left + size, bottom - 1.25 * size)
}
