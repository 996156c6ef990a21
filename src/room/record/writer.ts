/** What writes a recording into a file: a muxing library over the browser's encoders, or the browser's own recorder. */
import type { AudioCapture } from "../../media/audio-engine.ts"
import type { AvError } from "../../wire/errors.ts"
import type { Milliseconds } from "../../wire/types.ts"

export interface WriterOptions {
  canvas: HTMLCanvasElement
  /** Puts onto the canvas what is to be seen now. */
  draw(): void
  /** Pictures a second. */
  frameRate: number
  /** Bit/s. */
  videoBitrate: number
  audioBitrate: number
  /** All sounds together. */
  mix: AudioNode
  /** Blocks of what a node puts out. */
  tap(node: AudioNode): AudioCapture
  /** It has ended by itself. */
  ended(failure: AvError): void
}

export interface WrittenFile {
  parts: Blob[]
  /** Media type. */
  type: string
  /** The file says how long it is and where its key frames are. */
  seekable: boolean
  /** As the file says. */
  durationMs?: Milliseconds
}

export interface RecordWriter {
  /** Ends it. @throws AvError `MediaEncodeFailed` when there is nothing to be had */
  finish(): Promise<WrittenFile>
  cancel(): void
}
