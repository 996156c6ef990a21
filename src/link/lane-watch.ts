/** Watches one media lane for the signs of LL-16 and brings a lane that recovers back carefully. */
import { laneHealth } from "./lane-health.ts"

/** A clock that jumps by more than this says that we slept, not that the lane did; ms. */
const SLEPT_MS = 300
/** A lane that came back carries one message per report for this long, ms. */
const CAREFUL_MS = 200
/** A lane in doubt carries one message in this time, ms. */
const DOUBTFUL_EVERY_MS = 250

/** `careful`: back after trouble, one message per report. */
export type LaneUse = "ok" | "careful" | "suspect" | "dead"

export class LaneWatch {
  /** The oldest message that no report has answered went out then; ms. */
  #unansweredSince: number | undefined
  #received = 0
  #buffered = 0
  /** Bytes wait since then without getting fewer; ms. */
  #stuckSince: number | undefined
  #suspectSince: number | undefined
  #carefulUntil: number | undefined
  #carefulSent = false
  #othersRose = false
  #tickAt: number | undefined
  #doubtful = false
  #bookedAt = Number.NEGATIVE_INFINITY
  #use: LaneUse = "ok"

  get use(): LaneUse {
    return this.#use
  }

  /**
   * No answer for longer than one takes, while other lanes get theirs: too early to call the lane suspect, late enough to send
   * what matters elsewhere. It carries a message now and then until it answers.
   */
  get doubtful(): boolean {
    return this.#doubtful
  }

  /** Whether the lane takes one more message. */
  get takes(): boolean {
    if (this.#use === "ok" && this.#doubtful) return (this.#tickAt ?? 0) - this.#bookedAt >= DOUBTFUL_EVERY_MS
    return this.#use === "ok" || (this.#use === "careful" && !this.#carefulSent)
  }

  /** A message is on its way to the lane. */
  booked(): void {
    this.#carefulSent = true
    this.#bookedAt = this.#tickAt ?? Number.NEGATIVE_INFINITY
  }

  sent(now: number): void {
    this.#unansweredSince ??= now
    this.#carefulSent = true
  }

  /**
   * The peer's cumulative count of this lane.
   * @param othersRose the same report showed progress on another lane
   */
  reported(received: number, othersRose: boolean, now: number): void {
    this.#carefulSent = false
    if (received === this.#received) {
      this.#othersRose ||= othersRose && this.#unansweredSince !== undefined
      return
    }
    this.#received = received
    this.#unansweredSince = undefined
    this.#othersRose = false
    this.#doubtful = false
    this.#stuckSince = undefined
    if (this.#use === "suspect") {
      this.#suspectSince = undefined
      this.#carefulUntil = now + CAREFUL_MS
      this.#use = "careful"
    }
  }

  /**
   * Call every few milliseconds.
   * @param buffered `bufferedAmount`, with `open` that of the channel
   * @param pathDown nothing comes on any lane of the link: the path is at fault, and no lane dies of it
   * @param answerMs by then a message is answered by a report, if anything gets through
   */
  tick(now: number, open: boolean, buffered: number, pathDown = false, answerMs = Number.POSITIVE_INFINITY): void {
    const slept = this.#tickAt !== undefined && now - this.#tickAt > SLEPT_MS
    this.#tickAt = now
    if (slept) this.#startOver(now)
    if (buffered === 0 || buffered < this.#buffered) this.#stuckSince = undefined
    if (buffered > 0) this.#stuckSince ??= now
    this.#buffered = buffered
    const unanswered = this.#unansweredSince === undefined ? 0 : now - this.#unansweredSince
    this.#doubtful = this.#othersRose && unanswered > answerMs
    if (this.#use === "careful" && now >= (this.#carefulUntil ?? 0)) this.#use = "ok"
    const health = laneHealth({
      connection: "connected",
      channelOpen: open,
      noRiseMs: unanswered,
      othersRose: this.#othersRose,
      bufferedStuckMs: this.#stuckSince === undefined ? 0 : now - this.#stuckSince,
      suspectMs: this.#suspectSince === undefined ? 0 : now - this.#suspectSince,
    })
    if (health === "suspect") this.#suspectSince = pathDown ? now : (this.#suspectSince ?? now)
    else if (health === "ok") this.#suspectSince = undefined
    if (health !== "ok") this.#use = health
    else if (this.#use === "suspect") {
      this.#carefulUntil = now + CAREFUL_MS
      this.#use = "careful"
    }
  }

  /** The lane runs over another path: a suspect one is tried again, carefully. */
  pathChanged(now: number): void {
    this.#unansweredSince = undefined
    this.#stuckSince = undefined
    this.#othersRose = false
    if (this.#use !== "suspect") return
    this.#suspectSince = undefined
    this.#carefulSent = false
    this.#carefulUntil = now + CAREFUL_MS
    this.#use = "careful"
  }

  #startOver(now: number): void {
    if (this.#unansweredSince !== undefined) this.#unansweredSince = now
    if (this.#stuckSince !== undefined) this.#stuckSince = now
    if (this.#suspectSince !== undefined) this.#suspectSince = now
    this.#othersRose = false
  }
}
