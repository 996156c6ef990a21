/**
 * Keeps one subscribed stream fed: two live parents and a warm spare, replaced before they are missed and never without need.
 *
 * Sans-I/O: tell it what happened, carry out what it returns, tick it every 500 ms. All times are unix ms of a clock that does not run
 * backwards. A parent is only let go when another one delivers, or when it is silent and another one is not.
 */
import type { Milliseconds, PeerKeyId, ReceiverLayerPolicy } from "../wire/types.ts"
import { CandidateBackoff, type FailureKind } from "./candidate-backoff.ts"
import { CandidateList } from "./candidate-list.ts"
import { PARENT_SILENCE_HEAL_MS, SUBSCRIBE_TIMEOUT_MS, SWITCH_DWELL_MS } from "./constants.ts"
import { DeliveryWatch } from "./delivery-watch.ts"
import { MultiParentSubscription } from "./heal.ts"
import type { Delivery, DoomReason, LeaveReason, ParentAction, ParentManagerOptions, ParentReport } from "./parent-actions.ts"
import { keyOf, ParentChoice } from "./parent-choice.ts"
import { ParentMoves } from "./parent-moves.ts"
import { ParentSet } from "./parent-set.ts"
import { ASKED_BESIDE, isHealthy, isProven, MAX_IN_NEED, MAX_PARENTS, newSlot, type ParentSlot } from "./parent-slot.ts"
import { sameRange, stripeRanges } from "./stripe.ts"
import type { ParentCandidate, SymbolRange, TreeView } from "./types.ts"

/** To who has no link yet, one must be made first. */
const NEW_LINK_TIMEOUT_MS = 8_000
/** A parent that served this long starts afresh when it fails. */
const FORGIVE_MS = 30_000
/** A demoted parent that nobody could replace is given another chance after this time. */
const PARDON_MS = 60_000
/** How long one parent carries everything after the other's symbols were missed. */
const SUSPECT_MS = 2_000

/** A parent that was heard is asked again after so much silence. */
const SILENT_REMIND_MS = PARENT_SILENCE_HEAL_MS
/** Without any parent for this long, the driver is told. */
const STARVED_MS = 2_000

const NOTHING: readonly ParentAction[] = Object.freeze([])

export interface ParentCounts {
  asked: number
  refused: number
  timeouts: number
  /** Silent parents that were replaced. */
  healed: number
  /** Healthy parents left for a better one. */
  switched: number
  demoted: number
  /** Times without any parent that was heard. */
  dry: number
}

export class ParentManager {
  readonly counts: ParentCounts = { asked: 0, refused: 0, timeouts: 0, healed: 0, switched: 0, demoted: 0, dry: 0 }
  readonly #options: ParentManagerOptions
  readonly #list: CandidateList
  readonly #heal: MultiParentSubscription
  readonly #backoff: CandidateBackoff
  readonly #watch = new DeliveryWatch()
  readonly #choice: ParentChoice
  readonly #set: ParentSet
  readonly #moves: ParentMoves
  #policy: ReceiverLayerPolicy
  #wanted: number
  #spare: PeerKeyId | undefined
  /** Nobody that is heard: at the start, and when all are silent. */
  #dry = true
  #drySince: Milliseconds
  #symbols = { nSource: 1, kRepair: 0, loss: 0 }
  /** A parent was lost, and what it brought is not replaced yet. */
  #urgent = false
  #closed = false

  constructor(options: ParentManagerOptions, now: Milliseconds) {
    const { me, publisher, policy, streamMaxLayer, bitrateMbps, path = new Uint8Array(), wanted = 2 } = options
    this.#options = options
    this.#policy = policy
    this.#wanted = wanted
    this.#drySince = now
    this.#list = new CandidateList({ me, publisher, path, policy, streamMaxLayer, bitrateMbps })
    this.#heal = new MultiParentSubscription(options.streamId, path, { primaryParent: undefined, backupParents: [] }, now)
    this.#backoff = new CandidateBackoff(options.random)
    this.#choice = new ParentChoice(this.#list, this.#backoff, publisher)
    this.#set = new ParentSet(this.#heal, publisher)
    this.#moves = new ParentMoves(this.#list, this.#choice, publisher)
  }

  get primary(): PeerKeyId | undefined {
    return this.#heal.primaryParent
  }

  get spare(): PeerKeyId | undefined {
    return this.#spare
  }

  /** A parent was lost and is not replaced yet: whatever can be known of further candidates is worth knowing now. */
  get inNeed(): boolean {
    return this.#urgent
  }

  /** Every parent, asked ones included; at most three, while a lost one is replaced five. */
  get parents(): ParentReport[] {
    return this.#set.all.map(({ keyId, state, doomed, range }) => {
      const role = state === "asked" ? "asked" : doomed !== undefined ? "going" : keyId === this.primary ? "primary" : "backup"
      return { keyId, role, doomed, range }
    })
  }

  /** True while some parent was heard within the last 1 000 ms: what D-39 asks before telling children "alive". */
  heardWithin(ms: Milliseconds, now: Milliseconds): boolean {
    return this.#set.live.some(({ keyId }) => now - (this.#heal.lastHeard(keyId) ?? Number.NEGATIVE_INFINITY) <= ms)
  }

  // What this peer knows

  setCandidates(candidates: readonly ParentCandidate[], now: Milliseconds): readonly ParentAction[] {
    this.#list.set(candidates, this.#set.slots.keys())
    return this.#settle(now)
  }

  /** Members with a link: asked when nothing arrives and nobody who promises anything can be had. */
  setNeighbours(keyIds: readonly PeerKeyId[]): void {
    this.#list.setNeighbours(keyIds)
  }

  setTree(tree: TreeView | undefined, now: Milliseconds): readonly ParentAction[] {
    this.#list.setTree(tree)
    return this.#settle(now)
  }

  /** Who takes this stream from this peer: nobody of them can be its parent. */
  setDownstream(children: Iterable<PeerKeyId>, now: Milliseconds): readonly ParentAction[] {
    this.#list.setDownstream(children)
    return this.#settle(now)
  }

  // What the application wants

  setPolicy(policy: ReceiverLayerPolicy, bitrateMbps: number, now: Milliseconds): readonly ParentAction[] {
    this.#policy = policy
    this.#list.setPolicy(policy, bitrateMbps)
    const changes = [...this.#set.slots.keys()].map((parent): ParentAction => ({ kind: "setPolicy", parent, policy }))
    return [...changes, ...this.#settle(now)]
  }

  setWanted(wanted: 1 | 2, now: Milliseconds): readonly ParentAction[] {
    this.#wanted = wanted
    return this.#settle(now)
  }

  /** Usual size of a frame in symbols and the loss of the worse path (0..1); used in striped mode. */
  setSymbols(nSource: number, kRepair: number, loss: number, now: Milliseconds): readonly ParentAction[] {
    this.#symbols = { nSource, kRepair, loss }
    return this.#settle(now)
  }

  // What parents do

  subscribed(parent: PeerKeyId, now: Milliseconds): readonly ParentAction[] {
    const slot = this.#set.slots.get(parent)
    if (slot?.state !== "asked") return NOTHING
    slot.state = "live"
    this.#heal.addParent(parent, now)
    return this.#settle(now)
  }

  /** `av.refused`; also for a parent that had accepted and found no stream. */
  refused(parent: PeerKeyId, error: string, now: Milliseconds): readonly ParentAction[] {
    const slot = this.#set.slots.get(parent)
    if (slot === undefined) return NOTHING
    this.counts.refused++
    const full = parent === this.#list.plannedParent(now) ? "planned" : "capacity"
    this.#remove(slot, error === "CapacityExceeded" ? full : "failed", now)
    return this.#settle(now)
  }

  /** The link to it is gone. */
  lost(parent: PeerKeyId, now: Milliseconds): readonly ParentAction[] {
    const slot = this.#set.slots.get(parent)
    if (slot === undefined) return NOTHING
    if (isHealthy(slot)) this.counts.healed++
    if (slot.provenAt !== undefined) this.#urgent = true
    this.#remove(slot, "failed", now)
    return this.#settle(now)
  }

  /** A chunk or keep-alive of this stream that passed the outer seal. Called for every one: cheap. */
  heard(parent: PeerKeyId, now: Milliseconds): readonly ParentAction[] {
    const slot = this.#set.slots.get(parent)
    if (slot === undefined) return NOTHING
    if (slot.state === "live") this.#heal.heard(parent, now)
    slot.remindAfter = SILENT_REMIND_MS
    const missesOther = this.#set.countMoment(slot, now)
    if (slot.provenAt !== undefined && slot.doomed !== "silent") return missesOther ? this.#settle(now) : NOTHING
    if (slot.state === "asked") {
      // Media may overtake the answer.
      slot.state = "live"
      this.#heal.addParent(parent, now)
    }
    slot.provenAt ??= now
    if (slot.doomed === "silent") slot.doomed = undefined
    this.#choice.fed()
    return this.#settle(now)
  }

  /** `av.leaving`: it will be gone in `inMs`; another one is taken first. */
  leaving(parent: PeerKeyId, inMs: Milliseconds, now: Milliseconds): readonly ParentAction[] {
    const slot = this.#set.slots.get(parent)
    if (slot === undefined) return NOTHING
    slot.goneBy = now + inMs
    this.#doom(slot, "leaving", now)
    return this.#settle(now)
  }

  /** About once a second per parent. */
  measured(parent: PeerKeyId, delivery: Delivery, now: Milliseconds): void {
    if (this.#set.slots.has(parent)) this.#watch.measured(parent, delivery, now)
  }

  /** Its symbols are missing from several frames in a row: until further notice the other parent sends everything. */
  suspect(parent: PeerKeyId, now: Milliseconds): readonly ParentAction[] {
    const slot = this.#set.slots.get(parent)
    if (slot === undefined) return NOTHING
    slot.suspectUntil = now + SUSPECT_MS
    return this.#settle(now)
  }

  // Time

  tick(now: Milliseconds): readonly ParentAction[] {
    if (this.#closed) return NOTHING
    const out: ParentAction[] = []
    for (const slot of this.#set.all) {
      if (slot.state === "asked" && now >= slot.answerBy) {
        this.counts.timeouts++
        this.#drop(slot, "timeout", "failed", now, out)
      } else if (slot.provenAt !== undefined && now - slot.provenAt >= FORGIVE_MS) {
        this.#backoff.forgive(slot.keyId)
      }
      if (slot.doomed === "demoted" && now - slot.doomedAt >= PARDON_MS) slot.doomed = undefined
    }
    let rebuild = false
    for (const action of this.#heal.tick(now)) {
      if (action.kind === "upstreamRebuildRequired") rebuild = true
      else this.#silent(action.dead, now)
    }
    this.#demote(now)
    this.#improve(now, out)
    for (const { keyId } of this.#set.unheard(now)) out.push({ kind: "subscribeAgain", parent: keyId })
    out.push(...this.#settle(now))
    if (rebuild && this.#dry && now - this.#drySince >= STARVED_MS) out.push({ kind: "starved" })
    return out
  }

  /** Nobody watches any more. The manager does nothing after this. */
  close(now: Milliseconds): readonly ParentAction[] {
    if (this.#closed) return NOTHING
    const out: ParentAction[] = []
    for (const slot of this.#set.all) this.#drop(slot, "closed", undefined, now, out)
    this.#keepSpare(undefined, out)
    this.#closed = true
    return out
  }

  // Decisions

  #settle(now: Milliseconds): readonly ParentAction[] {
    if (this.#closed) return NOTHING
    const out: ParentAction[] = []
    this.#checkPlan(now)
    this.#retire(now, out)
    this.#fill(now, out)
    this.#choosePrimary(now)
    this.#watchDryness(now, out)
    this.#assignRanges(now, out)
    const spare = this.#choice.spare(this.#set.slots, this.#spare, now)
    if (spare !== this.#spare) this.#keepSpare(spare, out)
    return out
  }

  /** A parent that the plan no longer allows may close a circle: it is replaced when the plan stays so. */
  #checkPlan(now: Milliseconds): void {
    for (const slot of this.#set.live) {
      if (this.#list.isAllowed(slot.keyId, now)) {
        slot.outsideSince = undefined
        if (slot.doomed === "ineligible") slot.doomed = undefined
        continue
      }
      slot.outsideSince ??= now
      if (slot.doomed === undefined && now - slot.outsideSince >= SWITCH_DWELL_MS) this.#doom(slot, "ineligible", now)
    }
  }

  /** Lets go of doomed parents as soon as others deliver. */
  #retire(now: Milliseconds, out: ParentAction[]): void {
    const proven = this.#set.delivering(now)
    for (const slot of this.#set.live) {
      if (slot.doomed === undefined) continue
      const gone = slot.goneBy !== undefined && now >= slot.goneBy
      if (gone || proven.length >= this.#enoughWithout(slot, proven)) this.#retireOne(slot, now, out)
    }
    const keep = this.#list.plannedParent(now)
    // Who was there first stays: another one must be clearly better for some time (D-26.6).
    const newestFirst = proven
      .filter(({ keyId }) => keyId !== keep)
      .sort((a, b) => (b.provenAt ?? 0) - (a.provenAt ?? 0) || this.#rtt(b.keyId) - this.#rtt(a.keyId))
    for (const slot of newestFirst.slice(0, Math.max(0, proven.length - this.#wanted))) {
      this.#drop(slot, "surplus", undefined, now, out)
    }
  }

  /**
   * So many must deliver before this one is let go. Beside the source itself a parent that the plan does not allow is worth nothing, and
   * keeps those that the plan puts below this peer from feeding it in turn.
   */
  #enoughWithout({ doomed }: ParentSlot, proven: readonly ParentSlot[]): number {
    return doomed === "silent" || (doomed === "ineligible" && this.#set.bySource(proven)) ? 1 : this.#wanted
  }

  #retireOne(slot: ParentSlot, now: Milliseconds, out: ParentAction[]): void {
    const reason = slot.doomed
    if (reason === "silent") this.counts.healed++
    if (reason === "improved") {
      this.counts.switched++
      this.#choice.switched(now)
    }
    if (reason === "improved" || reason === "ineligible") this.#choice.left(slot.keyId, now)
    const failure = reason === "silent" || reason === "demoted" || reason === "leaving" ? reason : undefined
    this.#drop(slot, reason === "silent" || reason === "leaving" ? reason : "replaced", failure, now, out)
  }

  /** Asks further candidates until enough parents are there or on their way; in a hurry two more than are needed. */
  #fill(now: Milliseconds, out: ParentAction[]): void {
    this.#watchNeed(now, out)
    for (;;) {
      const slots = this.#set.all
      const asked = slots.filter(({ state }) => state === "asked").length
      const missing = this.#wanted - slots.filter((slot) => isHealthy(slot) && !this.#set.isMissed(slot, now)).length
      const extra = asked >= missing
      if (missing <= 0 || (extra && !(this.#urgent && asked < missing + ASKED_BESIDE))) return
      const candidate = this.#choice.next(this.#set.slots, now, this.#urgent, extra)
      if (candidate === undefined) return
      const most = this.#urgent ? MAX_IN_NEED : MAX_PARENTS
      if (slots.length >= most && !this.#makePlace(extra, now, out)) return
      this.#ask(candidate, undefined, now, out)
    }
  }

  /** Whether a lost parent is to be replaced quickly. When all is well again, who was asked beside the ones that came is let go. */
  #watchNeed(now: Milliseconds, out: ParentAction[]): void {
    const slots = this.#set.all
    const delivers = ({ provenAt, doomed }: ParentSlot) =>
      provenAt !== undefined && (doomed === undefined || doomed === "ineligible")
    const missed = slots.some((slot) => delivers(slot) && this.#set.isMissed(slot, now))
    const delivering = slots.filter((slot) => delivers(slot) && !this.#set.isMissed(slot, now))
    const enough = delivering.length >= this.#wanted || this.#set.bySource(delivering)
    if (enough && this.#urgent) {
      const planned = this.#list.plannedParent(now)
      for (const slot of slots) {
        if (slot.state !== "asked" || slot.replaces !== undefined || slot.keyId === planned) continue
        this.#drop(slot, "surplus", undefined, now, out)
      }
    }
    if (enough) this.#urgent = false
    else if (missed || slots.some(({ doomed }) => doomed === "leaving")) this.#urgent = true
  }

  /** Gives up a doomed parent for another one. */
  #makePlace(silentOnly: boolean, now: Milliseconds, out: ParentAction[]): boolean {
    const given = this.#set.expendable(silentOnly)
    if (given !== undefined) this.#retireOne(given, now, out)
    return given !== undefined
  }

  #demote(now: Milliseconds): void {
    const keyIds = this.#set.all.filter(isProven).map(({ keyId }) => keyId)
    const poorest = this.#watch.poorest(keyIds, now)
    const slot = poorest === undefined ? undefined : this.#set.slots.get(poorest)
    if (slot === undefined || this.#set.slots.size > this.#wanted || this.#choice.next(this.#set.slots, now) === undefined) return
    this.counts.demoted++
    this.#watch.demoted(now)
    this.#doom(slot, "demoted", now)
  }

  /** D-26.6: moves a healthy set, one parent at a time. */
  #improve(now: Milliseconds, out: ParentAction[]): void {
    const { slots } = this.#set
    if (slots.size !== this.#wanted || this.#set.delivering(now).length < slots.size) return
    const move = this.#moves.next(slots, now)
    if (move === undefined) return
    this.#doom(move.leaves, "improved", now)
    this.#ask(move.candidate, move.leaves.keyId, now, out)
  }

  #choosePrimary(now: Milliseconds): void {
    const primary = this.primary === undefined ? undefined : this.#set.slots.get(this.primary)
    const planned = this.#list.plannedParent(now)
    const plannedSlot = planned === undefined ? undefined : this.#set.slots.get(planned)
    if (plannedSlot !== undefined && isProven(plannedSlot)) {
      if (planned !== this.primary) this.#heal.promoteToPrimary(plannedSlot.keyId)
      return
    }
    if (primary !== undefined && isHealthy(primary)) return
    const [best] = this.#set.all.filter(isProven).sort((a, b) => this.#rtt(a.keyId) - this.#rtt(b.keyId))
    if (best !== undefined) this.#heal.promoteToPrimary(best.keyId)
  }

  #watchDryness(now: Milliseconds, out: ParentAction[]): void {
    const delivering = this.#set.live.filter((slot) => slot.provenAt !== undefined && !this.#heal.isSilent(slot.keyId, now))
    const dry = delivering.length === 0
    if (dry === this.#dry) return
    this.#dry = dry
    this.#drySince = now
    if (dry) this.counts.dry++
    else out.push({ kind: "requestKeyframe", parent: delivering[0]!.keyId })
  }

  /** Striped mode: two parents that both deliver share the symbols; in every other case each sends all. */
  #assignRanges(now: Milliseconds, out: ParentAction[]): void {
    if (this.#options.mode !== "striped") return
    const live = this.#set.live
    const sharing =
      live.length === 2 && live.every((slot) => isProven(slot) && !this.#set.isMissed(slot, now) && now >= slot.suspectUntil)
    const { nSource, kRepair, loss } = this.#symbols
    const [front, back] = stripeRanges(nSource, kRepair, loss)
    // Who had the front keeps it.
    const [first] = [...live].sort((a, b) => (a.range?.[0] ?? 1) - (b.range?.[0] ?? 1))
    for (const slot of live) this.#setRange(slot, sharing ? (slot === first ? front : back) : undefined, out)
  }

  #setRange(slot: ParentSlot, range: SymbolRange | undefined, out: ParentAction[]): void {
    if (sameRange(slot.range, range)) return
    slot.range = range
    out.push({ kind: "setRange", parent: slot.keyId, range })
  }

  // Carrying out

  #ask(candidate: ParentCandidate, replaces: PeerKeyId | undefined, now: Milliseconds, out: ParentAction[]): void {
    const parent = keyOf(candidate)
    const wait = candidate.linked === false ? NEW_LINK_TIMEOUT_MS : SUBSCRIBE_TIMEOUT_MS
    this.counts.asked++
    this.#set.slots.set(parent, newSlot(parent, now + wait, replaces))
    if (this.#spare === parent) this.#spare = undefined
    out.push({ kind: "subscribe", parent, policy: this.#policy, range: undefined, via: this.#choice.via(parent, now) })
  }

  #drop(slot: ParentSlot, why: LeaveReason, failure: FailureKind | undefined, now: Milliseconds, out: ParentAction[]): void {
    this.#remove(slot, failure, now)
    out.push({ kind: "unsubscribe", parent: slot.keyId, why })
  }

  #remove(slot: ParentSlot, failure: FailureKind | undefined, now: Milliseconds): void {
    this.#set.slots.delete(slot.keyId)
    this.#heal.removeParent(slot.keyId, now)
    this.#watch.forget(slot.keyId)
    if (failure !== undefined) this.#backoff.failed(slot.keyId, failure, now)
    // The better one did not come: the one that it was to replace stays.
    const stays = slot.replaces === undefined ? undefined : this.#set.slots.get(slot.replaces)
    if (slot.provenAt === undefined && stays?.doomed === "improved") stays.doomed = undefined
  }

  #keepSpare(spare: PeerKeyId | undefined, out: ParentAction[]): void {
    if (this.#spare !== undefined) out.push({ kind: "release", parent: this.#spare })
    if (spare !== undefined) out.push({ kind: "prepare", parent: spare })
    this.#spare = spare
  }

  #silent(parent: PeerKeyId, now: Milliseconds): void {
    const slot = this.#set.slots.get(parent)
    if (slot === undefined || slot.doomed === "leaving") return
    this.#doom(slot, "silent", now)
    if (slot.provenAt !== undefined) this.#urgent = true
  }

  #doom(slot: ParentSlot, reason: DoomReason, now: Milliseconds): void {
    slot.doomed = reason
    slot.doomedAt = now
  }

  #rtt(keyId: PeerKeyId): Milliseconds {
    return this.#list.offerOf(keyId).rttMs
  }
}
