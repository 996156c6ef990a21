/** How many wrong invitation proofs are tolerated (RM-26): guessing the secret must not be cheaper than one try per second. */
import type { Milliseconds } from "../wire/types.ts"

const PER_SESSION = 3
const PER_WINDOW = 8
const WINDOW_MS = 60_000

/** Counts wrong proofs. Sessions are forgotten with {@link KnockLimit.forget}, so the map is no larger than the session table. */
export class KnockLimit {
  readonly #perSession = new Map<string, number>()
  #windowStart = Number.NEGATIVE_INFINITY
  #inWindow = 0

  /** One more wrong proof; says how to answer it. */
  wrong(session: string, now: Milliseconds): "refuse" | "goaway" {
    if (now - this.#windowStart >= WINDOW_MS) {
      this.#windowStart = now
      this.#inWindow = 0
    }
    this.#inWindow += 1
    const ofSession = (this.#perSession.get(session) ?? 0) + 1
    this.#perSession.set(session, ofSession)
    return ofSession > PER_SESSION || this.#inWindow > PER_WINDOW ? "goaway" : "refuse"
  }

  /** The session is closed. */
  forget(session: string): void {
    this.#perSession.delete(session)
  }
}
