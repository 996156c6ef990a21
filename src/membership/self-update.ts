/** Refreshes this member's part of the tree: offers an empty commit to the acting committer, and takes offers as committer (RM-12). */
import { sha256Sync } from "../crypto/hash.ts"
import { equalBytes } from "../wire/bytes.ts"
import type { ControlMessageOf } from "../wire/control-json.ts"
import type { Bytes, Milliseconds, PeerKeyId } from "../wire/types.ts"
import { mlsMessage } from "./carrier.ts"
import { earliest, type RoomCore } from "./core.ts"
import type { GroupTrack } from "./group-track.ts"
import type { RoomSession } from "./sessions.ts"

/** A newcomer's first update comes at a random time in this span after it joined: it makes later removals cheap. */
const FIRST_FROM_MS = 5_000
const FIRST_SPAN_MS = 55_000
const PERIOD_MS = 3_600_000
/** Without an answer the offer is withdrawn, so that it blocks nothing. */
const ANSWER_MS = 3_000
const RETRY_MS = 30_000
/** Offers that one session may make in a minute. */
const OFFER_GAP_MS = 1_000

interface SelfUpdateHooks {
  iCommit(): boolean
  ready(): boolean
  committer(): PeerKeyId | undefined
}

export class SelfUpdate {
  readonly #core: RoomCore
  readonly #track: GroupTrack
  readonly #hooks: SelfUpdateHooks
  #next: Milliseconds | undefined
  #offer: { token: number; hash: Bytes; until: Milliseconds } | undefined
  #staging = false
  #takenAt = Number.NEGATIVE_INFINITY

  constructor(core: RoomCore, track: GroupTrack, hooks: SelfUpdateHooks) {
    this.#core = core
    this.#track = track
    this.#hooks = hooks
  }

  /** This peer has just joined. */
  joined(): void {
    this.#next = this.#core.now + FIRST_FROM_MS + this.#core.randomBelow(FIRST_SPAN_MS)
  }

  tick(): void {
    const { now } = this.#core
    // A committer must not wait for itself.
    if (this.#offer !== undefined && (now >= this.#offer.until || this.#hooks.iCommit())) {
      this.#withdraw()
      this.#next = now + RETRY_MS
    }
    if (this.#next === undefined || now < this.#next || this.#offer !== undefined || this.#staging || !this.#hooks.ready()) return
    this.#next = now + PERIOD_MS
    // The committer refreshes its own part with every commit it makes.
    if (!this.#hooks.iCommit()) this.#make()
  }

  wake(): Milliseconds | undefined {
    return earliest(this.#offer?.until, this.#staging || !this.#hooks.ready() ? undefined : this.#next)
  }

  /** The epoch moved: with our commit or without, the offer is settled; the group has dropped what was staged. */
  epochChanged(commitHash: Bytes): void {
    if (this.#offer === undefined) return
    if (!equalBytes(this.#offer.hash, commitHash)) this.#next = this.#core.now + RETRY_MS
    this.#offer = undefined
  }

  /** The committer's answer: another commit won. When ours did, it comes with the flood like any other. */
  result(message: ControlMessageOf<"av.commit-result">): void {
    if (this.#offer === undefined || equalBytes(message.accepted, this.#offer.hash)) return
    this.#core.count("CommitConflict")
    this.#withdraw()
    this.#next = this.#core.now + RETRY_MS
  }

  /** An offer of a member to this peer as committer. */
  take(session: RoomSession, message: ControlMessageOf<"av.commit-offer">): void {
    const core = this.#core
    const { room, now } = core
    if (room === undefined || !equalBytes(message.roomId, room.roomId) || now - this.#takenAt < OFFER_GAP_MS) return
    const head = core.headOf(message.bytes)
    if (head === undefined) return
    if (head.content !== "commit" || !this.#hooks.iCommit()) return
    this.#takenAt = now
    const item = {
      message: mlsMessage(room.roomId, "commit", message.bytes),
      head,
      hash: sha256Sync(message.bytes),
      from: session.id,
      at: now,
      forwarded: true,
    }
    this.#track.offered(item, session.peer.keyId, (accepted) => {
      const answer = { t: "av.commit-result", roomId: room.roomId, epoch: head.epoch, accepted } as const
      core.act({ type: "send", session: session.id, message: answer })
    })
  }

  reset(): void {
    this.#next = undefined
    this.#offer = undefined
    this.#staging = false
  }

  #make(): void {
    const core = this.#core
    this.#staging = true
    this.#track.exclusive((release) => {
      core.run(
        "stageUpdate",
        {},
        ({ token, bytes, hash }) => {
          this.#staging = false
          const committer = this.#hooks.committer()
          const session = committer === undefined ? undefined : core.sessions.ofKey(committer)
          this.#offer = { token, hash, until: core.now + ANSWER_MS }
          if (session === undefined || core.room === undefined) this.#withdraw()
          else core.act({ type: "send", session: session.id, message: { t: "av.commit-offer", roomId: core.room.roomId, bytes } })
          release()
        },
        (error) => {
          this.#staging = false
          core.count(error.code)
          release()
        },
      )
    })
  }

  #withdraw(): void {
    const offer = this.#offer
    this.#offer = undefined
    if (offer !== undefined) this.#core.run("abort", { token: offer.token }, () => {})
  }
}
