/** Numbers the frames of a published stream so that a receiver can tell a missing base frame from a missing enhancement. */
import { groupLength, layerAt } from "./temporal-pattern.ts"

/**
 * `frame_id` counts up by one (D-30), with one rule of ours on top: the place of a number after its base frame tells its
 * temporal layer, so base frames (keyframes included) stand at least `2^(T-1)` numbers apart. Where an encoder leaves a frame
 * out, its number stays unused; otherwise a base frame could look like an enhancement, and its loss would go unnoticed.
 */
export class FrameNumbering {
  readonly #layers: number
  #next: number
  #base: number | undefined

  constructor(temporalLayers: number, first = 0) {
    this.#layers = Math.max(1, temporalLayers)
    this.#next = first >>> 0
  }

  /** The number of the next frame in coding order; `temporalId` is 0 for a keyframe. */
  assign(temporalId: number): number {
    const id = this.#place(temporalId)
    if (temporalId === 0) this.#base = id
    this.#next = (id + 1) >>> 0
    return id
  }

  /** The first free number of this layer in the group; a frame that has no place left takes the next number. */
  #place(temporalId: number): number {
    if (this.#base === undefined) return this.#next
    const length = groupLength(this.#layers)
    const position = (this.#next - this.#base) >>> 0
    if (temporalId === 0) return position < length ? (this.#base + length) >>> 0 : this.#next
    for (let p = position; p < length; p++) if (layerAt(p, this.#layers) === temporalId) return (this.#base + p) >>> 0
    return this.#next
  }
}
