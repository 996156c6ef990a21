/** The present epoch of a group and the few that were left lately: for late messages (RM-17) and for going back (RM-13). */
import { AvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds, U64 } from "../wire/types.ts"
import { eraseEpoch, type GroupState } from "./state.ts"
import { type CommitPreview, EPOCH_KEEP_COUNT, EPOCH_KEEP_MS } from "./types.ts"

interface Kept {
  state: GroupState
  leftAt: Milliseconds
}

/** Own commits cannot be decrypted by their author: their previews are remembered instead. */
const MAX_OWN_COMMITS = 16

export class Epochs {
  readonly roomId: Bytes
  #current: GroupState
  /** Oldest first. */
  #kept: Kept[] = []
  readonly #own = new Map<string, CommitPreview>()

  constructor(roomId: Bytes, first: GroupState) {
    this.roomId = roomId
    this.#current = first
  }

  get current(): GroupState {
    return this.#current
  }

  get epoch(): U64 {
    return this.#current.context.epoch
  }

  /** The state of the present or a kept epoch. @throws AvError `UnknownEpoch { epoch }` */
  at(epoch: U64): GroupState {
    if (epoch === this.epoch) return this.#current
    const kept = this.#kept.find(({ state }) => state.context.epoch === epoch)
    if (kept === undefined) throw new AvError("UnknownEpoch", { epoch })
    return kept.state
  }

  /** Replaces the state of an epoch after message keys were used up in it. */
  replace(state: GroupState): void {
    if (state.context.epoch === this.epoch) this.#current = state
    else this.#kept = this.#kept.map((kept) => (kept.state.context.epoch === state.context.epoch ? { ...kept, state } : kept))
  }

  /** Moves on; the epoch that is left stays for a while. */
  advance(next: GroupState, now: Milliseconds): void {
    this.#kept.push({ state: this.#current, leftAt: now })
    this.#current = next
    while (this.#kept.length > EPOCH_KEEP_COUNT) this.#dropOldest()
  }

  /** Goes back and erases what came after. @throws AvError `UnknownEpoch { epoch }` */
  restore(epoch: U64): void {
    if (epoch === this.epoch) return
    const state = this.at(epoch)
    const later = this.#kept.filter((kept) => kept.state.context.epoch > epoch)
    for (const dropped of [...later.map((kept) => kept.state), this.#current]) eraseEpoch(dropped)
    this.#kept = this.#kept.filter((kept) => kept.state.context.epoch < epoch)
    this.#current = state
  }

  /** Erases epochs that were left {@link EPOCH_KEEP_MS} ago. */
  expire(now: Milliseconds): void {
    while (this.#kept[0] !== undefined && now - this.#kept[0].leftAt >= EPOCH_KEEP_MS) this.#dropOldest()
  }

  eraseAll(): void {
    for (const { state } of this.#kept) eraseEpoch(state)
    eraseEpoch(this.#current)
    this.#kept = []
  }

  rememberOwn(hash: string, preview: CommitPreview): void {
    this.#own.set(hash, preview)
    const oldest = this.#own.keys().next()
    if (this.#own.size > MAX_OWN_COMMITS && !oldest.done) this.#own.delete(oldest.value)
  }

  own(hash: string): CommitPreview | undefined {
    return this.#own.get(hash)
  }

  #dropOldest(): void {
    const dropped = this.#kept.shift()
    if (dropped !== undefined) eraseEpoch(dropped.state)
  }
}
