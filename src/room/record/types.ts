/** The public shapes of recording a call. */

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
}

export interface RecordingResult {
  /** Playable as it is; `type` says in what format. */
  file: File
  durationMs: number
}

/** A recording under way. It goes on when people come and go, and ends with the room. */
export interface Recording {
  readonly durationMs: number
  readonly stopped: boolean
  /** Ends it. The same result each time. @throws AvError `Aborted` after {@link Recording.cancel} */
  stop(): Promise<RecordingResult>
  /** Ends it and forgets what was recorded. */
  cancel(): void
}
