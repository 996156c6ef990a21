/**
 * Notices frames whose end was lost. A gap in the numbers of a lane shows only when the next message on that lane comes, for the
 * last messages of a frame a whole frame later; a frame that waits for more while nothing comes any more shows it sooner.
 */

/** Nothing came for a frame for this long: what is missing was lost, ms. */
const QUIET_MS = 8
/** What was sent again may have been lost too: asked for once more after this, ms. */
const AGAIN_MS = 70
const MOST_TIMES = 2
/** Frames watched at a time. */
const MAX_FRAMES = 8

interface Watched {
  lastAt: number
  asked: number
  askedAt: number
}

export class TailWatch {
  readonly #frames = new Map<number, Watched>()

  /** A part of this frame came, and the frame is not complete. */
  part(frameId: number, now: number): void {
    const known = this.#frames.get(frameId)
    if (known !== undefined) {
      known.lastAt = now
      return
    }
    this.#frames.set(frameId, { lastAt: now, asked: 0, askedAt: Number.NEGATIVE_INFINITY })
    if (this.#frames.size > MAX_FRAMES) this.#frames.delete(this.#frames.keys().next().value!)
  }

  done(frameId: number): void {
    this.#frames.delete(frameId)
  }

  clear(): void {
    this.#frames.clear()
  }

  /** Whether to ask now for whatever may have followed the last message of each lane; counts it as asked. */
  due(now: number): boolean {
    let due = false
    for (const frame of this.#frames.values()) {
      if (frame.asked >= MOST_TIMES || now - frame.lastAt < QUIET_MS || now - frame.askedAt < AGAIN_MS) continue
      frame.asked += 1
      frame.askedAt = now
      due = true
    }
    return due
  }
}
