/** What becomes of a stream whose encoder breaks: the encoder is made anew, until it has broken too often in a short time. */
import type { PublishEvent } from "./types.ts"

const MAX_ERRORS = 5
const WINDOW_MS = 10_000

export class EncoderFaults {
  readonly #streamKey: string
  readonly #tell: (event: PublishEvent) => void
  readonly #times: number[] = []

  constructor(streamKey: string, tell: (event: PublishEvent) => void) {
    this.#streamKey = streamKey
    this.#tell = tell
  }

  /**
   * @param remake makes another encoder; throws when there can be none
   * @param close ends the stream
   */
  failed(cause: unknown, remake: () => void, close: () => void): void {
    const nowMs = performance.now()
    this.#times.push(nowMs)
    while (nowMs - this.#times[0]! > WINDOW_MS) this.#times.shift()
    let fatal = this.#times.length >= MAX_ERRORS
    if (!fatal) {
      try {
        remake()
      } catch {
        fatal = true
      }
    }
    if (fatal) close()
    const message = cause instanceof Error ? cause.message : String(cause)
    this.#tell({ type: "encoder-error", streamKey: this.#streamKey, error: "MediaEncodeFailed", message, fatal })
  }
}
