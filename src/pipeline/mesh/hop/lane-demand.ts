/** When a link should have more or fewer video lanes, and which are dead: link-lanes LL-15, LL-16, LL-27, for both directions. */
import { type LaneDemand, LanePolicy, laneCount } from "../../../link/lane-policy.ts"
import type { Lanes } from "./lanes.ts"
import type { LinkReceiver } from "./receiver.ts"
import type { LinkSender } from "./sender.ts"

/** Evaluations are this far apart, ms. */
const EVALUATE_EVERY_MS = 2_000
/** A lane that was asked for and did not open is asked for again after this, ms. */
const ASK_AGAIN_MS = 10_000
/** The target is fitted to the lanes that are open this often, ms; and only when the loss stands on so many messages. */
const LIMIT_EVERY_MS = 250
const LIMIT_MESSAGES = 100
/** Lanes that refused nothing for this long, ms, carry more than the formula says: so much more than now may be tried. */
const ROOMY_MS = 2_000
const ROOMY_GROWTH = 1.25
/** Beside another transfer its losses hit our lanes too, and each gives way like one transfer: so many lanes, at once. */
const COMPETE_LANES = 4
/** Head room over what comes in, where the peer's target is not known. */
const INCOMING_MARGIN = 1.25

/** What the page is to do. */
export type LaneWish = { action: "add" } | { action: "remove"; laneId: number }

export class LaneDemands {
  readonly #lanes: Lanes
  readonly #sender: LinkSender
  readonly #receiver: LinkReceiver
  readonly #policy = new LanePolicy()
  #evaluatedAt: number | undefined
  #asked: { at: number; open: number } | undefined
  #wanted = 0
  #competes = false
  #limitedAt = Number.NEGATIVE_INFINITY
  #refusals = 0
  #refusedAt = Number.NEGATIVE_INFINITY

  constructor(lanes: Lanes, sender: LinkSender, receiver: LinkReceiver) {
    this.#lanes = lanes
    this.#sender = sender
    this.#receiver = receiver
  }

  /** Video lanes that the last evaluation asked for. */
  get wanted(): number {
    return this.#wanted
  }

  /** @param cap most video lanes of this link */
  evaluate(now: number, cap: number): LaneWish | undefined {
    this.#limit(now, cap)
    this.#evaluatedAt ??= now
    const open = this.#lanes.video(false).length
    const opened = this.#asked !== undefined && open > this.#asked.open && this.#wanted > open
    const next = opened || this.#contestBegins()
    if (!next && now - this.#evaluatedAt < EVALUATE_EVERY_MS) return undefined
    this.#evaluatedAt = now
    if (open === 0) return undefined
    const own = this.#own(cap, open)
    const theirs = this.#theirs(now, cap, open)
    const demand = laneCount(theirs).want > laneCount(own).want ? theirs : own
    const { want, action } = this.#policy.evaluate(now, demand)
    this.#wanted = want
    if (action === "add") return this.#add(now, open)
    this.#asked = undefined
    return action === "remove" ? this.#remove() : undefined
  }

  /** Never more than `cap` lanes carry (LL-27); and until those that are wanted are open, no more than the open ones do. */
  #limit(now: number, cap: number): void {
    if (now - this.#limitedAt < LIMIT_EVERY_MS) return
    this.#limitedAt = now
    const { rate } = this.#sender
    const open = this.#lanes.video(true).length
    const known = open > 0 && rate.losses.weight >= LIMIT_MESSAGES
    const limit = known ? laneCount(this.#own(Math.min(cap, Math.max(2, open)), open)).limit : undefined
    rate.limitTo(limit === undefined ? undefined : Math.max(limit, this.#proven(now)))
  }

  /** The formula stands for one long transfer per lane; what empty lanes take in a moment says more. Bit/s. */
  #proven(now: number): number {
    const { refusals } = this.#sender
    if (refusals > this.#refusals) this.#refusedAt = now
    this.#refusals = refusals
    return now - this.#refusedAt < ROOMY_MS ? 0 : ROOMY_GROWTH * this.#sender.rate.taken
  }

  #contestBegins(): boolean {
    const before = this.#competes
    this.#competes = this.#sender.rate.mode === "compete" && this.#sender.rate.givesWay
    return this.#competes && !before
  }

  #own(cap: number, open: number): LaneDemand {
    const { rate, laneLimited } = this.#sender
    const least = this.#competes ? { least: COMPETE_LANES } : {}
    return { rate: rate.demand, loss: rate.losses.loss, rttMs: rate.rttMs, cap, open, laneLimited, ...least }
  }

  /** Only one side may open lanes, so each looks at both directions. */
  #theirs(now: number, cap: number, open: number): LaneDemand {
    const rate = INCOMING_MARGIN * this.#receiver.videoRate(now)
    return { rate, loss: this.#receiver.video.loss, rttMs: this.#sender.rate.rttMs, cap, open, laneLimited: false }
  }

  /** One at a time, the next when it is open. */
  #add(now: number, open: number): LaneWish | undefined {
    const asked = this.#asked
    if (asked !== undefined && open <= asked.open && now - asked.at < ASK_AGAIN_MS) return undefined
    this.#asked = { at: now, open }
    return { action: "add" }
  }

  #remove(): LaneWish | undefined {
    const worst = this.#lanes.video(false).sort((a, b) => b.loss - a.loss || b.id - a.id)[0]
    return worst === undefined ? undefined : { action: "remove", laneId: worst.id }
  }
}
