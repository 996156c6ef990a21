/**
 * What goes out again on one link: what the peer misses, as far as its frame needs it (LL-14, LL-26); and where losses come in runs
 * a second copy a moment later, because within the play-out delay there is no time for a second request.
 */

import type { LaneAssigner, LaneLoad } from "../../../link/lane-assigner.ts"
import { comesInRuns, type RepairInputs } from "../../../link/lane-capacity.ts"
import { NackSender, RETRANSMIT_MS } from "../../../link/nack.ts"
import { MESSAGE_OVERHEAD } from "../../../link/pacer.ts"
import { STALE_MS } from "../../../link/shed.ts"
import { FrameNeeds } from "./frame-needs.ts"
import type { HopSealer, Outgoing } from "./sender.ts"

/** Below this share of the budget for retransmissions everything that is asked for goes out again. */
const ROOMY_SHARE = 0.4
/** Second copies take no more of that budget than this. */
const COPY_SHARE = 0.8
/**
 * A base frame is worth sending again until it is so old, ms: what follows it can not be shown without it, and a keyframe would
 * come later still.
 */
const BASE_USEFUL_MS = 220
/** A message younger than this part of a round trip can not be missed yet, whatever is asked for. */
const IN_FLIGHT_SHARE = 0.8
/** The second copy follows so much later, ms: a few packets of others pass in between, and the run of losses is over. */
const COPY_AFTER_MS = 10
/** From this loss on, 0..1: below, requests bring nearly all of it, and copies would be more than a tenth of what is sent. */
const COPY_LOSS = 0.07
const MAX_COPIES = 64
/** What the budget did not cover is not looked at again for so long, ms: the same request comes more than once. */
const REFUSED_MS = 30
const MAX_REFUSED = 256

/** What decides how much goes out again. */
interface Conditions {
  now: number
  /** Target of the link, bit/s. */
  rate: number
  /** Open video lanes, ascending. */
  lanes: readonly LaneLoad[]
  losses: Omit<RepairInputs, "k" | "keyframe">
  /** A queue stands in the path: it is the queue that loses, and more would lengthen it. */
  queued: boolean
}

export class Resends {
  readonly #nacks: NackSender<Outgoing>
  readonly #needs = new FrameNeeds()
  readonly #refused = new Map<string, number>()
  #copies: { at: number; item: Outgoing; length: number }[] = []

  constructor(assigner: LaneAssigner) {
    this.#nacks = new NackSender<Outgoing>(assigner)
  }

  /** A message went out. @param length bytes of the lane message */
  sent(laneId: number, laneSeq: number, length: number, now: number, item: Outgoing): void {
    if (item.copy === true) {
      this.padding(laneId, laneSeq, length, now)
      return
    }
    this.#needs.sent(item)
    const held = { laneId, laneSeq, frameAt: item.madeAt, length, item }
    this.#nacks.sent(isBase(item) ? { ...held, usefulMs: BASE_USEFUL_MS } : held, now)
  }

  /** Something went out that is never repeated; that it was lost counts all the same. */
  padding(laneId: number, laneSeq: number, length: number, now: number): void {
    this.#nacks.sent({ laneId, laneSeq, frameAt: now, length, item: undefined }, now)
  }

  /** Those of the numbers that can be missing by now. */
  missing(laneId: number, laneSeqs: readonly number[], now: number, rttMs: number): number[] {
    const before = now - IN_FLIGHT_SHARE * rttMs
    const refused = (laneSeq: number) => now - (this.#refused.get(`${laneId} ${laneSeq}`) ?? Number.NEGATIVE_INFINITY)
    return laneSeqs.filter((laneSeq) => this.#nacks.sentBefore(laneId, laneSeq, before) && refused(laneSeq) >= REFUSED_MS)
  }

  /** Everything that went out on this lane lately: a lane in trouble is treated as if all of it were asked for (LL-16). */
  recent(laneId: number, now: number): number[] {
    return this.#nacks.recent(laneId, now, RETRANSMIT_MS)
  }

  /** What goes out again of these numbers, first of all. */
  answer(laneId: number, laneSeqs: readonly number[], conditions: Conditions): Outgoing[] {
    const { now, rate, lanes, losses, queued } = conditions
    const twice = !queued && losses.loss >= COPY_LOSS && comesInRuns(losses)
    const roomy = this.#nacks.spentShare(now, rate) < ROOMY_SHARE
    const needed = laneSeqs.filter((laneSeq) => {
      const message = this.#nacks.held(laneId, laneSeq)
      return message?.item === undefined || this.#needs.missing(message, message.item, roomy)
    })
    const outcomes = this.#nacks.answer({ laneId, laneSeqs: needed }, { now, rate, lanes })
    return outcomes.flatMap((outcome, index) => {
      if (outcome.kind === "budget") this.#refuse(`${laneId} ${needed[index]}`, now)
      if (outcome.kind !== "resend" || outcome.message.item === undefined) return []
      const { item, length } = outcome.message
      const again = isBase(item)
        ? { ...item, lostOn: laneId, patienceMs: BASE_USEFUL_MS - STALE_MS }
        : { ...item, lostOn: laneId }
      if (twice && this.#copies.length < MAX_COPIES) {
        this.#copies.push({ at: now + COPY_AFTER_MS, item: { ...again, copy: true }, length })
      }
      return again
    })
  }

  /** Second copies whose time has come and that the budget still covers. @param rate target of the link, bit/s; 0: none may go */
  copies(now: number, rate: number): Outgoing[] {
    if (this.#copies.length === 0) return []
    const due = this.#copies.filter(({ at }) => at <= now)
    this.#copies = this.#copies.filter(({ at }) => at > now)
    return due.flatMap(({ item, length }) => {
      const useful = now - item.madeAt < (isBase(item) ? BASE_USEFUL_MS : RETRANSMIT_MS)
      return useful && this.#nacks.spend(length + MESSAGE_OVERHEAD, now, COPY_SHARE * rate) ? item : []
    })
  }

  #refuse(key: string, now: number): void {
    this.#refused.delete(key)
    this.#refused.set(key, now)
    if (this.#refused.size > MAX_REFUSED) this.#refused.delete(this.#refused.keys().next().value!)
  }

  /** Forgets what could be asked for again of a subscription that ended; without one, all of it. */
  forget(sealer?: HopSealer): void {
    const ends = (item: Outgoing) => sealer === undefined || item.sealer === sealer
    this.#nacks.forget(ends)
    this.#copies = this.#copies.filter(({ item }) => !ends(item))
  }
}

function isBase({ layer }: Outgoing): boolean {
  return layer.spatial === 0 && layer.temporal === 0
}
