/** Counts events and amounts per second over the last moment, for statistics. */

const WINDOW_MS = 1_000

export class RateMeter {
  #windowStart: number | undefined
  #count = 0
  #amount = 0
  #perSecond = 0
  #amountPerSecond = 0

  add(nowMs: number, amount = 0): void {
    this.#roll(nowMs)
    this.#count++
    this.#amount += amount
  }

  /** Events per second. */
  count(nowMs: number): number {
    this.#roll(nowMs)
    return this.#perSecond
  }

  /** Sum of the amounts per second. */
  amount(nowMs: number): number {
    this.#roll(nowMs)
    return this.#amountPerSecond
  }

  #roll(nowMs: number): void {
    this.#windowStart ??= nowMs
    const elapsed = nowMs - this.#windowStart
    if (elapsed < WINDOW_MS) return
    this.#perSecond = (this.#count * 1_000) / elapsed
    this.#amountPerSecond = (this.#amount * 1_000) / elapsed
    this.#count = 0
    this.#amount = 0
    this.#windowStart = nowMs
  }
}
