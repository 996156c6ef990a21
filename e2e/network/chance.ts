/** Which packets the impairment rig loses: the same randomness and the same packets give the same losses. */

/**
 * Decides packet by packet what is lost: Gilbert's model of two states, nothing lost in the good one, everything in the bad one.
 * A mean burst of 1 means independent losses.
 */
export class LossModel {
  readonly #random: () => number
  #bad = false

  constructor(random: () => number) {
    this.#random = random
  }

  /** @param loss share of packets, 0..1. @param burst mean length of a run of losses, in packets, at least 1 */
  next(loss: number, burst: number): boolean {
    if (loss <= 0) {
      this.#bad = false
      return false
    }
    if (loss >= 1) return true
    if (burst <= 1) return this.#random() < loss
    // Leaving the bad state is decided by the mean run, entering it by the share of time spent there.
    const leave = 1 / burst
    const enter = Math.min(1, (leave * loss) / (1 - loss))
    this.#bad = this.#bad ? this.#random() >= leave : this.#random() < enter
    return this.#bad
  }
}
