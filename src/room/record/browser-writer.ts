/** Recording by the browser's `MediaRecorder`: where there is no muxing library or no encoder for it. The file has no duration. */
import { AvError } from "../../wire/errors.ts"
import type { RecordWriter, WriterOptions, WrittenFile } from "./writer.ts"

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

export class BrowserWriter implements RecordWriter {
  readonly #options: WriterOptions
  readonly #sound: MediaStreamAudioDestinationNode
  readonly #recorder: MediaRecorder
  readonly #slices: Blob[] = []
  readonly #timer: ReturnType<typeof setInterval>
  readonly #ended: Promise<void>
  #failure: AvError | undefined
  #asked = false

  /** @throws AvError `MediaUnsupported` where the browser cannot record */
  constructor(options: WriterOptions) {
    const { canvas, draw, frameRate, videoBitrate, audioBitrate, mix, ended } = options
    const mimeType = globalThis.MediaRecorder && FORMATS.find((format) => MediaRecorder.isTypeSupported(format))
    if (mimeType === undefined) throw new AvError("MediaUnsupported", { missing: "MediaRecorder" })
    this.#options = options
    this.#sound = new MediaStreamAudioDestinationNode(mix.context as AudioContext)
    mix.connect(this.#sound)
    draw()
    const stream = new MediaStream([...canvas.captureStream(frameRate).getVideoTracks(), ...this.#sound.stream.getAudioTracks()])
    this.#recorder = new MediaRecorder(stream, {
      mimeType,
      videoBitsPerSecond: videoBitrate,
      audioBitsPerSecond: audioBitrate,
    })
    this.#recorder.ondataavailable = ({ data }) => {
      if (data.size > 0) this.#slices.push(data)
    }
    this.#recorder.onerror = (event) => {
      const cause = "error" in event ? event.error : undefined
      this.#failure = new AvError("MediaEncodeFailed", { what: "recording" }, { cause })
    }
    this.#ended = new Promise((resolve) => {
      this.#recorder.onstop = () => {
        this.#release()
        resolve()
        if (!this.#asked) ended(this.#failure ?? new AvError("MediaEncodeFailed", { what: "recording" }))
      }
    })
    this.#recorder.start(SLICE_MS)
    this.#timer = setInterval(draw, 1_000 / frameRate)
  }

  async finish(): Promise<WrittenFile> {
    this.#end()
    await this.#ended
    if (this.#slices.length === 0 && this.#failure !== undefined) throw this.#failure
    return { parts: this.#slices, type: this.#recorder.mimeType.split(";")[0] ?? "", seekable: false }
  }

  cancel(): void {
    this.#end()
    this.#slices.length = 0
  }

  #end(): void {
    this.#asked = true
    if (this.#recorder.state !== "inactive") this.#recorder.stop()
  }

  #release(): void {
    clearInterval(this.#timer)
    this.#options.mix.disconnect(this.#sound)
    for (const track of this.#recorder.stream.getTracks()) track.stop()
  }
}
