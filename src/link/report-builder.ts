/** Counts what arrived on the media lanes of one link and makes the reports of link-lanes 4.2 and LL-21. */
import type { LaneReport, LaneReportEntry } from "../wire/lane-message.ts"
import { LANE_SEQ_MODULUS, laneSeqDelta } from "./lane-sequence.ts"

/** Time between two reports while messages arrive, in ms. */
const REPORT_INTERVAL_MS = 50
/** One more report this long after the last one, in ms, so that the sender learns of a lost end. */
const REPORT_LAST_MS = 100
/** A number this far below the highest one changes no counter. */
const COUNT_WINDOW = 1_024
/** So many reports in a row may go out without a delay because we were kept from running; then a doubtful one is better than none. */
const MAX_BLIND = 5
/** Audio and eight video lanes. A lane above that is not reported, so that a peer cannot grow the table. */
const MAX_LANES = 9

/** Receive counters of one link. Clocks are passed in; nothing here reads one. */
export class ReportBuilder {
  readonly #lanes = new Map<number, LaneCounter>()
  #reportSeq = 0
  #dirty = false
  #lastMs: number | undefined
  #tailOpen = false
  /** Reports in a row that told no delay although messages came. */
  #blind = 0
  #timed = false
  #untimed = false

  /**
   * Counts one data or padding message.
   *
   * @param atUs arrival, µs of the local clock, any range
   * @param bytes length of the whole lane message
   * @param heldUp this thread was kept from running, so `atUs` says little: the message counts, its delay does not
   * @returns whether it changed the counters: not when it was seen before or lies 1 024 or more below the highest
   */
  receive(laneId: number, laneSeq: number, sentUs: number, atUs: number, bytes: number, heldUp = false): boolean {
    let lane = this.#lanes.get(laneId)
    if (lane === undefined) {
      if (this.#lanes.size >= MAX_LANES) return false
      lane = new LaneCounter()
      this.#lanes.set(laneId, lane)
    }
    this.#dirty = true
    const timed = !heldUp || this.#blind >= MAX_BLIND
    if (heldUp) this.#untimed = true
    else this.#timed = true
    return lane.count(laneSeq, bytes, timed ? (atUs - sentUs) | 0 : undefined)
  }

  /** Forgets a lane that closed. */
  closeLane(laneId: number): void {
    this.#lanes.delete(laneId)
  }

  /** True when a report should go out now (ms of the same clock at every call). */
  due(nowMs: number): boolean {
    if (this.#lanes.size === 0) return false
    if (this.#lastMs === undefined) return this.#dirty
    const since = nowMs - this.#lastMs
    return (this.#dirty && since >= REPORT_INTERVAL_MS) || (this.#tailOpen && since >= REPORT_LAST_MS)
  }

  /** The report of this moment; starts a new interval. `undefined` while no lane has received anything. */
  build(nowUs: number, nowMs = nowUs / 1_000): Omit<LaneReport, "type"> | undefined {
    if (this.#lanes.size === 0) return undefined
    const ids = [...this.#lanes.keys()].sort((a, b) => a - b)
    const report = {
      reportSeq: this.#reportSeq,
      nowUs: nowUs % 0x100000000,
      entries: ids.map((id) => this.#lanes.get(id)!.entry(id)),
    }
    this.#reportSeq = (this.#reportSeq + 1) & 0xffff
    this.#tailOpen = this.#dirty
    this.#dirty = false
    if (this.#timed) this.#blind = 0
    else if (this.#untimed) this.#blind += 1
    this.#timed = false
    this.#untimed = false
    this.#lastMs = nowMs
    return report
  }

  /** Messages that the numbers say were sent on a lane and never came. */
  lost(laneId: number): number {
    return this.#lanes.get(laneId)?.lost ?? 0
  }
}

class LaneCounter {
  /** Slot `n mod 1024` holds the last number that fell into it. */
  readonly #seen = new Int32Array(COUNT_WINDOW).fill(-1)
  #highest = LANE_SEQ_MODULUS - 1
  #expected = 0
  #received = 0
  #bytes = 0
  #count = 0
  /** Delays of the interval, as signed differences to its first. */
  #first = 0
  #min = 0
  #sum = 0

  get lost(): number {
    return Math.max(0, this.#expected - this.#received)
  }

  /** @param delay µs; undefined: not known */
  count(laneSeq: number, bytes: number, delay: number | undefined): boolean {
    const ahead = laneSeqDelta(laneSeq, this.#highest)
    const slot = laneSeq % COUNT_WINDOW
    if (ahead <= -COUNT_WINDOW || this.#seen[slot] === laneSeq) return false
    this.#seen[slot] = laneSeq
    if (ahead > 0) {
      this.#highest = laneSeq
      this.#expected += ahead
    }
    this.#received = (this.#received + 1) >>> 0
    this.#bytes = (this.#bytes + bytes) >>> 0
    if (delay === undefined) return true
    if (this.#count === 0) {
      this.#first = delay
      this.#min = 0
      this.#sum = 0
    }
    const difference = (delay - this.#first) | 0
    this.#count++
    this.#sum += difference
    if (difference < this.#min) this.#min = difference
    return true
  }

  entry(laneId: number): LaneReportEntry {
    const spread = this.#count === 0 ? 0 : Math.floor((this.#sum - this.#min * this.#count) / (64 * this.#count))
    const entry = {
      laneId,
      highest: this.#highest,
      received: this.#received,
      bytes: this.#bytes,
      minDelayUs: this.#count === 0 ? 0 : (this.#first + this.#min) >>> 0,
      count: Math.min(this.#count, 0xffff),
      spread: Math.min(spread, 0xffff),
    }
    this.#count = 0
    return entry
  }
}
