/** Losing the group and coming back: after a removal that was a mistake, a hopeless gap, or for a better group (RM-11, RM-15). */
import { equalBytes } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import { encodeRoomMessage } from "../wire/room-message.ts"
import type { Bytes, Milliseconds, NodeId, PeerKeyId } from "../wire/types.ts"
import { reasonsByKey } from "./commit-reasons.ts"
import type { ProvenHead } from "./heads.ts"
import type { Life } from "./life.ts"

/** A live member that was removed as gone comes back at most this often. */
const REJOIN_MS = 10_000

export class Comeback {
  readonly #life: Life
  #last = Number.NEGATIVE_INFINITY
  #planned: { at: Milliseconds; nodes: readonly NodeId[] } | undefined
  #moving = false

  constructor(life: Life) {
    this.#life = life
  }

  /** On the way to another group. */
  get moving(): boolean {
    return this.#moving
  }

  /** A commit removed this peer; `authenticatedData` says why. */
  removed(authenticatedData: Bytes): void {
    const life = this.#life
    const why = reasonsByKey(authenticatedData).get(life.core.me)
    if (why?.reason === "removed") life.end(new AvError("Removed", { by: "host" }))
    else if (why?.reason === "replaced") life.end(new AvError("Removed", { by: "another session of this identity" }))
    else if (!life.leaving) this.soon()
  }

  /** The group is of no use any more: joins again, not more than once in 10 s. */
  soon(): void {
    const { core, leaves } = this.#life
    const nodes = [...core.members.keys()].flatMap((keyId) => leaves.nodeOf(keyId) ?? [])
    this.#life.forget()
    this.#planned = { at: Math.max(core.now, this.#last + REJOIN_MS), nodes }
    this.tick()
  }

  /** The other group wins (RM-11): the own one is told, then left. */
  move(head: ProvenHead): void {
    const life = this.#life
    const { core } = life
    if (this.#moving || life.leaving) return
    this.#moving = true
    core.count("group-moved")
    const avoid = new Set<PeerKeyId>()
    for (const { id, peer } of core.sessions.all()) {
      const shown = life.catchUp.shown(id)
      if (shown !== undefined && core.view !== undefined && equalBytes(shown.tip, core.view.tip)) avoid.add(peer.keyId)
    }
    const leave = () => {
      life.forget()
      this.#again([head.committerNode, ...head.peers], avoid)
    }
    if (!life.ready || core.members.size === 1) {
      leave()
      return
    }
    const { instance, root } = head.room
    const { epoch, size, committer, committerNode, admission, peers } = head
    const told = { instance, root, epoch, size, committer, committerNode, admission, peers: [...peers] }
    life.carrier.say(encodeRoomMessage({ t: "room.move", ...told }), { done: leave, failed: leave })
  }

  tick(): void {
    const planned = this.#planned
    if (planned === undefined || this.#life.core.now < planned.at) return
    this.#again(planned.nodes, new Set())
  }

  wake(): Milliseconds | undefined {
    return this.#planned?.at
  }

  #again(nodes: readonly NodeId[], avoid: ReadonlySet<PeerKeyId>): void {
    this.#planned = undefined
    this.#moving = false
    this.#last = this.#life.core.now
    this.#life.newcomer.begin(true, nodes, avoid)
  }
}
