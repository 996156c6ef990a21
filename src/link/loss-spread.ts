/**
 * Losses that come in runs look, over a second or two, like far more loss than there is, and the controller would take a moment
 * of bad luck for a path that is too narrow. As long as nothing waits in the path, losses are told to it evenly.
 */

/** Losses are told over about this time, ms. */
const SPREAD_MS = 2_500
/** Between two reports at most, ms. */
const MAX_STEP_MS = 200

export class LossSpread {
  #waiting = 0
  #at: number | undefined

  /** Takes the losses of one report and says how many to tell now. @param queued the path has a queue: nothing is held back */
  feed(lost: number, queued: boolean, now: number): number {
    const passed = this.#at === undefined ? MAX_STEP_MS : Math.min(MAX_STEP_MS, now - this.#at)
    this.#at = now
    this.#waiting += lost
    const told = queued ? this.#waiting : this.#waiting * (1 - Math.exp(-passed / SPREAD_MS))
    this.#waiting -= told
    return told
  }
}
