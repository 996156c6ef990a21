/** Finds the flash that belongs to a beep, and what both looked like where they were made. */

/** Times in ms on a clock that both sides share to a few milliseconds, rising. */
export interface Events {
  flashes: number[]
  beeps: number[]
}

export interface Pair {
  /** When the sender showed it to itself. */
  atMs: number
  /** Sound minus picture as it left the sender, and as it was heard and seen. */
  madeMs: number
  receivedMs: number
  /** From the sender to the receiver. */
  soundMs: number
  pictureMs: number
}

/** A call whose delay comes near the second between two flashes cannot be measured this way. */
const LONGEST_DELAY_MS = 700
/** Beep and flash of one moment are nearer to each other than to the next. */
const APART_MS = 450

/** Sound minus picture that the call brought in, in ms. */
export const skewOf = ({ madeMs, receivedMs }: Pair): number => receivedMs - madeMs

/** Moments of which all four times are known. */
export function matchEvents(made: Events, received: Events): Pair[] {
  return made.flashes.flatMap((atMs): Pair[] => {
    const beep = nearest(made.beeps, atMs)
    if (beep === undefined || Math.abs(beep - atMs) > APART_MS) return []
    // The clocks of the two processes may differ by a few milliseconds.
    const flashThere = received.flashes.find((at) => at > atMs - 20 && at < atMs + LONGEST_DELAY_MS)
    if (flashThere === undefined) return []
    const beepThere = nearest(received.beeps, flashThere + (beep - atMs))
    if (beepThere === undefined || Math.abs(beepThere - flashThere) > APART_MS) return []
    return [
      {
        atMs,
        madeMs: beep - atMs,
        receivedMs: beepThere - flashThere,
        soundMs: beepThere - beep,
        pictureMs: flashThere - atMs,
      },
    ]
  })
}

/** The value that a share `q` of all does not exceed. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
}

function nearest(values: readonly number[], wanted: number): number | undefined {
  let best: number | undefined
  for (const value of values) if (best === undefined || Math.abs(value - wanted) < Math.abs(best - wanted)) best = value
  return best
}
