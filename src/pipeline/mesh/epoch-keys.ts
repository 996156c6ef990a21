/** The room's content keys by epoch: what is sealed with, what can still be opened, and when that changes (D-16, D-38). */
import { ContentKeys } from "../../seal/inner/index.ts"
import type { Bytes, U64 } from "../../wire/types.ts"
import type { MeshKeysMessage } from "./types.ts"

/** A publisher waits no longer than this for the others to show the new epoch, in ms (D-38). */
export const SEAL_SWITCH_MS = 250
/** How far ahead of ours an epoch may be and still be waited for; beyond, it is noise (RM-17 lets 16 commits wait). */
export const EPOCH_AHEAD = 16n

export class EpochKeys {
  /** Keys that open: the newest epoch, and the one before for 10 s. */
  readonly opening = new ContentKeys()
  /** Keys that seal: one epoch only, which may be the one before the newest for a moment. */
  readonly sealing = new ContentKeys()
  /** Number of members in the newest epoch. */
  members = 1
  /** Last epoch named by {@link setSealEpoch}: the word may come before the key, they travel on different ports. */
  #allowed: U64 | undefined
  #next: { epoch: U64; rootSecret: Bytes; at: number } | undefined

  /** Takes a new epoch; the secret is copied and the message's bytes are overwritten. */
  install(message: Extract<MeshKeysMessage, { type: "epoch" }>, now: number): void {
    const { epoch, rootSecret, members, sealNow } = message
    const before = this.opening.epoch
    this.members = members
    this.opening.install(epoch, rootSecret, now)
    // Only the epoch right before may go on being sealed with: the others can not open anything older.
    const follows = before !== undefined && epoch > before && this.sealing.epoch === before
    const waiting = this.#next?.at === Number.POSITIVE_INFINITY
    this.#forgetNext()
    // A joiner seals nothing before it has verified every leaf (D-43 d): the room machine says when, not the clock.
    const joined = this.sealing.epoch === undefined
    if (this.#allowed === epoch || (!waiting && (sealNow || !(follows || joined)))) this.#sealWith(epoch, rootSecret, now)
    else this.#next = { epoch, rootSecret: rootSecret.slice(), at: joined ? Number.POSITIVE_INFINITY : now + SEAL_SWITCH_MS }
    rootSecret.fill(0)
  }

  /** Everybody linked has shown `epoch`: seal with it. It may come before the key of that epoch does. */
  setSealEpoch(epoch: U64, now: number): void {
    this.#allowed = epoch
    if (this.#next?.epoch === epoch) this.#sealWith(epoch, this.#next.rootSecret, now)
  }

  /** `true` for an epoch whose commit may still be in flight. Before the first key every epoch may be the first. */
  isExpected(epoch: U64): boolean {
    const current = this.opening.epoch
    return current === undefined || (epoch > current && epoch <= current + EPOCH_AHEAD)
  }

  /** Lets the previous epoch and the sealing delay run out. */
  tick(now: number): void {
    if (this.#next !== undefined && now >= this.#next.at) this.#sealWith(this.#next.epoch, this.#next.rootSecret, now)
    this.opening.expire(now)
  }

  erase(): void {
    this.opening.clear()
    this.sealing.clear()
    this.#allowed = undefined
    this.#forgetNext()
  }

  #sealWith(epoch: U64, rootSecret: Bytes, now: number): void {
    this.sealing.clear()
    this.sealing.install(epoch, rootSecret, now)
    this.#forgetNext()
  }

  #forgetNext(): void {
    this.#next?.rootSecret.fill(0)
    this.#next = undefined
  }
}
