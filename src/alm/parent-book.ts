/** The parents of one stream on record: taking one on, letting one go, and what either leaves behind in pauses, spare and counts. */
import type { Milliseconds, PeerKeyId, ReceiverLayerPolicy } from "../wire/types.ts"
import { CandidateBackoff, type FailureKind } from "./candidate-backoff.ts"
import { CandidateList } from "./candidate-list.ts"
import { SUBSCRIBE_TIMEOUT_MS } from "./constants.ts"
import { DeliveryWatch } from "./delivery-watch.ts"
import { MultiParentSubscription } from "./heal.ts"
import type { DoomReason, LeaveReason, ParentAction, ParentManagerOptions } from "./parent-actions.ts"
import { keyOf, ParentChoice } from "./parent-choice.ts"
import { ParentSet } from "./parent-set.ts"
import { newSlot, type ParentSlot } from "./parent-slot.ts"
import type { ParentCandidate } from "./types.ts"

/** To who has no link yet, one must be made first. */
const NEW_LINK_TIMEOUT_MS = 8_000

/** What happened to the parents of one stream, or of all that are taken. */
export interface ParentCounts {
  /** Requests that went out. */
  asked: number
  refused: number
  timeouts: number
  /** Parents that fell silent or whose link broke, and were replaced. */
  healed: number
  /** Parents that were left for better ones. */
  switched: number
  /** Parents that were replaced because they delivered less than others. */
  demoted: number
  /** Times without any parent that was heard. */
  dry: number
}

export class ParentBook {
  readonly counts: ParentCounts = { asked: 0, refused: 0, timeouts: 0, healed: 0, switched: 0, demoted: 0, dry: 0 }
  readonly list: CandidateList
  readonly heal: MultiParentSubscription
  readonly backoff: CandidateBackoff
  readonly watch = new DeliveryWatch()
  readonly choice: ParentChoice
  readonly set: ParentSet
  policy: ReceiverLayerPolicy
  /** Parents to have at a time. */
  wanted: number
  #spares: readonly PeerKeyId[] = []

  constructor(options: ParentManagerOptions, now: Milliseconds) {
    const { me, publisher, policy, streamMaxLayer, bitrateMbps, path = new Uint8Array(), wanted = 2 } = options
    this.policy = policy
    this.wanted = wanted
    this.list = new CandidateList({ me, publisher, path, policy, streamMaxLayer, bitrateMbps })
    this.heal = new MultiParentSubscription(options.streamId, path, { primaryParent: undefined, backupParents: [] }, now)
    this.backoff = new CandidateBackoff(options.random)
    this.choice = new ParentChoice(this.list, this.backoff, publisher)
    this.set = new ParentSet(this.heal, publisher)
  }

  get spares(): readonly PeerKeyId[] {
    return this.#spares
  }

  /** Round trip to a parent or candidate, as known here. */
  rtt(keyId: PeerKeyId): Milliseconds {
    return this.list.offerOf(keyId).rttMs
  }

  /** @param replaces a live parent that goes when this one delivers */
  ask(candidate: ParentCandidate, replaces: PeerKeyId | undefined, now: Milliseconds, out: ParentAction[]): void {
    const parent = keyOf(candidate)
    const linking = candidate.linked === false
    const wait = linking ? NEW_LINK_TIMEOUT_MS : SUBSCRIBE_TIMEOUT_MS
    this.counts.asked++
    this.set.slots.set(parent, newSlot(parent, linking, now + wait, replaces))
    this.#spares = this.#spares.filter((keyId) => keyId !== parent)
    out.push({ kind: "subscribe", parent, policy: this.policy, range: undefined, via: this.choice.via(parent, now) })
  }

  /** It stays until another one delivers. */
  doom(slot: ParentSlot, reason: DoomReason, now: Milliseconds): void {
    slot.doomed = reason
    slot.doomedAt = now
  }

  /** A doomed parent goes, for the reason that doomed it. */
  retire(slot: ParentSlot, now: Milliseconds, out: ParentAction[]): void {
    const reason = slot.doomed
    if (reason === "silent") this.counts.healed++
    if (reason === "improved") {
      this.counts.switched++
      this.choice.switched(now)
    }
    if (reason === "improved" || reason === "ineligible") this.choice.left(slot.keyId, now)
    const failure = reason === "silent" || reason === "demoted" || reason === "leaving" ? reason : undefined
    this.drop(slot, reason === "silent" || reason === "leaving" ? reason : "replaced", failure, now, out)
  }

  drop(slot: ParentSlot, why: LeaveReason, failure: FailureKind | undefined, now: Milliseconds, out: ParentAction[]): void {
    this.remove(slot, failure, now)
    out.push({ kind: "unsubscribe", parent: slot.keyId, why })
  }

  /** Without a word to it: it refused, or its link is gone. */
  remove(slot: ParentSlot, failure: FailureKind | undefined, now: Milliseconds): void {
    this.set.slots.delete(slot.keyId)
    this.heal.removeParent(slot.keyId, now)
    this.watch.forget(slot.keyId)
    if (failure !== undefined) this.backoff.failed(slot.keyId, failure, now)
    // The better one did not come: the one that it was to replace stays.
    const stays = slot.replaces === undefined ? undefined : this.set.slots.get(slot.replaces)
    if (slot.provenAt === undefined && stays?.doomed === "improved") stays.doomed = undefined
  }

  keepSpares(spares: readonly PeerKeyId[], out: ParentAction[]): void {
    for (const parent of this.#spares) if (!spares.includes(parent)) out.push({ kind: "release", parent })
    for (const parent of spares) if (!this.#spares.includes(parent)) out.push({ kind: "prepare", parent })
    this.#spares = spares
  }
}
