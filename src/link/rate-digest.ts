/** From the peer's report to what the rate controller needs: link-lanes LL-11, exactly as LL-22. */
import type { LaneReport } from "../wire/lane-message.ts"
import { AUDIO_LANE } from "./lane-port.ts"
import { laneSeqDelta } from "./lane-sequence.ts"
import { MESSAGE_OVERHEAD } from "./pacer.ts"

/** The shortest delay of a lane is looked for in this many intervals of this length, the present one included. */
const BUCKET_MS = 10_000
const BUCKETS = 6

/** What one report says about the video lanes of a link together. */
export interface RateDigest {
  /** Queueing delay of the path, ms. */
  q: number
  /** Round trip, ms. */
  rtt: number
  /** Messages that came since the last digest. */
  got: number
  /** Messages that did not; negative when late ones were counted as lost before. */
  lost: number
  /** Bytes that came since the link began, each message with {@link MESSAGE_OVERHEAD}. */
  rx: number
  /** The receiver's clock, ms since the first report. */
  receiverMs: number
}

/** `old`: not newer than the last one. `alive`: nothing new came in at the peer, but it is there. */
type DigestResult = { kind: "old" | "alive" } | { kind: "digest"; digest: RateDigest }

interface LaneMemory {
  highest: number
  received: number
  bytes: number
  /** Shortest delay per interval, by number of the interval. */
  shortest: Map<number, number>
  /** Delay over the shortest one in the last report with messages, ms. */
  over: number
}

export class ReportDigester {
  readonly #lanes = new Map<number, LaneMemory>()
  #reportSeq: number | undefined
  /** The last delay on an endless scale, µs. */
  #delay: number | undefined
  #receiverUs: number | undefined
  #receiverMs = 0
  #rx = 0
  #baseChanges = 0

  /** How often the shortest delay of a lane changed. */
  get baseChanges(): number {
    return this.#baseChanges
  }

  /** Queueing delay that the last report showed on this lane, ms. */
  laneDelay(laneId: number): number | undefined {
    return this.#lanes.get(laneId)?.over
  }

  /** @param now our clock, ms: the one whose microseconds went into the messages */
  take(report: Omit<LaneReport, "type">, now: number): DigestResult {
    if (this.#reportSeq !== undefined && !isNewer(report.reportSeq, this.#reportSeq)) return { kind: "old" }
    this.#reportSeq = report.reportSeq
    this.#receiverMs += this.#receiverUs === undefined ? 0 : ((report.nowUs - this.#receiverUs) | 0) / 1_000
    this.#receiverUs = report.nowUs

    const entries = report.entries.filter((entry) => entry.laneId !== AUDIO_LANE)
    if (!entries.some((entry) => entry.count > 0)) return { kind: "alive" }
    let q = Number.POSITIVE_INFINITY
    let rtt = Number.POSITIVE_INFINITY
    let got = 0
    let lost = 0
    for (const entry of entries) {
      const lane = this.#lane(entry.laneId)
      const came = (entry.received - lane.received) >>> 0
      got += came
      lost += laneSeqDelta(entry.highest, lane.highest) - came
      this.#rx += ((entry.bytes - lane.bytes) >>> 0) + MESSAGE_OVERHEAD * came
      Object.assign(lane, { highest: entry.highest, received: entry.received, bytes: entry.bytes })
      if (entry.count === 0) continue
      const delay = this.#unwrap(entry.minDelayUs) / 1_000
      lane.over = delay - this.#shortest(lane, delay, now)
      q = Math.min(q, lane.over)
      rtt = Math.min(rtt, roundTripMs(entry.minDelayUs, report.nowUs, now))
    }
    return { kind: "digest", digest: { q, rtt, got, lost, rx: this.#rx, receiverMs: this.#receiverMs } }
  }

  /** The path changed: what was the shortest delay means nothing any more. */
  forgetBase(): void {
    for (const lane of this.#lanes.values()) lane.shortest.clear()
  }

  #lane(laneId: number): LaneMemory {
    const known = this.#lanes.get(laneId)
    if (known !== undefined) return known
    const lane = { highest: 0xffffff, received: 0, bytes: 0, shortest: new Map<number, number>(), over: 0 }
    this.#lanes.set(laneId, lane)
    return lane
  }

  #unwrap(delayUs: number): number {
    this.#delay = this.#delay === undefined ? delayUs : this.#delay + ((delayUs - this.#delay) | 0)
    return this.#delay
  }

  #shortest(lane: LaneMemory, delay: number, now: number): number {
    const bucket = Math.floor(now / BUCKET_MS)
    const before = minimum(lane.shortest)
    for (const old of lane.shortest.keys()) if (old <= bucket - BUCKETS) lane.shortest.delete(old)
    lane.shortest.set(bucket, Math.min(delay, lane.shortest.get(bucket) ?? delay))
    const after = minimum(lane.shortest)
    if (after !== before) this.#baseChanges += 1
    return after
  }
}

/** Round trip out of one entry of a report, ms: the offset of the two clocks is in it with both signs. */
export function roundTripMs(minDelayUs: number, receiverNowUs: number, now: number): number {
  return Math.max(0, (minDelayUs + Math.floor(now * 1_000) - receiverNowUs) | 0) / 1_000
}

function isNewer(seq: number, last: number): boolean {
  const ahead = (seq - last) & 0xffff
  return ahead !== 0 && ahead < 0x8000
}

function minimum(delays: ReadonlyMap<number, number>): number {
  let least = Number.POSITIVE_INFINITY
  for (const delay of delays.values()) if (delay < least) least = delay
  return least
}
