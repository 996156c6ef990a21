/**
 * The time of a recording. Sound leads: browsers slow down the timers of a page that nobody looks at, but not its sound. While no sound
 * comes (it waits for a click), the page's own clock goes on, and silence takes the place of what is missing.
 */
import type { Milliseconds } from "../../wire/types.ts"

/** Sound may come so much later than its time; more is a pause. */
const LATE_MS = 250

export class RecordClock {
  readonly #blockMs: Milliseconds
  /** End of the last block, and when it was there. */
  #soundEndMs: Milliseconds = 0
  #cameAtMs: Milliseconds

  /** @param blockMs length of a block of sound @param atMs of a clock that never runs backwards, as everywhere here */
  constructor(blockMs: Milliseconds, atMs: Milliseconds) {
    this.#blockMs = blockMs
    this.#cameAtMs = atMs
  }

  /** Since the beginning. */
  now(atMs: Milliseconds): Milliseconds {
    return this.#soundEndMs + Math.max(0, atMs - this.#cameAtMs)
  }

  /** A block of sound has come. Gives where it begins, and how much silence has to go before it. */
  block(atMs: Milliseconds): { startMs: Milliseconds; silenceMs: Milliseconds } {
    const missing = this.now(atMs) - this.#blockMs - this.#soundEndMs
    const silenceMs = missing > LATE_MS ? missing : 0
    const startMs = this.#soundEndMs + silenceMs
    this.#soundEndMs = startMs + this.#blockMs
    this.#cameAtMs = atMs
    return { startMs, silenceMs }
  }

  /** Silence that is missing by now because no sound comes; it counts as if it had come. */
  fill(atMs: Milliseconds): { startMs: Milliseconds; silenceMs: Milliseconds } {
    const startMs = this.#soundEndMs
    const missing = this.now(atMs) - startMs
    if (missing <= 2 * LATE_MS) return { startMs, silenceMs: 0 }
    const silenceMs = missing - LATE_MS
    this.#soundEndMs += silenceMs
    this.#cameAtMs += silenceMs
    return { startMs, silenceMs }
  }
}
