/** Serial-number arithmetic of `lane_seq`, and the counter of one lane and direction (link-lanes 4.1). */

export const LANE_SEQ_MODULUS = 0x1000000
const HALF = LANE_SEQ_MODULUS / 2

/** How far `a` is ahead of `b` on the circle, -2^23 .. 2^23 - 1. */
export function laneSeqDelta(a: number, b: number): number {
  const ahead = (a - b) & (LANE_SEQ_MODULUS - 1)
  return ahead >= HALF ? ahead - LANE_SEQ_MODULUS : ahead
}

/** Numbers the data and padding messages of one lane: 0, 1, … and around. */
export class LaneSequence {
  #next = 0

  /** The number that {@link take} gives next. */
  get next(): number {
    return this.#next
  }

  take(): number {
    const value = this.#next
    this.#next = (value + 1) & (LANE_SEQ_MODULUS - 1)
    return value
  }
}

/** Microseconds of a millisecond clock as the u32 of a lane message. */
export function clockMicros(nowMs: number): number {
  return Math.floor(nowMs * 1_000) % 0x100000000
}
