/** A peer that keeps being refused is not listened to for a while (control-plane 5.7 rule 1). */
import type { Milliseconds } from "../wire/types.ts"

/** Refusals within the window that start the pause. */
const MAX_FAILURES = 16
const WINDOW_MS = 60_000
const PAUSE_MS = 30_000

/** One per peer; it outlives a session. */
export class FailureThrottle {
  #failures: Milliseconds[] = []
  #until = Number.NEGATIVE_INFINITY

  /** Nothing is held against the peer. */
  get isClean(): boolean {
    return this.#failures.length === 0 && this.#until === Number.NEGATIVE_INFINITY
  }

  isThrottled(now: Milliseconds): boolean {
    return now < this.#until
  }

  fail(now: Milliseconds): void {
    this.#failures = this.#failures.filter((at) => now - at < WINDOW_MS)
    this.#failures.push(now)
    if (this.#failures.length < MAX_FAILURES) return
    this.#failures = []
    this.#until = now + PAUSE_MS
  }
}
