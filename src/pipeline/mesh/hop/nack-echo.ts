/**
 * Requests are lost like everything else, and a second one after a round trip comes too late: on a path that loses much each goes
 * out again a moment later, on another lane. Whoever has answered the first does not know the numbers any more.
 */
import type { Bytes } from "../../../wire/types.ts"

/** From this loss on (0..1) a request goes out twice, and from the second on three times. */
const TWICE_FROM = 0.03
const THRICE_FROM = 0.06
/** So much later each, ms: a run of losses is over by then. */
const AFTER_MS = 8
const MAX_WAITING = 128

export class NackEcho {
  #waiting: { at: number; message: Bytes }[] = []

  /** A request went out. @param loss of the messages that come in; nobody knows what is lost the other way */
  asked(message: Bytes, loss: number, now: number): void {
    const times = loss >= THRICE_FROM ? 2 : loss >= TWICE_FROM ? 1 : 0
    for (let time = 1; time <= times && this.#waiting.length < MAX_WAITING; time++) {
      this.#waiting.push({ at: now + time * AFTER_MS, message })
    }
  }

  /** What is to be asked once more. */
  due(now: number): Bytes[] {
    if (this.#waiting.length === 0) return []
    const due = this.#waiting.filter(({ at }) => at <= now)
    this.#waiting = this.#waiting.filter(({ at }) => at > now)
    return due.map(({ message }) => message)
  }
}
