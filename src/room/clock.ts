/** The clocks of the page: one for timers that never runs backwards, one for what others will compare with theirs. */

/** Wall clock and timers drifting apart by more than this means that the machine slept, ms. */
const SLEPT_MS = 2_000
/** Up to this a difference between the server's clock and ours is the way's, ms. */
const TOLERATED_MS = 5_000
/** A person should know that the device's clock is off by more than this, ms. */
const TOLD_ABOVE_MS = 30_000
/** Beyond twenty years it is no clock that the server shows; times made with it would not fit their fields. */
const ABSURD_MS = 20 * 365 * 86_400_000

/** Time that passed while the timer clock of the browser stood still. */
let slept = 0

/**
 * Unix milliseconds that never run backwards while the page lives. In many browsers `performance.now()` stands still while the
 * machine sleeps; what the wall clock gained meanwhile is added.
 */
export const monotonicNow = (): number => {
  const timers = performance.timeOrigin + performance.now() + slept
  const behind = Date.now() - timers
  if (behind <= SLEPT_MS) return timers
  slept += behind
  return timers + behind
}

/**
 * The wall clock as the others see it. Descriptions and bindings are compared with other people's clocks; a page whose own one is
 * wrong takes the server's, which every member has heard from as well.
 */
export class WallClock {
  #offset = 0
  #isOff = false

  /**
   * What is written for others goes by their clock; what others wrote is judged by this device's own (D42), so that a server
   * cannot make old rights good again.
   *
   * @param skewMs server's clock minus ours when its HELLO came, ms
   * @returns true when the own clock turns out to be so wrong that a person should be told; once, until it was right again
   */
  heardServer(skewMs: number): boolean {
    const wrong = Math.abs(skewMs)
    this.#offset = wrong > TOLERATED_MS && wrong < ABSURD_MS ? skewMs : 0
    const known = this.#isOff
    this.#isOff = wrong > TOLD_ABOVE_MS && wrong < ABSURD_MS
    return this.#isOff && !known
  }

  get offsetMs(): number {
    return this.#offset
  }

  /** Unix milliseconds. */
  readonly now = (): number => Date.now() + this.#offset
}
