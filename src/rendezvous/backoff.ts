/** When to try a lost server again (room RM-7, RM-21). */
import type { Milliseconds, RandomBytes } from "../wire/types.ts"

const FIRST_MS = 1_000
const LONGEST_MS = 30_000
/** A draining server asks for a pause of up to this, so that its visitors do not all come at once (control-plane 0.5). */
const DRAINING_MS = 10_000

/** A number in 0 ≤ x < 1 from the injected source. */
function randomFraction(random: RandomBytes): number {
  const bytes = random(4)
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) / 2 ** 32
}

/** The pause after the n-th failure in a row (from 0): 1, 2, 4 … 30 s, each ± a quarter. */
export function backoff(failures: number, random: RandomBytes): Milliseconds {
  const base = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures, 16))
  return Math.round(base * (0.75 + randomFraction(random) / 2))
}

/** The pause after GOAWAY `draining`. */
export function drainPause(random: RandomBytes): Milliseconds {
  return Math.round(DRAINING_MS * randomFraction(random))
}
