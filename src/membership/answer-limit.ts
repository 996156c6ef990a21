/** How many large answers one session gets in a second: a short question must not make this peer send without end. */
import type { Milliseconds } from "../wire/types.ts"
import type { SessionId } from "./types.ts"

const WINDOW_MS = 1_000

/** The map is bounded by the sessions: call {@link AnswerLimit.forget} when one closes. */
export class AnswerLimit {
  readonly #perSecond: number
  readonly #given = new Map<SessionId, { start: Milliseconds; count: number }>()

  constructor(perSecond: number) {
    this.#perSecond = perSecond
  }

  /** `true`: answer; counts it. */
  admit(session: SessionId, now: Milliseconds): boolean {
    const given = this.#given.get(session)
    if (given === undefined || now - given.start >= WINDOW_MS) {
      this.#given.set(session, { start: now, count: 1 })
      return true
    }
    if (given.count >= this.#perSecond) return false
    given.count += 1
    return true
  }

  forget(session: SessionId): void {
    this.#given.delete(session)
  }
}
