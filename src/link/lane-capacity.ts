/** What one lane can carry, how many are wanted, and how much repair a link needs (link-lanes 1, 8, 10; LL-13, 15, 17, 25, 27). */

/** Bits of a full packet in the formula of section 1. */
const SEGMENT_BITS = 9_200
/** Below this loss the window of an association does not limit, and repair is left to NACK. */
export const LOW_LOSS = 0.002
/** Round trip up to which a NACK is answered within the play-out delay, in ms. */
const NACK_RTT_MS = 90
/** The publisher adds repair for at most this loss; a worse link is protected by NACK and shedding. */
const PUBLISHER_MAX_LOSS = 0.05
/** Interval of audio packets, and so the distance of the second copy, in ms. */
const AUDIO_PACKET_MS = 20
/** More video lanes than this are never opened on one link. */
export const MAX_VIDEO_LANES = 8

/** Bits per second that one association carries at this round trip (ms) and packet loss; `Infinity` without loss. */
export function laneCapacity(rttMs: number, loss: number): number {
  return (1.2 * SEGMENT_BITS) / ((rttMs / 1_000) * Math.sqrt(loss))
}

/** The smallest R with P[Binomial(k + R, loss) > R] ≤ miss: repair symbols for k source symbols. */
export function repairFor(k: number, loss: number, miss: number): number {
  let repair = 0
  while (repair <= k && moreLostThan(repair, k + repair, loss) > miss) repair++
  return repair
}

/** P[Binomial(n, p) > r], summed from the small end in double precision. */
function moreLostThan(r: number, n: number, p: number): number {
  if (p <= 0) return 0
  if (p >= 1) return r < n ? 1 : 0
  let term = (1 - p) ** n
  let sum = term
  for (let lost = 1; lost <= r; lost++) {
    term *= ((n - lost + 1) / lost) * (p / (1 - p))
    sum += term
  }
  return 1 - sum
}

export interface RepairInputs {
  /** Source symbols of the frame. */
  k: number
  loss: number
  rttMs: number
  /** Mean run of lost numbers. */
  run: number
  /** Losses the run was measured over; below 20 it counts as 1. */
  losses: number
  keyframe: boolean
}

/** Repair symbols for one frame on one link, LL-13 in the order of LL-25. */
export function repairSymbols(input: RepairInputs): number {
  const { k, loss, rttMs, keyframe } = input
  const run = input.losses < 20 ? 1 : input.run
  const slow = rttMs > NACK_RTT_MS
  let repair: number
  if (loss < LOW_LOSS) repair = k <= 4 ? 0 : 1
  else repair = repairFor(k, loss, slow ? 0.003 : 0.03)
  if (run >= 2 && slow) repair = Math.max(repair, Math.floor(run + 0.5) + 1)
  if (keyframe) repair += 1
  return Math.min(repair, k + 1)
}

/** Mean runs of losses for which {@link burstRepair} adds a symbol; longer ones take whole frames, and more symbols with them. */
const SHORTEST_RUN = 1.5
const LONGEST_RUN = 5
/** Loss from which runs use up what a request can bring in time. */
const BURST_LOSS = 0.03

/** Losses come in runs, and so many that requests alone do not bring all of it in time. */
export function comesInRuns({ loss, run, losses }: Omit<RepairInputs, "k" | "keyframe">): boolean {
  return losses >= 20 && loss >= BURST_LOSS && run >= SHORTEST_RUN
}

/** One symbol more than LL-13 where short runs of losses take several symbols of one frame at once; else none. */
export function burstRepair(inputs: Omit<RepairInputs, "k" | "keyframe">): 0 | 1 {
  return comesInRuns(inputs) && inputs.run < LONGEST_RUN ? 1 : 0
}

/** What the publisher makes: the most that any child needs, each loss limited to 5 %. None without a child. */
export function publisherRepair(k: number, keyframe: boolean, children: readonly Omit<RepairInputs, "k" | "keyframe">[]): number {
  const needs = children.map((child) => repairSymbols({ ...child, k, keyframe, loss: Math.min(child.loss, PUBLISHER_MAX_LOSS) }))
  return Math.max(0, ...needs)
}

/** Whether a relay passes a chunk of this quality on to a child that needs `childRepair` repair symbols. */
export function relayForwards(quality: number, childRepair: number): boolean {
  return quality <= childRepair
}

/** Copies of an audio chunk and the distance of the second one, LL-17. */
export function audioCopies(loss: number): { copies: 1 | 2; secondAfterMs: number | undefined } {
  return loss >= 0.01 ? { copies: 2, secondAfterMs: AUDIO_PACKET_MS } : { copies: 1, secondAfterMs: undefined }
}
