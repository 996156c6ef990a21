/** Releases queued messages at a rate, class by class: link-lanes LL-8, exactly as LL-23. */

/** Released faster than the target rate by this factor, so that a burst of one frame drains. */
export const PACE = 1.2
/** Budget kept for later: this long, and two full messages. */
const KEEP_MS = 12
const KEEP_BYTES = 2 * 1_234
/** SCTP, DTLS, UDP and IPv4 around one lane message, in bytes. */
export const MESSAGE_OVERHEAD = 78
/** Retransmission, base, enhancement, extra repair, padding. */
export type SendClass = 0 | 1 | 2 | 3 | 4
const SEND_CLASSES = 5

/** What may be sent now, in bytes with {@link MESSAGE_OVERHEAD}. */
export class SendBudget {
  #bytes = 0
  #last: number | undefined

  /** Adds what the time since the last call allows. @param rate target in bit/s */
  refill(now: number, rate: number): void {
    const passed = this.#last === undefined ? 0 : now - this.#last
    this.#last = now
    const most = (PACE * rate * KEEP_MS) / 8_000 + KEEP_BYTES
    this.#bytes = Math.min(this.#bytes + (PACE * rate * passed) / 8_000, most)
  }

  covers(cost: number): boolean {
    return cost <= this.#bytes
  }

  pay(cost: number): void {
    this.#bytes -= cost
  }
}

interface Queued<T> {
  item: T
  cost: number
}

/** One queue per class. A lower class never overtakes a message that does not fit. */
export class Pacer<T> {
  readonly #queues: Queued<T>[][] = Array.from({ length: SEND_CLASSES }, () => [])
  readonly #budget = new SendBudget()

  /** @param length bytes of the lane message */
  put(item: T, sendClass: SendClass, length: number): void {
    this.#queues[sendClass]!.push({ item, cost: length + MESSAGE_OVERHEAD })
  }

  /** Puts a retransmission before everything else. */
  putFirst(item: T, length: number): void {
    this.#queues[0]!.unshift({ item, cost: length + MESSAGE_OVERHEAD })
  }

  get waiting(): number {
    return this.#queues.reduce((sum, queue) => sum + queue.length, 0)
  }

  /** The messages that may go now. @param rate target in bit/s */
  step(now: number, rate: number): T[] {
    this.#budget.refill(now, rate)
    const released: T[] = []
    for (;;) {
      const queue = this.#queues.find((q) => q.length > 0)
      if (queue === undefined || !this.#budget.covers(queue[0]!.cost)) return released
      const { item, cost } = queue.shift()!
      this.#budget.pay(cost)
      released.push(item)
    }
  }
}
