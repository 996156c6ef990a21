/** One media lane as the mesh worker drives it: numbering, gates, health, counters, and what the peer reports about it. */
import type { LaneChannel, MediaLaneRole } from "../../../link/lane-port.ts"
import { clockMicros, LaneSequence, laneSeqDelta } from "../../../link/lane-sequence.ts"
import { LaneWatch } from "../../../link/lane-watch.ts"
import { LossMeter } from "../../../link/loss-meter.ts"
import { LANE_DATA, type LANE_PADDING, type LaneReportEntry, writeLaneHeader } from "../../../wire/lane-message.ts"
import type { Bytes } from "../../../wire/types.ts"
import type { MeshLaneStats } from "../types.ts"

export class Lane {
  gateRefusals = 0
  receivedMessages = 0
  receivedBytes = 0
  readonly watch = new LaneWatch()
  readonly #sequence = new LaneSequence()
  readonly #loss = new LossMeter()
  #reserved = 0
  #sentMessages = 0
  #sentBytes = 0
  #mostBuffered = 0
  #last = { highest: -1, received: 0 }
  #reported = false

  constructor(
    readonly id: number,
    readonly role: MediaLaneRole,
    readonly channel: LaneChannel,
  ) {}

  get open(): boolean {
    return this.channel.state === "open"
  }

  /** Open and not in trouble. */
  get usable(): boolean {
    return this.open && this.watch.takes
  }

  /** Bytes in the channel plus bytes that are being sealed for it. The gates look at this. */
  get buffered(): number {
    return this.channel.bufferedAmount + this.#reserved
  }

  /** Share of our messages that the peer's reports miss, 0..1. */
  get loss(): number {
    return this.#loss.loss
  }

  /** Books room for a message whose seal is still in work. */
  reserve(bytes: number): void {
    this.#reserved += bytes
    this.watch.booked()
  }

  /** Gives booked room back, just before {@link sendNumbered} or after a failed seal. */
  unreserve(bytes: number): void {
    this.#reserved -= bytes
  }

  /**
   * Sends a message with 8 free bytes in front; its number and time are written into them.
   * @returns the number, `undefined` when the lane did not take the message (then no number was used)
   */
  sendNumbered(message: Bytes, now: number, type: typeof LANE_DATA | typeof LANE_PADDING = LANE_DATA): number | undefined {
    if (!this.open) return undefined
    const laneSeq = this.#sequence.next
    writeLaneHeader(message, type, laneSeq, clockMicros(now))
    if (!this.#send(message)) return undefined
    this.#sequence.take()
    this.watch.sent(now)
    return laneSeq
  }

  /** Sends a report or a NACK; those carry no lane number. */
  sendControl(message: Bytes): boolean {
    return this.open && this.#send(message)
  }

  /** Messages that arrived at the peer since its last report. */
  risen(entry: LaneReportEntry): number {
    return (entry.received - this.#last.received) >>> 0
  }

  /** Takes the peer's counters of this lane. `now` in ms. */
  reported(entry: LaneReportEntry, now: number): void {
    const got = this.risen(entry)
    const lost = laneSeqDelta(entry.highest, this.#last.highest & 0xffffff) - got
    this.#loss.feed(got, lost, now)
    this.#last = { highest: entry.highest, received: entry.received }
    this.#reported = true
  }

  /** Call every few milliseconds. The last two as for {@link LaneWatch.tick}. */
  tick(now: number, pathDown: boolean, answerMs: number): void {
    const { bufferedAmount } = this.channel
    this.#mostBuffered = Math.max(this.#mostBuffered, bufferedAmount)
    this.watch.tick(now, this.channel.state !== "closed", bufferedAmount, pathDown, answerMs)
  }

  /** @param minDelayMs delay over the shortest one, from the peer's reports */
  stats(lostMessages: number, minDelayMs: number | undefined): MeshLaneStats {
    const { bufferedAmount } = this.channel
    const maxBufferedAmount = Math.max(this.#mostBuffered, bufferedAmount)
    this.#mostBuffered = 0
    return {
      id: this.id,
      role: this.role,
      state: this.channel.state,
      use: this.watch.use,
      path: this.channel.path,
      sentMessages: this.#sentMessages,
      sentBytes: this.#sentBytes,
      receivedMessages: this.receivedMessages,
      receivedBytes: this.receivedBytes,
      lostMessages,
      ...(this.#reported ? { reportedLoss: this.loss } : {}),
      ...(minDelayMs === undefined ? {} : { minDelayMs }),
      bufferedAmount,
      maxBufferedAmount,
      gateRefusals: this.gateRefusals,
    }
  }

  #send(message: Bytes): boolean {
    if (!this.channel.send(message)) return false
    this.#mostBuffered = Math.max(this.#mostBuffered, this.channel.bufferedAmount)
    this.#sentMessages += 1
    this.#sentBytes += message.length
    return true
  }
}
