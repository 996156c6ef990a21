/** How a newcomer finds a member: contacts nodes in rounds, hears who refuses, and knows when nobody is there (RM-7 step 3, RM-10). */
import { compareUtf8 } from "../wire/bytes.ts"
import type { AvError } from "../wire/errors.ts"
import type { Milliseconds, NodeId } from "../wire/types.ts"
import { ALL_NEW_MS, allNew, pickNodes } from "./contacts.ts"
import { earliest, type RoomCore } from "./core.ts"
import { refusalError } from "./refusals.ts"

/** A head must come within this time, else the next nodes are asked; with a refusal at hand, else the search has failed. */
const HEAD_WAIT_MS = 8_000
/** Once somebody refused, the next nodes are asked sooner: the refusal may be a stranger's, or our link may be wrong. */
const REFUSED_ROUND_MS = 2_500
/** So many refusals and no head: whoever is in this room will not let us in. */
const MAX_REFUSALS = 12
/** With a lower node id among other newcomers, this peer waits a little longer before it founds. */
const FOUND_PATIENCE_MS = 4_000
/** What a member says to a knock that it cannot answer with a proof; everything else is said to a `room.join`. */
const KNOCK_REFUSALS = ["wrong-invitation", "version"]

/**
 * `found`: nobody is in this room, make it. `failed`: everybody that answered refused. `again`: nobody is left to contact, but a peer that
 * proved the invitation is still connected: ask it again. Undefined: go on.
 */
type SearchResult = { result: "found" | "again" } | { result: "failed"; error: AvError } | undefined

export class Search {
  readonly #core: RoomCore
  readonly #waitingHere: () => readonly NodeId[]
  #extra: NodeId[] = []
  readonly #tried = new Set<NodeId>()
  /** Contacted, and neither refused nor found unreachable. */
  readonly #silent = new Set<NodeId>()
  readonly #refused = new Map<NodeId, string>()
  #refusedSince: Milliseconds | undefined
  #round: Milliseconds | undefined
  #headSeen = false

  constructor(core: RoomCore, waitingHere: () => readonly NodeId[]) {
    this.#core = core
    this.#waitingHere = waitingHere
  }

  /** Starts over; `nodes` are worth a try besides the roster. */
  begin(nodes: readonly NodeId[]): void {
    this.#extra = [...nodes]
    this.#tried.clear()
    this.#silent.clear()
    this.#refused.clear()
    this.#refusedSince = undefined
    this.#round = undefined
    this.#headSeen = false
  }

  get extra(): readonly NodeId[] {
    return this.#extra
  }

  /** Somebody proved the invitation: what those say who did not counts no more. */
  headSeen(): void {
    this.#headSeen = true
  }

  /** A refusal of a peer that has proven nothing: a member we cannot convince, or anybody who registered under the room's name. */
  refused(node: NodeId, reason: string): void {
    if (!KNOCK_REFUSALS.includes(reason) || this.#refused.has(node) || this.#refused.size >= MAX_REFUSALS) {
      this.#core.count("refusal-ignored")
      return
    }
    this.#refused.set(node, reason)
    this.#silent.delete(node)
    this.#refusedSince ??= this.#core.now
  }

  hasRefused(node: NodeId): boolean {
    return this.#refused.has(node)
  }

  /** A link to that node came to nothing. */
  unreachable(node: NodeId): void {
    if (this.#core.sessions.ofNode(node) === undefined) this.#silent.delete(node)
  }

  /** Every open session is asked for its head again: gives the answers their time. */
  askedAgain(): void {
    this.#round = this.#core.now
  }

  /** Nobody who showed a head is there any more: every node is worth another try. */
  lostAll(): void {
    this.#tried.clear()
    this.#silent.clear()
    this.#round = undefined
  }

  /** Contacts the next nodes when it is time, and judges. Call it while no head is known. */
  advance(): SearchResult {
    const core = this.#core
    if (core.roster === undefined && this.#extra.length === 0) {
      this.#round = undefined
      return undefined
    }
    if (allNew(core, this.#waitingHere())) return { result: "found" }
    if (this.#hopeless()) return this.#failed()
    if (this.#round !== undefined && core.now < this.#nextRound() && !this.#allRefused()) return undefined
    const nodes = pickNodes(core, this.#extra, this.#tried)
    if (nodes.length === 0) return this.#nobody()
    nodes.forEach((node, i) => {
      this.#tried.add(node)
      if (!this.#refused.has(node)) this.#silent.add(node)
      if (core.sessions.ofNode(node) !== undefined) return
      core.act({ type: "connect", node, via: "server" })
      if (i === 0) core.act({ type: "openRouted", node, via: "server" })
    })
    this.#round = core.now
    return undefined
  }

  wake(): Milliseconds | undefined {
    return earliest(
      this.#round === undefined ? undefined : this.#nextRound(),
      this.#judging && this.#refusedSince !== undefined ? this.#refusedSince + HEAD_WAIT_MS : undefined,
      this.#waitingHere().length > 0 ? this.#core.now + ALL_NEW_MS : undefined,
    )
  }

  /** Refusals may decide. */
  get #judging(): boolean {
    return this.#refused.size > 0 && !this.#headSeen
  }

  #nextRound(): Milliseconds {
    return (this.#round ?? 0) + (this.#judging ? REFUSED_ROUND_MS : HEAD_WAIT_MS)
  }

  /** Nobody that was contacted is still to answer. */
  #allRefused(): boolean {
    return this.#judging && this.#silent.size === 0
  }

  #hopeless(): boolean {
    if (!this.#judging) return false
    const waited = this.#core.now - (this.#refusedSince ?? this.#core.now)
    return this.#refused.size >= MAX_REFUSALS || waited >= HEAD_WAIT_MS
  }

  /** Nobody is left to ask. */
  #nobody(): SearchResult {
    const core = this.#core
    if (this.#allRefused()) return this.#failed()
    if (this.#judging) {
      this.#round = core.now
      return undefined
    }
    for (const { isHolder } of core.sessions.all()) if (isHolder) return { result: "again" }
    // Without the server nobody founds: the room may exist where we cannot see it.
    if (!core.serverConnected || core.roster === undefined) {
      this.#tried.clear()
      this.#round = core.now
      return undefined
    }
    const own = core.options.self.nodeId
    const lower = this.#waitingHere().some((node) => compareUtf8(node, own) < 0)
    const since = this.#round === undefined ? 0 : core.now - this.#nextRound()
    return lower && since < FOUND_PATIENCE_MS ? undefined : { result: "found" }
  }

  /** The reason that most gave; of equal ones the first. */
  #failed(): SearchResult {
    const reasons = [...this.#refused.values()]
    const times = (reason: string) => reasons.filter((other) => other === reason).length
    const most = reasons.reduce((best, reason) => (times(reason) > times(best) ? reason : best))
    return { result: "failed", error: refusalError(most) }
  }
}
