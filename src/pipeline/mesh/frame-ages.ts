/** How long ago the first part of a frame came: a part that comes a round trip later was sent again. */

const MAX_FRAMES = 64

export class FrameAges {
  readonly #firstAt = new Map<number, number>()

  /** A part of this frame comes; ms since its first one. */
  part(frameId: number, now: number): number {
    const first = this.#firstAt.get(frameId)
    if (first !== undefined) return now - first
    this.#firstAt.set(frameId, now)
    if (this.#firstAt.size > MAX_FRAMES) this.#firstAt.delete(this.#firstAt.keys().next().value!)
    return 0
  }
}
