/** What a node lets others introduce to it unasked (control-plane 6.6, 6.7). No clock in here. */
import type { Milliseconds, NodeId, U64 } from "../wire/types.ts"
import type { Budget } from "./limits.ts"
import { FixedWindows } from "./windows.ts"

/** Introductions of one member. */
const PER_MEMBER: Budget = [4, 10_000]
/** The own server introduces everybody, and keeps a budget for each target itself (D51). */
const FROM_SERVER: Budget = [32, 10_000]
/** Attempts of others at once, and how many more of those that the server introduces with evidence. */
const AT_ONCE = 8
const AT_ONCE_ATTESTED = 8
/** Attempts whose refusal is remembered. */
const MAX_REFUSED = 4_096

/** Who introduces: the own rendezvous server, or the authenticated node of a session. */
type Introducer = "server" | NodeId

export class ResponderBudget {
  readonly #members = new FixedWindows(PER_MEMBER)
  readonly #server = new FixedWindows(FROM_SERVER)
  readonly #refused = new Set<string>()

  /** Takes one introduction from the budget of whoever makes it. 0 when it may be looked at, else the time to wait, ms. */
  take(by: Introducer, now: Milliseconds): Milliseconds {
    return by === "server" ? this.#server.take(by, now) : this.#members.take(by, now)
  }

  /** Whether another attempt may be answered while `answering` are. `attested`: with evidence of the caller's address. */
  room(by: Introducer, attested: boolean, answering: number): boolean {
    return answering < AT_ONCE + (by === "server" && attested ? AT_ONCE_ATTESTED : 0)
  }

  /** True once for each attempt: no more than one REJECT answers it. */
  mayRefuse(from: NodeId, attemptId: U64): boolean {
    const key = `${from}/${attemptId}`
    if (this.#refused.has(key)) return false
    this.#refused.add(key)
    const oldest = this.#refused.values().next()
    if (this.#refused.size > MAX_REFUSED && oldest.done !== true) this.#refused.delete(oldest.value)
    return true
  }
}
