/** The acting committer: gathers joins, leaves and losses, makes one commit for them, sends the Welcomes (RM-8, RM-12, RM-30). */

import { hmacSha256Sync } from "../crypto/hash.ts"
import type { JoinerWelcome } from "../group/types.ts"
import { concatBytes, utf8Encode } from "../wire/bytes.ts"
import { type CommitReason, encodeCommitReasons } from "../wire/commit-reasons.ts"
import type { ControlMessageOf } from "../wire/control-json.ts"
import type { AvError } from "../wire/errors.ts"
import type { RoomOrder } from "../wire/room-order.ts"
import type { Bytes, Milliseconds, PeerKeyId } from "../wire/types.ts"
import { type Batch, BatchQueue } from "./batches.ts"
import { ReasonRoom } from "./commit-reasons.ts"
import type { RoomCore } from "./core.ts"
import type { JoinRequest } from "./door.ts"
import type { GroupTrack } from "./group-track.ts"
import type { OwnCommit } from "./ops.ts"

const WELCOME_LABEL = utf8Encode("AVMESH-WELPROOF1")
/** Leaf records that travel with a Welcome; the others are asked for. */
const MAX_WELCOME_RECORDS = 64
/** A request that spoiled a batch may come again in a fresh form, not at once. */
const RETRY_MS = 1_000
const PENDING_MS = 100

interface RemoveRequest {
  keyId: PeerKeyId
  reason: "left" | "gone" | "removed"
  order?: RoomOrder
  urgent: boolean
}

type Queue = BatchQueue<JoinRequest, RemoveRequest>

interface SequencerHooks {
  iCommit(): boolean
}

export class Sequencer {
  readonly queue: Queue = new BatchQueue()
  readonly #core: RoomCore
  readonly #track: GroupTrack
  readonly #hooks: SequencerHooks
  /** Requests to be committed one by one, because a batch with them failed. */
  #alone: JoinRequest[] = []
  #notBefore: Milliseconds = 0

  constructor(core: RoomCore, track: GroupTrack, hooks: SequencerHooks) {
    this.#core = core
    this.#track = track
    this.#hooks = hooks
  }

  /** Starts the commit that is due, when this peer is the one to make it. */
  tick(): void {
    const core = this.#core
    if (core.view === undefined || core.now < this.#notBefore || this.queue.open || this.#track.busy || !this.#hooks.iCommit())
      return
    const next = this.#alone.shift()
    if (next !== undefined) this.queue.add(next, core.now)
    const batch = this.queue.start(core.now)
    if (batch === undefined) return
    const chosen = this.#choose(batch)
    if (chosen.adds.length === 0 && chosen.removes.length === 0) {
      this.queue.done()
      return
    }
    this.#track.exclusive((release) => {
      const end = () => {
        this.queue.done()
        release()
      }
      let asked = false
      try {
        this.#commit(chosen, end)
        asked = true
      } finally {
        // Whatever throws: the attempt is over, and the committer free for the next one.
        if (!asked) end()
      }
    })
  }

  wake(): Milliseconds | undefined {
    if (!this.#hooks.iCommit() || this.#track.busy) return undefined
    const due = this.#alone.length > 0 && !this.queue.open ? this.#core.now : this.queue.dueAt()
    return due === undefined ? undefined : Math.max(due, this.#notBefore)
  }

  /** The member list changed: drops what is done already. */
  membersChanged(added: readonly PeerKeyId[], removed: readonly PeerKeyId[]): void {
    for (const keyId of removed) this.queue.dropRemove(keyId)
    for (const keyId of added) {
      this.queue.dropAdd(keyId)
      this.queue.dropRemove(keyId)
    }
  }

  reset(): void {
    this.queue.clear()
    this.#alone = []
  }

  /**
   * Removes of present members, the urgent ones first; a member that comes in again is replaced by its Add anyway. What finds no place in
   * the reasons of this commit is left to the next one.
   */
  #choose({ adds, removes }: Batch<JoinRequest, RemoveRequest>): Batch<JoinRequest, RemoveRequest> {
    const core = this.#core
    const { members, me } = core
    const room = new ReasonRoom()
    const adding = new Set(adds.map(({ keyId }) => keyId))
    const usable = removes.filter(({ keyId }) => members.has(keyId) && keyId !== me && !adding.has(keyId))
    usable.sort((a, b) => Number(b.urgent) - Number(a.urgent))
    const chosen: Batch<JoinRequest, RemoveRequest> = { adds: [], removes: [] }
    for (const remove of usable) {
      const verdict = room.take(reasonOf(remove))
      if (verdict === "taken") chosen.removes.push(remove)
      else if (verdict === "later") this.queue.remove(remove, core.now)
      else core.count("reason-too-long")
    }
    for (const add of adds) {
      const free = !members.has(add.keyId) || room.take({ keyId: add.keyId, reason: "replaced" }) === "taken"
      if (free) chosen.adds.push(add)
      else this.queue.add(add, core.now)
    }
    return chosen
  }

  #commit({ adds, removes }: Batch<JoinRequest, RemoveRequest>, end: () => void): void {
    const core = this.#core
    const { members } = core
    const replaced = adds.map(({ keyId }) => keyId).filter((keyId) => members.has(keyId))
    const why = [...replaced.map((keyId): CommitReason => ({ keyId, reason: "replaced" })), ...removes.map(reasonOf)]
    const leaving = why.map(({ keyId }) => keyId)
    const leaves = leaving.map((keyId) => members.get(keyId)?.leafIndex ?? -1)
    core.run(
      "commit",
      {
        adds: adds.map(({ record, binding, keys }) => (keys === undefined ? { record, binding } : { record, binding, keys })),
        removes: leaving,
        authenticatedData: encodeCommitReasons(why),
      },
      (made) => {
        try {
          this.#track.ownCommit(made, leaves)
          this.#welcome(made, adds)
        } finally {
          end()
        }
      },
      (error) => {
        try {
          this.#failed(error, adds, removes)
        } finally {
          end()
        }
      },
    )
  }

  /** One bad request must not keep the others out: the named one is dropped, else each is tried alone. */
  #failed(error: AvError, adds: readonly JoinRequest[], removes: readonly RemoveRequest[]): void {
    const core = this.#core
    core.count(error.code)
    const culprit = error.details.key_id
    if (error.code === "CommitPending") {
      // An offer of this peer is still being withdrawn: nothing is wrong with the batch.
      for (const add of adds) this.queue.add(add, core.now)
      for (const remove of removes) this.queue.remove(remove, core.now)
      this.#notBefore = core.now + PENDING_MS
      return
    }
    for (const remove of removes) this.queue.remove(remove, core.now)
    if (adds.length === 1) return
    const others = adds.filter(({ keyId }) => keyId !== culprit)
    if (others.length < adds.length) for (const add of others) this.queue.add(add, core.now)
    else if (adds.length > 0) this.#alone.push(...adds)
    else this.#notBefore = core.now + RETRY_MS
  }

  /** Sends each newcomer its Welcome on the session it asked on, with the bindings of the leaves it will meet. */
  #welcome(made: OwnCommit, adds: readonly JoinRequest[]): void {
    if (made.welcomes.length === 0) return
    const core = this.#core
    const keyIds = made.change.view.members.slice(0, MAX_WELCOME_RECORDS).map(({ keyId }) => keyId)
    if (!keyIds.includes(core.me)) keyIds[0] = core.me
    const send = (records: Bytes[]) => {
      for (const welcome of made.welcomes) this.#sendWelcome(welcome, adds, records)
    }
    core.run(
      "evidence",
      { keyIds },
      (leaves) => send(leaves.map(({ binding }) => binding)),
      (error) => {
        core.count(error.code)
        send([])
      },
    )
  }

  #sendWelcome({ keyId, envelope, envelopeHash }: JoinerWelcome, adds: readonly JoinRequest[], records: Bytes[]): void {
    const core = this.#core
    const asked = adds.find((add) => add.keyId === keyId)
    const session = (asked === undefined ? undefined : core.sessions.get(asked.session)) ?? core.sessions.ofKey(keyId)
    if (session === undefined || core.room === undefined) {
      core.count("welcome-undelivered")
      return
    }
    const proof = hmacSha256Sync(session.provenKey ?? core.inviteKey, concatBytes(WELCOME_LABEL, envelopeHash))
    const message: ControlMessageOf<"av.welcome"> = { t: "av.welcome", roomId: core.room.roomId, envelope, records, proof }
    core.act({ type: "send", session: session.id, message })
    session.returning = false
  }
}

function reasonOf({ keyId, reason, order }: RemoveRequest): CommitReason {
  return order === undefined ? { keyId, reason } : { keyId, reason, order }
}
