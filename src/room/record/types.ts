/** The public shapes of recording a call. */
import type { Participant } from "../types.ts"

export interface RecordOptions {
  /** Pixels of the picture in which everybody has a place. Default 1280 by 720. */
  width?: number
  height?: number
  /** Pictures a second. Default 15. */
  frameRate?: number
  /** Bit/s. Default 1 500 000. */
  videoBitrate?: number
  /** Bit/s. Default 64 000. */
  audioBitrate?: number
  /** Whether what this page publishes is recorded too. Default true. */
  self?: boolean
  /** Written over each picture. Default: the participant's name. `false`: nothing. */
  labels?: boolean
  /** Who is recorded, of the others. Default: everybody, also who comes later. */
  participants?: (participant: Participant) => boolean
  /**
   * The module `mediabunny`, where `import("mediabunny")` does not find it and no script tag has made it `Mediabunny`. `false`: do not
   * use it, but the browser's own recorder.
   */
  muxer?: object | false
}

export interface RecordingResult {
  /** Playable as it is; `type` says in what format. */
  file: File
  durationMs: number
  /**
   * The file says how long it is, and players can jump in it. False when the browser's own recorder wrote it: there was no muxing
   * library, or no encoder for it.
   */
  seekable: boolean
}

/** A recording under way. It goes on when people come and go, and ends with the room. */
export interface Recording {
  readonly durationMs: number
  readonly stopped: boolean
  /** Ends it. The same result each time. @throws AvError `Aborted` after {@link Recording.cancel}, `MediaEncodeFailed` */
  stop(): Promise<RecordingResult>
  /** Ends it and forgets what was recorded. Nothing happens after {@link Recording.stop}. */
  cancel(): void
}
