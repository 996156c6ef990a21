/**
 * What a relay can guess of the objects it hands on: their number of source symbols, and whether one is a keyframe. Both are inside
 * the seal. A wrong guess costs a little repair or patience, nothing else.
 */
import type { ChunkLayer } from "../../wire/types.ts"

/** Share of the newest object in the mean. */
const SMOOTHING = 0.1
/** An object is taken for a keyframe when it has so many times the usual symbols, and more. */
const KEYFRAME_TIMES = 2
const KEYFRAME_MORE = 4

export class ObjectGuess {
  #run = 0
  #layer = -1
  #quality = 0
  #mean: number | undefined

  /** Takes the chunks of a stream in order of arrival. */
  chunk({ spatial, temporal, quality }: ChunkLayer): { nSource: number; keyframe: boolean } {
    const layer = spatial * 256 + temporal
    if (quality === 0) {
      // Source symbols after repair, or of another layer, begin something new.
      if (this.#quality > 0 || layer !== this.#layer) this.#ended()
      this.#run += 1
    }
    this.#layer = layer
    this.#quality = quality
    const keyframe = layer === 0 && this.#mean !== undefined && this.#run > KEYFRAME_TIMES * this.#mean + KEYFRAME_MORE
    return { nSource: Math.max(1, this.#run), keyframe }
  }

  #ended(): void {
    if (this.#run > 0 && this.#layer === 0) this.#mean = mixed(this.#mean, this.#run)
    this.#run = 0
  }
}

function mixed(mean: number | undefined, value: number): number {
  return mean === undefined ? value : mean + SMOOTHING * (value - mean)
}
