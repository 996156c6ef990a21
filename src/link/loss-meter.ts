/** How much a link loses, and in what runs: the inputs `p` and `B` of the repair rule (link-lanes LL-13). */

/** Old messages fade with this time constant, in ms. */
const TIME_CONSTANT_MS = 3_000
/**
 * A link that has shown nothing yet counts as losing this share, with the weight of this many messages: the first frames of
 * a call are the ones nobody has measured for.
 */
const EXPECTED_LOSS = 0.02
const EXPECTED_WEIGHT = 60
/** Losses kept for the run length, and messages whose place in the order of sending is remembered. */
const MAX_LOSSES = 200
const MAX_ORDERED = 4_096

/** Loss of one direction, smoothed over messages rather than over reports. */
export class LossMeter {
  #messages = 0
  #lost = 0
  #expected = EXPECTED_WEIGHT
  #at: number | undefined

  /** @param lost negative when messages counted as lost before came after all */
  feed(got: number, lost: number, now: number): void {
    const fade = this.#at === undefined ? 1 : Math.exp(-Math.max(0, now - this.#at) / TIME_CONSTANT_MS)
    this.#at = now
    this.#messages = this.#messages * fade + got + lost
    this.#lost = this.#lost * fade + lost
    this.#expected *= fade
  }

  /** What was measured, 0..1; 0 before anything was. */
  get loss(): number {
    return share(this.#lost, this.#messages)
  }

  /** Messages that {@link loss} stands on, old ones faded. */
  get weight(): number {
    return this.#messages
  }

  /** What to prepare for: the measured loss, mixed with an ordinary one as long as little was measured. */
  get prudentLoss(): number {
    return share(this.#lost + EXPECTED_LOSS * this.#expected, this.#messages + this.#expected)
  }
}

function share(lost: number, messages: number): number {
  return messages <= 0 ? 0 : Math.min(1, Math.max(0, lost / messages))
}

/** Mean run of losses in the order of sending, over all lanes. The peer's NACKs say which numbers are lost. */
export class LossRuns {
  readonly #order = new Map<number, number>()
  /** Places of lost messages, ascending. */
  #lost: number[] = []
  #next = 0

  sent(laneId: number, laneSeq: number): void {
    this.#order.set(keyOf(laneId, laneSeq), this.#next++)
    if (this.#order.size > MAX_ORDERED) this.#order.delete(this.#order.keys().next().value!)
  }

  /** The peer asks for this number. */
  missing(laneId: number, laneSeq: number): void {
    const place = this.#order.get(keyOf(laneId, laneSeq))
    if (place === undefined) return
    this.#order.delete(keyOf(laneId, laneSeq))
    const at = this.#lost.findLastIndex((other) => other < place) + 1
    this.#lost.splice(at, 0, place)
    if (this.#lost.length > MAX_LOSSES) this.#lost.shift()
  }

  /** Losses that {@link run} is the mean over. */
  get losses(): number {
    return this.#lost.length
  }

  /** At least 1. */
  get run(): number {
    const runs = this.#lost.filter((place, index) => index === 0 || place !== this.#lost[index - 1]! + 1).length
    return runs === 0 ? 1 : this.#lost.length / runs
  }
}

function keyOf(laneId: number, laneSeq: number): number {
  return laneId * 0x1000000 + laneSeq
}
