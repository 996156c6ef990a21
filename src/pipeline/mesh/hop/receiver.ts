/** What one link brings us: counted for the peer's controller, and asked for again where numbers are missing. */
import { AUDIO_LANE } from "../../../link/lane-port.ts"
import { clockMicros, laneSeqDelta } from "../../../link/lane-sequence.ts"
import { LossMeter } from "../../../link/loss-meter.ts"
import { NackReceiver } from "../../../link/nack.ts"
import { MESSAGE_OVERHEAD } from "../../../link/pacer.ts"
import { ReportBuilder } from "../../../link/report-builder.ts"
import { encodeLaneNack, encodeLaneReport, type LaneReport } from "../../../wire/lane-message.ts"
import type { Bytes } from "../../../wire/types.ts"

/** Time over which the incoming rate is measured, ms. */
const RATE_WINDOW_MS = 2_000

/** The end of a frame is asked for from this loss on. */
const TAIL_FROM_LOSS = 0.01

interface Arrival {
  laneId: number
  laneSeq: number
  /** The sender's clock, µs mod 2^32. */
  sentUs: number
  bytes: number
  /** Ms. */
  now: number
  /** We were kept from running: when it really came is not known. */
  heldUp: boolean
}

export class LinkReceiver {
  /** Lane numbers asked for. */
  nackSent = 0
  /** When we asked last; ms. */
  askedAt: number | undefined
  /** Loss of the peer's messages on the video lanes, and on the audio lane. */
  readonly video = new LossMeter()
  readonly audio = new LossMeter()
  readonly #reports = new ReportBuilder()
  readonly #nacks = new NackReceiver()
  readonly #last = new Map<number, { highest: number; received: number }>()
  readonly #arrived: { at: number; bytes: number }[] = []

  /** A data or padding message came in. */
  count({ laneId, laneSeq, sentUs, bytes, now, heldUp }: Arrival): void {
    this.#reports.receive(laneId, laneSeq, sentUs, clockMicros(now), bytes, heldUp)
    this.#nacks.receive(laneId, laneSeq)
    if (laneId !== AUDIO_LANE) this.#sum(now, bytes + MESSAGE_OVERHEAD)
  }

  /** NACKs for the numbers after the highest of every lane: nobody knows whether they were sent. None on a path that loses little. */
  tail(now: number): Bytes[] {
    if (this.video.loss < TAIL_FROM_LOSS) return []
    this.askedAt = now
    return this.#nacks.tail().map(({ laneId, laneSeqs }) => encodeLaneNack(laneId, laneSeqs))
  }

  /** NACKs that are due (LL-14). */
  nacks(now: number, rttMs: number): Bytes[] {
    return this.#nacks.due(now, rttMs).map(({ laneId, laneSeqs }) => {
      this.nackSent += laneSeqs.length
      this.askedAt = now
      return encodeLaneNack(laneId, laneSeqs)
    })
  }

  /** The report that is due, if any (LL-21). */
  report(now: number): Bytes | undefined {
    if (!this.#reports.due(now)) return undefined
    const report = this.#reports.build(clockMicros(now), now)
    if (report === undefined) return undefined
    this.#measure(report, now)
    return encodeLaneReport(report)
  }

  /** Messages of this lane that never came. */
  lost(laneId: number): number {
    return this.#reports.lost(laneId)
  }

  /** Bit/s that come in on the video lanes, with what lies under the messages. */
  videoRate(now: number): number {
    this.#expire(now)
    return (8_000 * this.#arrived.reduce((sum, each) => sum + each.bytes, 0)) / RATE_WINDOW_MS
  }

  closeLane(laneId: number): void {
    this.#reports.closeLane(laneId)
    this.#nacks.closeLane(laneId)
    this.#last.delete(laneId)
  }

  #measure(report: Omit<LaneReport, "type">, now: number): void {
    for (const { laneId, highest, received } of report.entries) {
      const last = this.#last.get(laneId) ?? { highest: 0xffffff, received: 0 }
      const got = (received - last.received) >>> 0
      const meter = laneId === AUDIO_LANE ? this.audio : this.video
      meter.feed(got, laneSeqDelta(highest, last.highest) - got, now)
      this.#last.set(laneId, { highest, received })
    }
  }

  /** One entry per 50 ms, so that the sum stays short. */
  #sum(now: number, bytes: number): void {
    const last = this.#arrived.at(-1)
    if (last !== undefined && now - last.at < 50) last.bytes += bytes
    else this.#arrived.push({ at: now, bytes })
    this.#expire(now)
  }

  #expire(now: number): void {
    while (this.#arrived.length > 0 && now - this.#arrived[0]!.at > RATE_WINDOW_MS) this.#arrived.shift()
  }
}
