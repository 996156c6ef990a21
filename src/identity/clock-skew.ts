/** How far two clocks may disagree before a signed time is refused (control-plane 5.5). */

/** Seconds added to both ends of every validity period. */
export const DEFAULT_CLOCK_SKEW_SECONDS = 60
export const MAX_CLOCK_SKEW_SECONDS = 300

/** The tolerance in whole seconds, 0 to 300; what is no number at all is the default. */
export function clampSkew(seconds: number = DEFAULT_CLOCK_SKEW_SECONDS): number {
  if (Number.isNaN(seconds)) return DEFAULT_CLOCK_SKEW_SECONDS
  return Math.trunc(Math.min(MAX_CLOCK_SKEW_SECONDS, Math.max(0, seconds)))
}
