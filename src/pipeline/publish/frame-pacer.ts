/** Caps the frame rate of a video source by leaving frames out evenly. */

export class FramePacer {
  readonly #intervalUs: number
  #due: number | undefined

  constructor(framesPerSecond: number) {
    this.#intervalUs = 1_000_000 / framesPerSecond
  }

  /** True when the frame of this capture time is to be used. */
  admit(ptsUs: number): boolean {
    // Capture times jitter: a frame slightly before its turn is the frame of that turn.
    if (this.#due !== undefined && ptsUs < this.#due - this.#intervalUs * 0.4) {
      // A clock that went far back starts anew instead of stopping the stream.
      if (ptsUs > this.#due - 2_000_000) return false
      this.#due = undefined
    }
    const next = (this.#due ?? ptsUs) + this.#intervalUs
    this.#due = Math.max(next, ptsUs + this.#intervalUs * 0.5)
    return true
  }
}
