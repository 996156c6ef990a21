/** The two clocks of the page. */

/** Unix milliseconds that never run backwards while the page lives. */
export const monotonicNow = (): number => performance.timeOrigin + performance.now()
