/**
 * Keeps one subscribed stream fed: two live parents and a warm spare, replaced before they are missed and never without need.
 *
 * Sans-I/O: tell it what happened, carry out what it returns, tick it every 500 ms. All times are unix ms of a clock that does not run
 * backwards. A parent is only let go when another one delivers, or when it is silent and another one is not.
 */
import type { Milliseconds, PeerKeyId, ReceiverLayerPolicy } from "../wire/types.ts"
import { PARENT_SILENCE_HEAL_MS } from "./constants.ts"
import type { Delivery, ParentAction, ParentManagerOptions, ParentReport } from "./parent-actions.ts"
import { ParentBook, type ParentCounts } from "./parent-book.ts"
import { ParentDrought } from "./parent-drought.ts"
import { ParentMoves } from "./parent-moves.ts"
import { ParentNeed } from "./parent-need.ts"
import { ParentRanges } from "./parent-ranges.ts"
import { isHealthy, isProven } from "./parent-slot.ts"
import { checkPlan, letGo } from "./parent-surplus.ts"
import type { ParentCandidate, TreeView } from "./types.ts"

/** A parent that served this long starts afresh when it fails. */
const FORGIVE_MS = 30_000
/** A demoted parent that nobody could replace is given another chance after this time. */
const PARDON_MS = 60_000
/** How long one parent carries everything after the other's symbols were missed. */
const SUSPECT_MS = 2_000
/** A parent that was heard is asked again after so much silence. */
const SILENT_REMIND_MS = PARENT_SILENCE_HEAL_MS

const NOTHING: readonly ParentAction[] = Object.freeze([])

export class ParentManager {
  readonly #book: ParentBook
  readonly #need: ParentNeed
  readonly #drought: ParentDrought
  readonly #moves: ParentMoves
  /** Undefined: every parent sends everything. */
  readonly #ranges: ParentRanges | undefined
  #closed = false

  constructor(options: ParentManagerOptions, now: Milliseconds) {
    this.#book = new ParentBook(options, now)
    this.#need = new ParentNeed(this.#book)
    this.#drought = new ParentDrought(this.#book, now)
    this.#moves = new ParentMoves(this.#book.list, this.#book.choice, options.publisher)
    this.#ranges = options.mode === "striped" ? new ParentRanges(this.#book.set) : undefined
  }

  get counts(): ParentCounts {
    return this.#book.counts
  }

  get primary(): PeerKeyId | undefined {
    return this.#book.heal.primaryParent
  }

  /** Warm spares: links to them are kept. */
  get spares(): readonly PeerKeyId[] {
    return this.#book.spares
  }

  /** A parent was lost and is not replaced yet: whatever can be known of further candidates is worth knowing now. */
  get inNeed(): boolean {
    return this.#need.isUrgent
  }

  /** Every parent, asked ones included; at most three, while a lost one is replaced eight. */
  get parents(): ParentReport[] {
    return this.#book.set.all.map(({ keyId, state, doomed, range }) => {
      const role = state === "asked" ? "asked" : doomed !== undefined ? "going" : keyId === this.primary ? "primary" : "backup"
      return { keyId, role, doomed, range }
    })
  }

  /** True while some parent was heard within the last 1 000 ms: what D-39 asks before telling children "alive". */
  heardWithin(ms: Milliseconds, now: Milliseconds): boolean {
    const { set } = this.#book
    return set.live.some((slot) => now - (set.heardAt(slot) ?? Number.NEGATIVE_INFINITY) <= ms)
  }

  // What this peer knows

  setCandidates(candidates: readonly ParentCandidate[], now: Milliseconds): readonly ParentAction[] {
    this.#book.list.set(candidates, this.#book.set.slots.keys())
    return this.#settle(now)
  }

  /** Members with a link: asked when nothing arrives and nobody who promises anything can be had. */
  setNeighbours(keyIds: readonly PeerKeyId[]): void {
    this.#book.list.setNeighbours(keyIds)
  }

  setTree(tree: TreeView | undefined, now: Milliseconds): readonly ParentAction[] {
    this.#book.list.setTree(tree)
    return this.#settle(now)
  }

  /** Who takes this stream from this peer: nobody of them can be its parent. */
  setDownstream(children: Iterable<PeerKeyId>, now: Milliseconds): readonly ParentAction[] {
    this.#book.list.setDownstream(children)
    return this.#settle(now)
  }

  // What the application wants

  setPolicy(policy: ReceiverLayerPolicy, bitrateMbps: number, now: Milliseconds): readonly ParentAction[] {
    this.#book.policy = policy
    this.#book.list.setPolicy(policy, bitrateMbps)
    const changes = [...this.#book.set.slots.keys()].map((parent): ParentAction => ({ kind: "setPolicy", parent, policy }))
    return [...changes, ...this.#settle(now)]
  }

  setWanted(wanted: 1 | 2, now: Milliseconds): readonly ParentAction[] {
    this.#book.wanted = wanted
    return this.#settle(now)
  }

  /** Usual size of a frame in symbols and the loss of the worse path (0..1); used in striped mode. */
  setSymbols(nSource: number, kRepair: number, loss: number, now: Milliseconds): readonly ParentAction[] {
    if (this.#ranges !== undefined) this.#ranges.symbols = { nSource, kRepair, loss }
    return this.#settle(now)
  }

  // What parents do

  subscribed(parent: PeerKeyId, now: Milliseconds): readonly ParentAction[] {
    const slot = this.#book.set.slots.get(parent)
    if (slot?.state !== "asked") return NOTHING
    slot.state = "live"
    this.#book.heal.addParent(parent, now)
    return this.#settle(now)
  }

  /** `av.refused`; also for a parent that had accepted and found no stream. */
  refused(parent: PeerKeyId, error: string, now: Milliseconds): readonly ParentAction[] {
    const slot = this.#book.set.slots.get(parent)
    if (slot === undefined) return NOTHING
    this.#book.counts.refused++
    const full = parent === this.#book.list.plannedParent(now) ? "planned" : "capacity"
    this.#book.remove(slot, error === "CapacityExceeded" ? full : "failed", now)
    return this.#settle(now)
  }

  /** The link to it is gone. */
  lost(parent: PeerKeyId, now: Milliseconds): readonly ParentAction[] {
    const slot = this.#book.set.slots.get(parent)
    if (slot === undefined) return NOTHING
    if (isHealthy(slot)) this.#book.counts.healed++
    this.#need.lost(slot)
    this.#book.remove(slot, "failed", now)
    return this.#settle(now)
  }

  /**
   * A chunk of this stream that passed the outer seal, or a keep-alive (`chunk` false). Called for every one: cheap.
   *
   * While plans change, members can come to feed each other in a circle, in which nothing but keep-alives goes round for ever. At least one
   * of them then has a parent that its plan does not allow (D-44): from such a one only chunks count, and the circle is left when they end.
   */
  heard(parent: PeerKeyId, now: Milliseconds, chunk = true): readonly ParentAction[] {
    const { set, heal, choice } = this.#book
    const slot = set.slots.get(parent)
    if (slot === undefined) return NOTHING
    if (!chunk && slot.outsideSince !== undefined) return set.hasNothing(slot, now) ? this.#settle(now) : NOTHING
    set.countPause(slot, now)
    if (slot.state === "live") heal.heard(parent, now)
    slot.remindAfter = SILENT_REMIND_MS
    const missesOther = set.countMoment(slot, now)
    if (slot.provenAt !== undefined && slot.doomed !== "silent") return missesOther ? this.#settle(now) : NOTHING
    if (slot.state === "asked") {
      // Media may overtake the answer.
      slot.state = "live"
      heal.addParent(parent, now)
    }
    slot.provenAt ??= now
    if (slot.doomed === "silent") slot.doomed = undefined
    choice.fed()
    return this.#settle(now)
  }

  /** `av.leaving`: it will be gone in `inMs`; another one is taken first. */
  leaving(parent: PeerKeyId, inMs: Milliseconds, now: Milliseconds): readonly ParentAction[] {
    const slot = this.#book.set.slots.get(parent)
    if (slot === undefined) return NOTHING
    slot.goneBy = now + inMs
    this.#book.doom(slot, "leaving", now)
    return this.#settle(now)
  }

  /** About once a second per parent. */
  measured(parent: PeerKeyId, delivery: Delivery, now: Milliseconds): void {
    if (this.#book.set.slots.has(parent)) this.#book.watch.measured(parent, delivery, now)
  }

  /** Its symbols are missing from several frames in a row: until further notice the other parent sends everything. */
  suspect(parent: PeerKeyId, now: Milliseconds): readonly ParentAction[] {
    const slot = this.#book.set.slots.get(parent)
    if (slot === undefined) return NOTHING
    slot.suspectUntil = now + SUSPECT_MS
    return this.#settle(now)
  }

  // Time

  tick(now: Milliseconds): readonly ParentAction[] {
    if (this.#closed) return NOTHING
    const out: ParentAction[] = []
    const { set, heal, backoff, counts } = this.#book
    for (const slot of set.all) {
      if (slot.state === "asked" && now >= slot.answerBy) {
        counts.timeouts++
        this.#book.drop(slot, "timeout", "failed", now, out)
      } else if (slot.provenAt !== undefined && now - slot.provenAt >= FORGIVE_MS) backoff.forgive(slot.keyId)
      if (slot.doomed === "demoted" && now - slot.doomedAt >= PARDON_MS) slot.doomed = undefined
    }
    let rebuild = false
    for (const action of heal.tick(now)) {
      if (action.kind === "upstreamRebuildRequired") rebuild = true
      else this.#silent(action.dead, now)
    }
    this.#demote(now)
    this.#improve(now, out)
    for (const { keyId } of set.unheard(now)) out.push({ kind: "subscribeAgain", parent: keyId })
    out.push(...this.#settle(now))
    if (rebuild && this.#drought.isStarved(now)) out.push({ kind: "starved" })
    return out
  }

  /** Nobody watches any more. The manager does nothing after this. */
  close(now: Milliseconds): readonly ParentAction[] {
    if (this.#closed) return NOTHING
    const out: ParentAction[] = []
    for (const slot of this.#book.set.all) this.#book.drop(slot, "closed", undefined, now, out)
    this.#book.keepSpares([], out)
    this.#closed = true
    return out
  }

  // Decisions

  #settle(now: Milliseconds): readonly ParentAction[] {
    if (this.#closed) return NOTHING
    const out: ParentAction[] = []
    checkPlan(this.#book, now)
    letGo(this.#book, now, out)
    this.#need.fill(now, out)
    this.#choosePrimary(now)
    this.#drought.watch(now, out)
    this.#ranges?.assign(now, out)
    const { choice, set, spares } = this.#book
    this.#book.keepSpares(choice.spares(set.slots, spares, now), out)
    return out
  }

  #demote(now: Milliseconds): void {
    const { set, watch, choice, counts, wanted } = this.#book
    const keyIds = set.all.filter(isProven).map(({ keyId }) => keyId)
    const poorest = watch.poorest(keyIds, now)
    const slot = poorest === undefined ? undefined : set.slots.get(poorest)
    if (slot === undefined || set.slots.size > wanted || choice.next(set.slots, now) === undefined) return
    counts.demoted++
    watch.demoted(now)
    this.#book.doom(slot, "demoted", now)
  }

  /** D-26.6: moves a healthy set, one parent at a time. */
  #improve(now: Milliseconds, out: ParentAction[]): void {
    const { set, wanted } = this.#book
    if (set.slots.size !== wanted || set.delivering(now).length < wanted) return
    const move = this.#moves.next(set.slots, now)
    if (move === undefined) return
    this.#book.doom(move.leaves, "improved", now)
    this.#book.ask(move.candidate, move.leaves.keyId, now, out)
  }

  #choosePrimary(now: Milliseconds): void {
    const { set, list, heal } = this.#book
    const primary = this.primary === undefined ? undefined : set.slots.get(this.primary)
    const planned = list.plannedParent(now)
    const plannedSlot = planned === undefined ? undefined : set.slots.get(planned)
    if (plannedSlot !== undefined && isProven(plannedSlot)) {
      if (planned !== this.primary) heal.promoteToPrimary(plannedSlot.keyId)
      return
    }
    if (primary !== undefined && isHealthy(primary)) return
    const [best] = set.all.filter(isProven).sort((a, b) => this.#book.rtt(a.keyId) - this.#book.rtt(b.keyId))
    if (best !== undefined) heal.promoteToPrimary(best.keyId)
  }

  #silent(parent: PeerKeyId, now: Milliseconds): void {
    const slot = this.#book.set.slots.get(parent)
    if (slot === undefined || slot.doomed === "leaving") return
    this.#book.doom(slot, "silent", now)
    this.#need.lost(slot)
  }
}
