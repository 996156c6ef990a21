/** One media lane as the mesh worker drives it: numbering, gates, counters, and what the peer reports about it. */
import type { LaneChannel, MediaLaneRole } from "../../../link/lane-port.ts"
import { clockMicros, LaneSequence, laneSeqDelta } from "../../../link/lane-sequence.ts"
import { LANE_DATA, type LaneReportEntry, writeLaneHeader } from "../../../wire/lane-message.ts"
import type { Bytes } from "../../../wire/types.ts"
import type { MeshLaneStats } from "../types.ts"

/** Smoothing of the reported loss (LL-13), in ms. */
const LOSS_TIME_CONSTANT_MS = 3_000

export class Lane {
  gateRefusals = 0
  receivedMessages = 0
  receivedBytes = 0
  readonly #sequence = new LaneSequence()
  #reserved = 0
  #sentMessages = 0
  #sentBytes = 0
  #loss: number | undefined
  #lastReport: { highest: number; received: number; at: number } | undefined

  constructor(
    readonly id: number,
    readonly role: MediaLaneRole,
    readonly channel: LaneChannel,
  ) {}

  get open(): boolean {
    return this.channel.state === "open"
  }

  /** Bytes in the channel plus bytes that are being sealed for it. The gates look at this. */
  get buffered(): number {
    return this.channel.bufferedAmount + this.#reserved
  }

  /** Books room for a message whose seal is still in work. */
  reserve(bytes: number): void {
    this.#reserved += bytes
  }

  /** Gives booked room back, just before {@link sendData} or after a failed seal. */
  unreserve(bytes: number): void {
    this.#reserved -= bytes
  }

  /** Sends a message with 8 free bytes in front of its link frame; its number and time are written into them. */
  sendData(message: Bytes, now: number): boolean {
    if (!this.open) return false
    writeLaneHeader(message, LANE_DATA, this.#sequence.take(), clockMicros(now))
    return this.#send(message)
  }

  /** Sends a report; those carry no lane number. */
  sendControl(message: Bytes): boolean {
    return this.open && this.#send(message)
  }

  /** Takes the peer's counters of this lane. `now` in ms. */
  reported(entry: LaneReportEntry, now: number): void {
    const last = this.#lastReport ?? { highest: -1, received: 0, at: now }
    const expected = laneSeqDelta(entry.highest, last.highest)
    const got = (entry.received - last.received) >>> 0
    if (expected <= 0) return
    const loss = Math.min(1, Math.max(0, 1 - got / expected))
    const weight = 1 - Math.exp(-Math.max(1, now - last.at) / LOSS_TIME_CONSTANT_MS)
    this.#loss = this.#loss === undefined ? loss : this.#loss + weight * (loss - this.#loss)
    this.#lastReport = { highest: entry.highest, received: entry.received, at: now }
  }

  stats(lostMessages: number): MeshLaneStats {
    return {
      id: this.id,
      role: this.role,
      state: this.channel.state,
      path: this.channel.path,
      sentMessages: this.#sentMessages,
      sentBytes: this.#sentBytes,
      receivedMessages: this.receivedMessages,
      receivedBytes: this.receivedBytes,
      lostMessages,
      ...(this.#loss === undefined ? {} : { reportedLoss: this.#loss }),
      bufferedAmount: this.channel.bufferedAmount,
      gateRefusals: this.gateRefusals,
    }
  }

  #send(message: Bytes): boolean {
    if (!this.channel.send(message)) return false
    this.#sentMessages += 1
    this.#sentBytes += message.length
    return true
  }
}
