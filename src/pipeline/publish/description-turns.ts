/** Deals the pictures of a source out to several descriptions in turn (D-33): even pictures to one encoder, odd ones to the other. */
import { FramePacer } from "./frame-pacer.ts"

export class DescriptionTurns {
  readonly #count: number
  readonly #pacer: FramePacer
  #ptsUs: number | undefined
  #turn: number | undefined
  #next = 0

  constructor(count: number, framesPerSecond: number) {
    this.#count = count
    this.#pacer = new FramePacer(framesPerSecond)
  }

  /** Index of the description that gets the picture of this capture time; undefined when the frame rate leaves it out. */
  turn(ptsUs: number): number | undefined {
    if (ptsUs === this.#ptsUs) return this.#turn
    this.#ptsUs = ptsUs
    this.#turn = this.#pacer.admit(ptsUs) ? this.#next++ % this.#count : undefined
    return this.#turn
  }
}
