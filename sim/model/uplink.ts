/** A bottleneck: packets leave one after the other at its rate, and those that would wait too long are dropped at its tail. */

export class Uplink {
  /** Bits per ms. */
  readonly rate: number
  /** Longest wait before a packet is dropped, ms. */
  readonly #limitMs: number
  #busyUntil = 0
  sentBytes = 0
  droppedBytes = 0

  constructor(rate: number, limitMs: number) {
    this.rate = rate
    this.#limitMs = limitMs
  }

  /** When the last bit has left, or `undefined` if the queue is full. */
  send(bytes: number, now: number): number | undefined {
    const begin = Math.max(now, this.#busyUntil)
    if (begin - now > this.#limitMs) {
      this.droppedBytes += bytes
      return undefined
    }
    this.#busyUntil = begin + (bytes * 8) / this.rate
    this.sentBytes += bytes
    return this.#busyUntil
  }

  /** How long a packet handed over now would wait, ms. */
  queueMs(now: number): number {
    return Math.max(0, this.#busyUntil - now)
  }
}
