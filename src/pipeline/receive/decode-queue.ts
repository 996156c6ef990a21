/** Encoded frames that wait for the decoder, in order; when the decoder is too slow, what can be left out is left out. */
import type { EncodedFrame } from "../../media/types.ts"

/** One second at 30 fps: then enhancement frames go. */
const CROWDED = 30
/** Two seconds: then only a keyframe helps. */
const HOPELESS = 60

export class DecodeQueue {
  readonly #frames: EncodedFrame[] = []
  /** Frames left out. */
  skipped = 0

  get length(): number {
    return this.#frames.length
  }

  /** Returns false when the queue had to be thrown away: nothing can be decoded before the next keyframe. */
  push(frames: readonly EncodedFrame[]): boolean {
    this.#frames.push(...frames)
    if (this.#frames.length <= CROWDED) return true
    const lastKey = this.#frames.findLastIndex((frame) => frame.keyframe)
    if (lastKey > 0) this.#drop((_, index) => index < lastKey)
    if (this.#frames.length > CROWDED) this.#drop((frame) => frame.temporalId > 0)
    if (this.#frames.length <= HOPELESS) return true
    this.clear()
    return false
  }

  shift(): EncodedFrame | undefined {
    return this.#frames.shift()
  }

  clear(): void {
    this.skipped += this.#frames.length
    this.#frames.length = 0
  }

  #drop(unwanted: (frame: EncodedFrame, index: number) => boolean): void {
    const kept = this.#frames.filter((frame, index) => !unwanted(frame, index))
    this.skipped += this.#frames.length - kept.length
    this.#frames.splice(0, this.#frames.length, ...kept)
  }
}
