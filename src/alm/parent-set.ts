/** The parents of one subscription, asked ones included: which of them bring something, and which of them could go. */
import type { Milliseconds, PeerKeyId } from "../wire/types.ts"
import type { MultiParentSubscription } from "./heal.ts"
import { isProven, type ParentSlot } from "./parent-slot.ts"

/** Moments are so far apart, and so many of another parent are missed before a silent one counts as missed: not two keep-alives. */
const MOMENT_MS = 100
const MISSED_MOMENTS = 3
/** A parent of which nothing is heard is asked again this seldom at last. */
const MAX_REMIND_MS = 8_000

export class ParentSet {
  readonly slots = new Map<PeerKeyId, ParentSlot>()
  readonly #heal: MultiParentSubscription
  readonly #publisher: PeerKeyId

  constructor(heal: MultiParentSubscription, publisher: PeerKeyId) {
    this.#heal = heal
    this.#publisher = publisher
  }

  get all(): ParentSlot[] {
    return [...this.slots.values()]
  }

  /** Those that accepted. */
  get live(): ParentSlot[] {
    return this.all.filter(({ state }) => state === "live")
  }

  /** Last sign of life, or when it accepted; undefined for who did not. */
  heardAt({ keyId }: ParentSlot): Milliseconds | undefined {
    return this.#heal.lastHeard(keyId)
  }

  isSilent({ keyId }: ParentSlot, now: Milliseconds): boolean {
    return this.#heal.isSilent(keyId, now)
  }

  /** Those that deliver, with nothing against them. */
  delivering(now: Milliseconds): ParentSlot[] {
    return this.all.filter((slot) => isProven(slot) && !this.isMissed(slot, now))
  }

  /** Not silent long enough to be given up, but another one goes on delivering meanwhile, more often than one that has nothing to send. */
  isMissed(slot: ParentSlot, now: Milliseconds): boolean {
    const heard = this.heardAt(slot) ?? now
    return slot.state === "live" && now - heard >= slot.pauses.missedAfter && slot.othersHeard >= MISSED_MOMENTS
  }

  /** This one is heard now; call it before the heal machine knows. */
  countPause(slot: ParentSlot, now: Milliseconds): void {
    const before = this.heardAt(slot)
    if (before !== undefined && slot.provenAt !== undefined) slot.pauses.add(now - before, now)
  }

  /** This one was heard. True when another parent is missed from this moment on: who waits for the next tick loses time. */
  countMoment(heard: ParentSlot, now: Milliseconds): boolean {
    heard.othersHeard = 0
    heard.missed = false
    let missesOther = false
    for (const slot of this.slots.values()) {
      if (slot === heard || now - slot.othersHeardAt < MOMENT_MS) continue
      slot.othersHeard++
      slot.othersHeardAt = now
      if (slot.missed || !this.isMissed(slot, now)) continue
      slot.missed = true
      missesOther = true
    }
    return missesOther
  }

  /** It says that it has nothing to send. True when it is missed from now on. */
  hasNothing(slot: ParentSlot, now: Milliseconds): boolean {
    slot.othersHeard = MISSED_MOMENTS
    if (slot.missed || !this.isMissed(slot, now)) return false
    slot.missed = true
    return true
  }

  /** The source itself is among them. */
  bySource(slots: readonly ParentSlot[]): boolean {
    return slots.some(({ keyId }) => keyId === this.#publisher)
  }

  /**
   * The doomed parent to give up for another one: the one that has been silent longest, though never the last that may come back; else,
   * unless `silentOnly`, one that delivers, while another delivers too.
   */
  expendable(silentOnly: boolean): ParentSlot | undefined {
    const { live } = this
    const heard = (slot: ParentSlot) => this.heardAt(slot) ?? 0
    const silent = live.filter(({ doomed }) => doomed === "silent").sort((a, b) => heard(a) - heard(b))
    const going = live.filter(({ doomed }) => doomed !== undefined && doomed !== "silent").sort((a, b) => a.doomedAt - b.doomedAt)
    const delivering = live.filter((slot) => slot.provenAt !== undefined && slot.doomed !== "silent")
    if (live.length <= 1) return undefined
    return silent[0] ?? (delivering.length > 1 && !silentOnly ? going[0] : undefined)
  }

  /**
   * Parents of which nothing was heard since they accepted, or for as long as makes them silent: the subscription may be lost on their side,
   * or its key, and asking again costs a message. Each is named more and more seldom until it is heard.
   */
  unheard(now: Milliseconds): ParentSlot[] {
    return this.live.filter((slot) => {
      if (slot.goneBy !== undefined || now - Math.max(this.heardAt(slot) ?? now, slot.remindedAt) < slot.remindAfter) return false
      slot.remindedAt = now
      slot.remindAfter = Math.min(MAX_REMIND_MS, 2 * slot.remindAfter)
      return true
    })
  }
}
