/** Keeps links to the members this peer should be linked to, and finds ways when there is no server (RM-20, RM-21, RM-38). */
import { compareUtf8 } from "../wire/bytes.ts"
import type { Milliseconds, NodeId, PeerKeyId } from "../wire/types.ts"
import { earliest, type RoomCore } from "./core.ts"
import type { Leaves } from "./leaves.ts"
import { FULL_MESH, neighbours } from "./neighbours.ts"
import type { RoomSession } from "./sessions.ts"
import type { StateBook } from "./state-book.ts"
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
  readonly #states: StateBook
  readonly #attempts = new Map<PeerKeyId, Attempt>()
  /** Those it is to be linked to, unreachable ones replaced. */
  #wanted: PeerKeyId[] = []
  #ideal: PeerKeyId[] = []

  constructor(core: RoomCore, leaves: Leaves, states: StateBook) {
    this.#core = core
    this.#leaves = leaves
    this.#states = states
  }

  /** The members this peer would be linked to if every link could be made. */
  get ideal(): readonly PeerKeyId[] {
    return this.#ideal
  }

  /** The member list changed. `mine`: this peer has just come in and calls at once. */
  membersChanged(mine: boolean): void {
    const { members, options, now } = this.#core
    for (const keyId of this.#attempts.keys()) if (!members.has(keyId)) this.#attempts.delete(keyId)
    for (const keyId of members.keys()) {
      if (keyId === this.#core.me || this.#attempts.has(keyId)) continue
      const node = this.#leaves.nodeOf(keyId)
      const lower = node === undefined || compareUtf8(options.self.nodeId, node) < 0
      const wait = mine ? 0 : lower ? WAIT_LOWER_MS : WAIT_HIGHER_MS
      this.#attempts.set(keyId, { next: now + wait, tries: 0, routedAt: now + wait + ROUTED_AFTER_MS, unreachableUntil: 0 })
    }
    this.#plan()
  }

  /** An attempt failed: the next one comes later. */
  failed(node: NodeId): void {
    const keyId = this.#leaves.keyOf(node)
    const attempt = keyId === undefined ? undefined : this.#attempts.get(keyId)
    if (attempt === undefined) return
    const { now } = this.#core
    attempt.next = Math.max(attempt.next, now + this.#backOff(attempt.tries))
    if (attempt.tries < UNREACHABLE_TRIES || this.#core.members.size <= FULL_MESH) return
    attempt.unreachableUntil = now + UNREACHABLE_MS
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
    for (const keyId of this.#wanted) {
      const attempt = this.#attempts.get(keyId)
      const session = core.sessions.ofKey(keyId)
      const node = this.#leaves.nodeOf(keyId)
      if (attempt === undefined || node === undefined || session?.kind === "direct") continue
      if (core.now >= attempt.next) {
        core.act({ type: "connect", node, via: this.#way(node, attempt.tries) })
        attempt.tries++
        attempt.next = core.now + this.#backOff(attempt.tries)
      }
      if (session === undefined && core.now >= attempt.routedAt) {
        core.act({ type: "openRouted", node, via: this.#way(node, attempt.tries) })
        attempt.routedAt = core.now + this.#backOff(attempt.tries)
      }
    }
  }

  wake(): Milliseconds | undefined {
    let time: Milliseconds | undefined
    for (const keyId of this.#wanted) {
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
  }

  #plan(): void {
    const { room, members, me, now } = this.#core
    if (room === undefined) return
    const canLink = (keyId: PeerKeyId) => members.size <= FULL_MESH || (this.#attempts.get(keyId)?.unreachableUntil ?? 0) <= now
    this.#ideal = neighbours(room.roomId, [...members.keys()], me)
    this.#wanted = neighbours(room.roomId, [...members.keys()], me, canLink)
  }

  #backOff(tries: number): Milliseconds {
    const full = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.max(0, tries - 1))
    return full + this.#core.randomBelow(full / 4)
  }

  /** The server while it is there, in turn with a member that is linked to both ends. */
  #way(node: NodeId, tries: number): Via {
    const core = this.#core
    if (core.serverConnected && tries % 2 === 0) return "server"
    const friends: RoomSession[] = []
    const others: RoomSession[] = []
    for (const session of core.sessions.all()) {
      const { keyId, nodeId } = session.peer
      if (session.kind !== "direct" || !core.members.has(keyId) || session.returning || nodeId === node) continue
      const knows = this.#states.get(keyId)?.state.links.some(([other]) => other === node) ?? false
      ;(knows ? friends : others).push(session)
    }
    const choices = friends.length > 0 ? friends : others
    return choices[choices.length === 0 ? 0 : core.randomBelow(choices.length)]?.id ?? "server"
  }
}
