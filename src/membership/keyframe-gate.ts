/** Spaces keyframe requests of one stream (RM-37): the first goes at once, one that comes too early waits, later ones join it. */
import type { Milliseconds } from "../wire/types.ts"

/** Between two requests that a child sends up. */
export const KEYFRAME_REQUEST_GAP_MS = 300

type KeyframeAnswer = "now" | "joined" | { at: Milliseconds }

export class KeyframeGate {
  readonly #gapMs: Milliseconds
  #last = Number.NEGATIVE_INFINITY
  #waiting = false

  constructor(gapMs: Milliseconds) {
    this.#gapMs = gapMs
  }

  /** When a waiting request goes; undefined while none waits. */
  get dueAt(): Milliseconds | undefined {
    return this.#waiting ? this.#last + this.#gapMs : undefined
  }

  request(now: Milliseconds): KeyframeAnswer {
    const free = this.#last + this.#gapMs
    if (now >= free) return this.#go(now)
    if (this.#waiting) return "joined"
    this.#waiting = true
    return { at: free }
  }

  /** True when the waiting request goes now. */
  tick(now: Milliseconds): boolean {
    const due = this.dueAt
    if (due === undefined || now < due) return false
    this.#go(now)
    return true
  }

  #go(now: Milliseconds): "now" {
    this.#last = now
    this.#waiting = false
    return "now"
  }
}
