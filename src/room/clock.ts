/** The clocks of the page: one for timers that never runs backwards, one for what others will compare with theirs. */

/** Wall clock and timers drifting apart by more than this means that the machine slept, ms. */
const SLEPT_MS = 2_000
/** Up to this a difference between the server's clock and ours is the way's, ms. */
const TOLERATED_MS = 5_000

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

  /** Server's clock minus ours when its HELLO came, ms. */
  heardServer(skewMs: number): void {
    this.#offset = Number.isFinite(skewMs) && Math.abs(skewMs) > TOLERATED_MS ? skewMs : 0
  }

  get offsetMs(): number {
    return this.#offset
  }

  /** Unix milliseconds. */
  readonly now = (): number => Date.now() + this.#offset
}
