/** Keeps links to the members this peer should be linked to, and finds ways when there is no server (RM-20, RM-21, RM-38). */
import { compareUtf8 } from "../wire/bytes.ts"
import type { Milliseconds, NodeId, PeerKeyId } from "../wire/types.ts"
import { earliest, type RoomCore } from "./core.ts"
import { IdleLinks } from "./idle-links.ts"
import type { Leaves } from "./leaves.ts"
import { callersOnRing, neighboursOnRing, RingOrder, type RingRules, ringRules } from "./neighbours.ts"
import type { Routes } from "./routes.ts"
import type { RoomSession } from "./sessions.ts"
import type { Via } from "./types.ts"

/** Members that were here before a newcomer let it call first; then the lower node id calls, then the other. */
const WAIT_LOWER_MS = 1_500
const WAIT_HIGHER_MS = 3_000
const FIRST_RETRY_MS = 2_000
const MAX_RETRY_MS = 30_000
/** A direct link that did not come up in this time is helped out by a routed session. */
const ROUTED_AFTER_MS = 1_000
/** After so many failures another member on the ring is taken instead, for a while. */
const UNREACHABLE_TRIES = 3
const UNREACHABLE_MS = 60_000
/** Links that streams may ask for beside those of the ring: a page has only so many peer connections. */
const MAX_CALLS = 32

interface Attempt {
  next: Milliseconds
  tries: number
  /** When a routed session may be opened beside it. */
  routedAt: Milliseconds
  unreachableUntil: Milliseconds
}

export class Links {
  readonly #core: RoomCore
  readonly #leaves: Leaves
  readonly #routes: Routes
  readonly #idle: IdleLinks
  readonly #rules: RingRules
  readonly #attempts = new Map<PeerKeyId, Attempt>()
  readonly #order = new RingOrder()
  /** Members on the ring, this peer included. */
  #ring: readonly PeerKeyId[] = []
  /** Those that want a link to this peer by their own plan. */
  #callers: ReadonlySet<PeerKeyId> = new Set()
  /** Links that streams of this page need. */
  #calls: ReadonlySet<PeerKeyId> = new Set()
  #kept: ReadonlySet<PeerKeyId> = new Set()
  /** Those it is to be linked to, unreachable ones replaced. */
  #wanted: PeerKeyId[] = []
  #ideal: PeerKeyId[] = []
  /** Counts the changes of who is wanted. */
  #plans = 0
  /** When a member that could not be reached is worth another look. */
  #planAgainAt: Milliseconds | undefined

  constructor(core: RoomCore, leaves: Leaves, routes: Routes) {
    this.#core = core
    this.#leaves = leaves
    this.#routes = routes
    this.#idle = new IdleLinks(core)
    this.#rules = ringRules(core.options.maxNeighbours)
  }

  /** The members this peer would be linked to if every link could be made. */
  get ideal(): readonly PeerKeyId[] {
    return this.#ideal
  }

  /** A link of this peer's own to that member is there or being made. */
  wants(keyId: PeerKeyId): boolean {
    return this.#wanted.includes(keyId) || this.#calls.has(keyId)
  }

  /** What streams need now: links to `call` are made, those to `keep` are left alone. */
  use(call: readonly PeerKeyId[], keep: readonly PeerKeyId[]): void {
    const { now } = this.#core
    const before = this.#calls
    this.#calls = new Set(call.slice(0, MAX_CALLS))
    this.#kept = new Set(keep)
    this.#plans++
    for (const keyId of this.#calls) {
      const attempt = this.#attempts.get(keyId)
      // Whoever is asked for a stream is called at once, also when it could not be reached a while ago.
      if (attempt === undefined || before.has(keyId) || this.#wanted.includes(keyId)) continue
      attempt.tries = 0
      attempt.next = Math.min(attempt.next, now)
      attempt.routedAt = now + ROUTED_AFTER_MS
    }
  }

  /** The member list changed. `mine`: this peer has just come in and calls at once. */
  membersChanged(mine: boolean): void {
    const { members, options, now, room } = this.#core
    for (const keyId of this.#attempts.keys()) if (!members.has(keyId)) this.#attempts.delete(keyId)
    for (const keyId of members.keys()) {
      if (keyId === this.#core.me || this.#attempts.has(keyId)) continue
      const node = this.#leaves.nodeOf(keyId)
      const lower = node === undefined || compareUtf8(options.self.nodeId, node) < 0
      const wait = mine ? 0 : lower ? WAIT_LOWER_MS : WAIT_HIGHER_MS
      this.#attempts.set(keyId, { next: now + wait, tries: 0, routedAt: now + wait + ROUTED_AFTER_MS, unreachableUntil: 0 })
    }
    this.#ring = room === undefined ? [] : this.#order.of(room.roomId, [...members.keys()])
    this.#callers = new Set(callersOnRing(this.#ring, this.#ring.indexOf(this.#core.me), this.#rules))
    this.#idle.membersChanged()
    this.#plan()
  }

  /** An attempt failed: the next one comes later. */
  failed(node: NodeId): void {
    const keyId = this.#leaves.keyOf(node)
    const attempt = keyId === undefined ? undefined : this.#attempts.get(keyId)
    if (attempt === undefined) return
    const { now } = this.#core
    attempt.next = Math.max(attempt.next, now + this.#backOff(attempt.tries))
    if (attempt.tries < UNREACHABLE_TRIES || this.#core.members.size <= this.#rules.fullMesh) return
    attempt.unreachableUntil = now + UNREACHABLE_MS
    this.#planAgainAt = earliest(this.#planAgainAt, attempt.unreachableUntil)
    this.#plan()
  }

  /** A session went away: the member is called again soon. */
  lost(keyId: PeerKeyId): void {
    const attempt = this.#attempts.get(keyId)
    if (attempt === undefined) return
    const { now } = this.#core
    attempt.tries = 0
    attempt.next = Math.max(now + 300 + this.#core.randomBelow(700), Math.min(attempt.next, now + FIRST_RETRY_MS))
    attempt.routedAt = attempt.next + ROUTED_AFTER_MS
  }

  tick(): void {
    const core = this.#core
    if (core.view === undefined) return
    if (this.#planAgainAt !== undefined && core.now >= this.#planAgainAt) {
      this.#planAgainAt = undefined
      this.#plan()
    }
    for (const keyId of this.#targets()) {
      const attempt = this.#attempts.get(keyId)
      const session = core.sessions.ofKey(keyId)
      const node = this.#leaves.nodeOf(keyId)
      if (attempt === undefined || node === undefined || session?.kind === "direct") continue
      if (core.now >= attempt.next) {
        core.act({ type: "connect", node, via: this.#callBy(keyId, node, attempt.tries) })
        attempt.tries++
        attempt.next = core.now + this.#backOff(attempt.tries)
      }
      if (session === undefined && core.now >= attempt.routedAt) {
        core.act({ type: "openRouted", node, via: this.#way(node, attempt.tries) })
        attempt.routedAt = core.now + this.#backOff(attempt.tries)
      }
    }
    if (core.members.size > this.#rules.fullMesh) this.#idle.tick(this.#needed, this.#plans)
  }

  wake(): Milliseconds | undefined {
    let time = this.#planAgainAt
    if (this.#core.view !== undefined && this.#core.members.size > this.#rules.fullMesh) {
      time = earliest(time, this.#idle.wake())
    }
    for (const keyId of this.#targets()) {
      const attempt = this.#attempts.get(keyId)
      const session = this.#core.sessions.ofKey(keyId)
      if (attempt === undefined || session?.kind === "direct" || this.#leaves.nodeOf(keyId) === undefined) continue
      time = earliest(time, attempt.next, session === undefined ? attempt.routedAt : undefined)
    }
    return time
  }

  reset(): void {
    this.#attempts.clear()
    this.#wanted = []
    this.#ideal = []
    this.#ring = []
    this.#callers = new Set()
    this.#planAgainAt = undefined
  }

  /** The ring and the streams, and members whose plans this peer is part of. */
  readonly #needed = (keyId: PeerKeyId): boolean =>
    this.#wanted.includes(keyId) || this.#calls.has(keyId) || this.#kept.has(keyId) || this.#callers.has(keyId)

  #targets(): PeerKeyId[] {
    const extra = [...this.#calls].filter((keyId) => !this.#wanted.includes(keyId))
    return [...this.#wanted, ...extra]
  }

  #plan(): void {
    this.#plans++
    const { members, me, now } = this.#core
    const canLink = (keyId: PeerKeyId) =>
      members.size <= this.#rules.fullMesh || (this.#attempts.get(keyId)?.unreachableUntil ?? 0) <= now
    const own = this.#ring.indexOf(me)
    this.#ideal = neighboursOnRing(this.#ring, own, undefined, this.#rules)
    this.#wanted = neighboursOnRing(this.#ring, own, canLink, this.#rules)
  }

  #backOff(tries: number): Milliseconds {
    const full = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.max(0, tries - 1))
    return full + this.#core.randomBelow(full / 4)
  }

  /** Who introduces: the server while it is there, in turn with members linked to both ends; else a routed session with the member. */
  #callBy(keyId: PeerKeyId, node: NodeId, tries: number): Via {
    const core = this.#core
    if (core.serverConnected && tries % 2 === 0) return "server"
    const common = this.#routes.common(node)
    const routed = core.sessions.ofKey(keyId)
    // Without a common neighbour the offer travels on the session between the two ends.
    if (common.length === 0 && routed !== undefined) return routed.id
    return this.#oneOf(common) ?? this.#way(node, tries)
  }

  /** What carries a routed session: the server while it is there, in turn with a member on a shortest way. */
  #way(node: NodeId, tries: number): Via {
    if (this.#core.serverConnected && tries % 2 === 0) return "server"
    return this.#oneOf(this.#routes.nearest(node)) ?? this.#oneOf(this.#routes.others(node)) ?? "server"
  }

  #oneOf(sessions: readonly RoomSession[]): Via | undefined {
    return sessions[sessions.length === 0 ? 0 : this.#core.randomBelow(sessions.length)]?.id
  }
}
