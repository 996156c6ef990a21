/** Packet loss on one direction of a path: independent, or in runs (two states, the bad one loses everything). */
import type { Random } from "../engine/random.ts"

export interface LossModel {
  /** Share of packets that are lost in the long run. */
  loss: number
  /** Mean length of a run of losses in packets; 1: independent. */
  burst: number
}

/** Of a set of symbols (one bit each) those that come through. `state.bad` is the memory of this direction. */
export function passed(mask: number, { loss, burst }: LossModel, state: { bad: boolean }, random: Random): number {
  if (loss <= 0) return mask
  let left = mask
  let through = 0
  while (left !== 0) {
    const bit = left & -left
    left ^= bit
    if (burst <= 1) {
      if (!random.chance(loss)) through |= bit
      continue
    }
    // Long-run share of the bad state is `loss` when it is entered with this probability.
    state.bad = state.bad ? !random.chance(1 / burst) : random.chance(loss / (1 - loss) / burst)
    if (!state.bad) through |= bit
  }
  return through
}

/** Delay of a message on a reliable channel over such a path: each loss costs a retransmission timeout, doubled each time. */
export function reliableDelayMs(oneWay: number, { loss }: LossModel, random: Random): number {
  let delay = oneWay
  // WebRTC's SCTP starts from its measured round trip and never waits less than this, ms.
  let timeout = Math.max(200, 2 * oneWay + 100)
  for (let tries = 0; tries < 5 && random.chance(loss); tries++) {
    delay += timeout
    timeout *= 2
  }
  return delay
}

export function popcount(mask: number): number {
  let bits = mask - ((mask >>> 1) & 0x55555555)
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333)
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}
