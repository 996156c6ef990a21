/** What a link sends as padding: probes for room, where nothing else waits, and what shows where something is missing. */
import type { LinkRate } from "../../../link/link-rate.ts"
import { MESSAGE_OVERHEAD, PACE, SendBudget } from "../../../link/pacer.ts"
import { LANE_HEADER_LENGTH, MAX_LANE_MESSAGE } from "../../../wire/lane-message.ts"
import type { Lane } from "./lane.ts"
import type { Lanes } from "./lanes.ts"
import { Nudges } from "./nudges.ts"
import { RateProbe } from "./rate-probe.ts"

/** A link that carried video this recently, ms, and sends less than it may, is probed this often, ms. */
const VIDEO_ACTIVE_MS = 500
const PROBE_EVERY_MS = 3_000
/** Each probe that showed a full path doubles the time to the next, up to this, ms. */
const PROBE_RARELY_MS = 60_000
/** Padding that only shows what is missing takes no more than this share of the target. */
const NUDGE_SHARE = 0.12
const NUDGE_COST = LANE_HEADER_LENGTH + MESSAGE_OVERHEAD

interface PaddingOptions {
  lanes: Lanes
  rate: LinkRate
  /** The lane that takes the next message, if any does. */
  choose(): Lane | undefined
  /** Sends padding of so many bytes; `false`: the lane did not take it. */
  send(lane: Lane, length: number, now: number): boolean
}

export class LinkPadding {
  readonly probe = new RateProbe()
  readonly #options: PaddingOptions
  readonly #nudges = new Nudges()
  readonly #nudgeBudget = new SendBudget()
  readonly #budget = new SendBudget()
  #videoAt = Number.NEGATIVE_INFINITY
  #probedAt = Number.NEGATIVE_INFINITY
  #probeEveryMs = PROBE_EVERY_MS

  constructor(options: PaddingOptions) {
    this.#options = options
  }

  /** A message with video went out on this lane. */
  sent(laneId: number, now: number): void {
    this.#videoAt = now
    this.#nudges.sent(laneId, this.#options.rate.losses.loss, now)
  }

  /** The other end misses something on this lane. */
  lost(laneId: number, now: number): void {
    this.#nudges.lost(laneId, this.#options.rate.losses.loss, now)
  }

  /** A quiet source would never find out that a rate cut for a bad moment can grow again. */
  probeIdle(now: number): void {
    const { rate } = this.#options
    if (now - this.#videoAt > VIDEO_ACTIVE_MS || now - this.#probedAt < this.#probeEveryMs || !rate.worthProbing(now)) return
    this.#probedAt = now
    this.probe.start(rate.target, rate.target, now, (fits) => {
      this.#probeEveryMs = fits ? PROBE_EVERY_MS : Math.min(PROBE_RARELY_MS, 2 * this.#probeEveryMs)
    })
  }

  /** That of a probe. */
  fill(now: number): void {
    this.#budget.refill(now, this.probe.extra(now) / PACE)
    while (this.probe.running(now) && this.#budget.covers(MAX_LANE_MESSAGE + MESSAGE_OVERHEAD)) {
      const lane = this.#options.choose()
      if (lane === undefined || !this.#options.send(lane, MAX_LANE_MESSAGE, now)) return
      this.#budget.pay(MAX_LANE_MESSAGE + MESSAGE_OVERHEAD)
    }
  }

  /** Shows the other end, and the associations, what is missing. @param queued it is a queue that loses, and more would lengthen it */
  nudge(now: number, queued: boolean): void {
    const { lanes, rate, send } = this.#options
    this.#nudgeBudget.refill(now, (NUDGE_SHARE * rate.target) / PACE)
    for (const laneId of this.#nudges.due(now)) {
      const lane = lanes.get(laneId)
      if (queued || lane?.usable !== true || !this.#nudgeBudget.covers(NUDGE_COST)) continue
      if (send(lane, LANE_HEADER_LENGTH, now)) this.#nudgeBudget.pay(NUDGE_COST)
    }
  }
}
