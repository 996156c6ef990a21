/** Repair by asking again, hop by hop and without any content key: link-lanes 9, LL-14, exactly as LL-26. */
import type { LaneAssigner, LaneLoad } from "./lane-assigner.ts"
import { AUDIO_LANE } from "./lane-port.ts"
import { laneSeqDelta } from "./lane-sequence.ts"
import { MESSAGE_OVERHEAD } from "./pacer.ts"

/** Between two NACKs of one lane, ms. */
const NACK_INTERVAL_MS = 5
/** A gap above this is an outage, not a loss to repair. Also the most numbers of one NACK. */
const MAX_NUMBERS = 64
/** A frame puts seldom more messages than this on one lane. */
const TAIL_NUMBERS = 2
/** Missing numbers remembered per lane. The oldest go first: they are the least worth. */
const MAX_MISSING = 1_024
/** The second request follows a round trip and this later, ms. */
const SECOND_AFTER_MS = 30
/** Sent chunks are kept this long, ms. */
const HELD_MS = 300
/** Most chunks kept, so that a burst cannot hold unlimited memory. */
const MAX_HELD = 8_192
/** Age of a frame from which on a retransmission comes too late, ms. */
export const RETRANSMIT_MS = 130
/** Share of the target rate for retransmissions, measured over this time in ms. */
const BUDGET_SHARE = 0.2
const BUDGET_MS = 1_000

interface Missing {
  asked: 0 | 1
  askedAt: number
}

interface LaneGaps {
  highest: number
  missing: Map<number, Missing>
  lastNackAt: number | undefined
}

interface NackRequest {
  laneId: number
  laneSeqs: number[]
}

/** Finds missing numbers and says when to ask for them. */
export class NackReceiver {
  readonly #lanes = new Map<number, LaneGaps>()

  /** Takes the number of one received data or padding message. */
  receive(laneId: number, laneSeq: number): void {
    if (laneId === AUDIO_LANE) return
    let lane = this.#lanes.get(laneId)
    if (lane === undefined) {
      lane = { highest: 0xffffff, missing: new Map(), lastNackAt: undefined }
      this.#lanes.set(laneId, lane)
    }
    const ahead = laneSeqDelta(laneSeq, lane.highest)
    if (ahead <= 0) {
      lane.missing.delete(laneSeq)
      return
    }
    if (ahead - 1 <= MAX_NUMBERS) {
      for (let step = 1; step < ahead; step++) lane.missing.set((lane.highest + step) & 0xffffff, { asked: 0, askedAt: 0 })
      for (const oldest of lane.missing.keys()) {
        if (lane.missing.size <= MAX_MISSING) break
        lane.missing.delete(oldest)
      }
    }
    lane.highest = laneSeq
  }

  /** The requests that are due, at most one per lane; call it after every message and on a timer. */
  due(now: number, rttMs: number): NackRequest[] {
    const requests: NackRequest[] = []
    for (const [laneId, lane] of [...this.#lanes].sort(([a], [b]) => a - b)) {
      if (lane.missing.size === 0 || (lane.lastNackAt !== undefined && now - lane.lastNackAt < NACK_INTERVAL_MS)) continue
      const wanted = [...lane.missing].filter(([, m]) => m.asked === 0 || now - m.askedAt >= rttMs + SECOND_AFTER_MS)
      if (wanted.length === 0) continue
      const numbers = wanted.map(([seq]) => seq).sort((a, b) => laneSeqDelta(a, lane.highest) - laneSeqDelta(b, lane.highest))
      const laneSeqs = numbers.slice(0, MAX_NUMBERS)
      for (const seq of laneSeqs) {
        if (lane.missing.get(seq)?.asked === 0) lane.missing.set(seq, { asked: 1, askedAt: now })
        else lane.missing.delete(seq)
      }
      lane.lastNackAt = now
      requests.push({ laneId, laneSeqs })
    }
    return requests
  }

  /** The numbers after the highest one of each lane: what was sent there last, if that was lost. */
  tail(): NackRequest[] {
    return [...this.#lanes].map(([laneId, { highest }]) => {
      const laneSeqs = Array.from({ length: TAIL_NUMBERS }, (_, index) => (highest + 1 + index) & 0xffffff)
      return { laneId, laneSeqs }
    })
  }

  closeLane(laneId: number): void {
    this.#lanes.delete(laneId)
  }
}

interface HeldMessage<T> {
  laneId: number
  laneSeq: number
  /** When the publisher made the frame, or the chunk came in; ms. */
  frameAt: number
  /** Bytes of the lane message. */
  length: number
  /** What to seal again; `undefined` for padding, which is never repeated. */
  item: T | undefined
  /** Age of the frame up to which it is of use, ms, where that is known better than by {@link RETRANSMIT_MS}. */
  usefulMs?: number
}

type NackOutcome<T> =
  | { kind: "resend"; laneId: number; message: HeldMessage<T> }
  | { kind: "unknown" | "padding" | "too-old" | "budget" | "gate" }

interface NackConditions {
  now: number
  /** Target of the link, bit/s. */
  rate: number
  /** Open video lanes, ascending. */
  lanes: readonly LaneLoad[]
  /** When the receiver told its play-out delay. */
  playout?: { delayMs: number; rttMs: number }
}

/** Keeps what was sent for 300 ms and decides, number by number, what goes out again. */
export class NackSender<T> {
  readonly #assigner: LaneAssigner
  readonly #held = new Map<number, { message: HeldMessage<T>; sentAt: number }>()
  #spent: { at: number; cost: number }[] = []

  constructor(assigner: LaneAssigner) {
    this.#assigner = assigner
  }

  sent(message: HeldMessage<T>, now: number): void {
    this.#held.set(keyOf(message.laneId, message.laneSeq), { message, sentAt: now })
    for (const [key, held] of this.#held) {
      if (now - held.sentAt <= HELD_MS && this.#held.size <= MAX_HELD) break
      this.#held.delete(key)
    }
  }

  /** Whether this number went out at least so long ago: one that is still on its way is not missing. */
  sentBefore(laneId: number, laneSeq: number, at: number): boolean {
    const held = this.#held.get(keyOf(laneId, laneSeq))
    return held !== undefined && held.sentAt <= at
  }

  /** Share of the budget for retransmissions that the last second took. @param rate as in {@link NackConditions} */
  spentShare(now: number, rate: number): number {
    return this.#spentBytes(now) / ((BUDGET_SHARE * rate) / 8)
  }

  /** Takes this many bytes out of the budget for something else that goes out again; `false`: it does not hold them. */
  spend(cost: number, now: number, rate: number): boolean {
    if (this.#spentBytes(now) + cost > (BUDGET_SHARE * rate) / 8) return false
    this.#spent.push({ at: now, cost })
    return true
  }

  /** What was sent under this number, if it is still held. */
  held(laneId: number, laneSeq: number): HeldMessage<T> | undefined {
    return this.#held.get(keyOf(laneId, laneSeq))?.message
  }

  /** Forgets what must not be sent again: its subscription ended. */
  forget(match: (item: T) => boolean): void {
    for (const [key, { message }] of this.#held) {
      if (message.item !== undefined && match(message.item)) this.#held.delete(key)
    }
  }

  /** Everything sent on this lane less than `ms` ago: a lane in trouble is treated as if all of it were asked for (LL-16). */
  recent(laneId: number, now: number, ms: number): number[] {
    return [...this.#held.values()]
      .filter(({ message, sentAt }) => message.laneId === laneId && now - sentAt < ms)
      .map(({ message }) => message.laneSeq)
  }

  /** The answer for each number, in order. A `resend` is to be sealed with a new `link_seq` and put in front. */
  answer(request: NackRequest, conditions: NackConditions): NackOutcome<T>[] {
    return request.laneSeqs.map((laneSeq) => this.#answerOne(request.laneId, laneSeq, conditions))
  }

  #spentBytes(now: number): number {
    this.#spent = this.#spent.filter((spent) => now - spent.at <= BUDGET_MS)
    return this.#spent.reduce((sum, each) => sum + each.cost, 0)
  }

  #answerOne(laneId: number, laneSeq: number, conditions: NackConditions): NackOutcome<T> {
    const { now, rate, lanes, playout } = conditions
    const held = this.#held.get(keyOf(laneId, laneSeq))
    if (held === undefined || now - held.sentAt > HELD_MS) return { kind: "unknown" }
    const { message } = held
    if (message.item === undefined) return { kind: "padding" }
    const limit = message.usefulMs ?? (playout === undefined ? RETRANSMIT_MS : playout.delayMs - playout.rttMs / 2 - 20)
    if (now - message.frameAt >= limit) return { kind: "too-old" }
    const cost = message.length + MESSAGE_OVERHEAD
    if (this.#spentBytes(now) + cost > (BUDGET_SHARE * rate) / 8) return { kind: "budget" }
    const lane = this.#assigner.choose(lanes, laneId) ?? this.#assigner.choose(lanes)
    if (lane === undefined) return { kind: "gate" }
    this.#spent.push({ at: now, cost })
    this.#held.delete(keyOf(laneId, laneSeq))
    return { kind: "resend", laneId: lane.laneId, message }
  }
}

function keyOf(laneId: number, laneSeq: number): number {
  return laneId * 0x1000000 + laneSeq
}
