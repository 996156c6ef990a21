/** Who asks to come in, as a host sees it. The committer tells again of those who still wait; the others are forgotten. */
import type { Milliseconds, PeerKeyId } from "../../wire/types.ts"
import type { WaitingPerson } from "./types.ts"

/** Told again every 20 s; two may be lost. */
const FORGET_MS = 65_000
/** As many as a committer lets wait (RM-36). */
const MAX_WAITING = 64

export class WaitingList {
  readonly #people = new Map<PeerKeyId, WaitingPerson & { heard: Milliseconds }>()

  get list(): readonly WaitingPerson[] {
    return [...this.#people.values()].map(({ id, name, since }) => ({ id, name, since }))
  }

  /** True when somebody is new on the list. */
  asking(id: PeerKeyId, name: string, now: Milliseconds): boolean {
    const known = this.#people.get(id)
    if (known === undefined && this.#people.size >= MAX_WAITING) return false
    this.#people.set(id, { id, name, since: known?.since ?? now, heard: now })
    return known === undefined || known.name !== name
  }

  /** True when it was on the list. */
  drop(id: PeerKeyId): boolean {
    return this.#people.delete(id)
  }

  /** True when somebody was forgotten. */
  expire(now: Milliseconds): boolean {
    const before = this.#people.size
    for (const [id, { heard }] of this.#people) if (now - heard >= FORGET_MS) this.#people.delete(id)
    return this.#people.size < before
  }

  clear(): boolean {
    const some = this.#people.size > 0
    this.#people.clear()
    return some
  }
}
