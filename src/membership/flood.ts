/** How group messages spread through the room (RM-16, RM-32): budget, then seen-set, then authenticity. */
import type { Milliseconds, U64 } from "../wire/types.ts"

const WINDOW_MS = 10_000
const MESSAGES_PER_WINDOW = 400
const BYTES_PER_WINDOW = 4 * 1024 * 1024
const COMMITS_PER_WINDOW = 32
const SEEN_ENTRIES = 4_096
const SEEN_MS = 60_000

interface Budget {
  start: Milliseconds
  messages: number
  bytes: number
  commits: number
}

/** Remembers for 60 s what was seen; the oldest goes first when 4 096 are reached. */
export class SeenSet {
  readonly #seen = new Map<string, Milliseconds>()

  /** True when it is new; the 60 s run from this first sight. */
  admit(id: string, now: Milliseconds): boolean {
    const first = this.#seen.get(id)
    if (first !== undefined && now - first < SEEN_MS) return false
    this.#seen.delete(id)
    this.#seen.set(id, now)
    if (this.#seen.size > SEEN_ENTRIES) {
      const oldest = this.#seen.keys().next()
      if (oldest.done !== true) this.#seen.delete(oldest.value)
    }
    return true
  }
}

/** What one neighbour may flood. The map is bounded by the sessions: call {@link FloodGate.forget} when one closes. */
export class FloodGate {
  readonly #budgets = new Map<string, Budget>()
  readonly #seen = new SeenSet()

  /**
   * First look at an `av.mls` message. `fresh`: check its authenticity next. `seen`: known already, do nothing. `drop`: over the
   * budget. `close`: too many commits, end the session. `solicited`: an answer to a question of this peer, which bounds it itself.
   */
  admit(
    from: string,
    message: { id: string; commit: boolean; bytes: number; solicited?: boolean },
    now: Milliseconds,
  ): "fresh" | "seen" | "drop" | "close" {
    if (message.solicited === true) return this.#seen.admit(message.id, now) ? "fresh" : "seen"
    const budget = this.#budgetOf(from, now)
    budget.messages += 1
    budget.bytes += message.bytes
    if (message.commit) {
      budget.commits += 1
      if (budget.commits > COMMITS_PER_WINDOW) return "close"
    } else if (budget.messages > MESSAGES_PER_WINDOW || budget.bytes > BYTES_PER_WINDOW) {
      return "drop"
    }
    return this.#seen.admit(message.id, now) ? "fresh" : "seen"
  }

  /** A message of this peer's own: it must not be taken up again when it comes back. */
  own(id: string, now: Milliseconds): void {
    this.#seen.admit(id, now)
  }

  forget(from: string): void {
    this.#budgets.delete(from)
  }

  #budgetOf(from: string, now: Milliseconds): Budget {
    const budget = this.#budgets.get(from)
    if (budget !== undefined && now - budget.start < WINDOW_MS) return budget
    const fresh = { start: now, messages: 0, bytes: 0, commits: 0 }
    this.#budgets.set(from, fresh)
    return fresh
  }
}

/** Whether a fresh message is passed on: unread by a relay or when it is ahead of this peer, else only when authentic. */
export function mayForward(me: { role: "member" | "relay"; epoch: U64 }, message: { epoch: U64; authentic: boolean }): boolean {
  return me.role === "relay" || message.authentic || message.epoch > me.epoch
}
