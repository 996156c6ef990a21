/** The rate of one link and direction: reports in, target out, with silence, path changes and what the sender leaves unused. */
import type { LaneReport } from "../wire/lane-message.ts"
import { AUDIO_LANE } from "./lane-port.ts"
import { LossMeter } from "./loss-meter.ts"
import { PACE } from "./pacer.ts"
import { FREE_MS, RateController, type RateMode, START_RATE, silence } from "./rate-controller.ts"
import { ReportDigester, roundTripMs } from "./rate-digest.ts"

/** Round trip taken for granted before the first report, ms. */
const UNKNOWN_RTT_MS = 100
/** Weight of one report in the smoothed round trip and queueing delay. */
const SMOOTHING = 0.1
/** Below this share of the allowed bytes the sender, not the path, is the limit; judged over this time in ms (LL-12). */
const USED_SHARE = 0.8
const USE_WINDOW_MS = 500
const USE_STEP_MS = 50
/** One cut of a link that leaves most of its rate unused goes no deeper than this. */
const IDLE_CUT = 0.7
/** More than was allowed, by this factor, calls for patience. */
const MOST_USED = 1.1
/** A cut to less than this share also empties the queue of what is far back (LL-12 notes). */
const DEEP_CUT = 0.7

/** What a report changed. */
interface ReportEffect {
  /** Not newer than the last: nothing in it counts. */
  old: boolean
  /** The rate fell by more than 30 %. */
  deepCut: boolean
}

export class LinkRate {
  readonly #controller: RateController
  readonly #digester = new ReportDigester()
  readonly #use = new UseMeter()
  readonly losses = new LossMeter()
  #rtt: number | undefined
  #queue = 0
  #queueNow = 0
  #limit = Number.POSITIVE_INFINITY
  /** When the first message went out that no report has answered; ms. */
  #unansweredSince: number | undefined
  #silenceCuts = 0
  #suspectedDead = false

  constructor(startRate = START_RATE) {
    this.#controller = new RateController(startRate)
  }

  /** What the link may send over all video lanes, bit/s. */
  get target(): number {
    return Math.min(this.#controller.rate, this.#limit)
  }

  /**
   * What the pacer is to be given: as a rule the target, which it exceeds by its factor for the length of a frame. A sender that
   * always has more than the target would fill the path with that factor and then take its own queue for a competitor's, so
   * after half a second above the target the target itself is the limit.
   */
  pacerRate(now: number): number {
    return this.#use.share(now) > MOST_USED ? this.target / PACE : this.target
  }

  get mode(): RateMode {
    return this.#controller.mode
  }

  /** Smoothed, ms; {@link UNKNOWN_RTT_MS} before the first report. */
  get rttMs(): number {
    return this.#rtt ?? UNKNOWN_RTT_MS
  }

  /** `true` once the peer has reported anything. */
  get measured(): boolean {
    return this.#rtt !== undefined
  }

  /** Queueing delay of the path, smoothed, ms. */
  get queueMs(): number {
    return this.#queue
  }

  /** Queueing delay that the last report showed, ms. */
  get queueNowMs(): number {
    return this.#queueNow
  }

  /** Less than the first rate of an unknown peer, nothing against more, and too little sent to find out: worth a probe. */
  worthProbing(now: number): boolean {
    const low = this.target < START_RATE && this.#limit > this.target
    const free = this.mode !== "compete" && this.#queueNow < FREE_MS && !this.#suspectedDead
    return low && free && this.measured && this.#use.share(now) < USED_SHARE
  }

  /** Bit/s that arrived lately. */
  get delivered(): number {
    return this.#controller.delivered
  }

  get baseChanges(): number {
    return this.#digester.baseChanges
  }

  /** No report for more than 1 500 ms although messages went out. */
  get suspectedDead(): boolean {
    return this.#suspectedDead
  }

  /** Delay of a lane over its shortest one, ms. */
  laneDelay(laneId: number): number | undefined {
    return this.#digester.laneDelay(laneId)
  }

  /** What another link to this peer could send. Ignored once something was measured. */
  startAt(rate: number | undefined): void {
    if (rate !== undefined && !this.measured) this.#controller.startAt(rate)
  }

  /** The lanes carry no more than this (LL-27); `undefined` when they do. */
  limitTo(rate: number | undefined): void {
    this.#limit = rate ?? Number.POSITIVE_INFINITY
  }

  /** Takes a report. @param laneLimited the gates refused for 150 ms without a break */
  take(report: Omit<LaneReport, "type">, now: number, laneLimited: boolean): ReportEffect {
    const result = this.#digester.take(report, now)
    if (result.kind === "old") return { old: true, deepCut: false }
    this.#unansweredSince = undefined
    this.#silenceCuts = 0
    this.#suspectedDead = false
    if (!("digest" in result)) {
      const audio = report.entries.find((entry) => entry.laneId === AUDIO_LANE && entry.count > 0)
      if (audio !== undefined) this.#smoothRtt(roundTripMs(audio.minDelayUs, report.nowUs, now))
      return { old: false, deepCut: false }
    }
    const { digest } = result
    this.#smoothRtt(digest.rtt)
    this.#queueNow = digest.q
    this.#queue += (digest.q - this.#queue) * SMOOTHING
    this.losses.feed(digest.got, digest.lost, now)
    const before = this.#controller.rate
    const unused = this.#use.share(now) < USED_SHARE
    const capped = this.#controller.rate > this.#limit
    this.#controller.feed({ ...digest, now, limited: laneLimited || unused || capped })
    // What arrives of an idle link is what was sent, not what the path carries: no reason to go down there at once.
    if (unused && this.#controller.mode !== "compete") this.#controller.keep(IDLE_CUT * before)
    return { old: false, deepCut: this.#controller.rate < DEEP_CUT * before }
  }

  /** A message went out on a video lane. @param cost bytes with what lies under them */
  sent(now: number, cost: number): void {
    this.#unansweredSince ??= now
    this.#use.sent(now, cost)
  }

  /** Call every few milliseconds. */
  tick(now: number): void {
    this.#use.allow(now, this.target)
    if (this.#unansweredSince === undefined) return
    const { cuts, dead } = silence(this.rttMs, now - this.#unansweredSince)
    for (; this.#silenceCuts < cuts; this.#silenceCuts++) this.#controller.cutForSilence()
    this.#suspectedDead = dead
  }

  /** Another candidate pair is in use, or ICE was restarted. */
  pathChanged(): void {
    this.#digester.forgetBase()
    this.#controller.pathChanged()
  }

  #smoothRtt(rtt: number): void {
    this.#rtt = this.#rtt === undefined ? rtt : this.#rtt + (rtt - this.#rtt) * SMOOTHING
  }
}

/** How much of what was allowed was sent, over the last half second. */
class UseMeter {
  readonly #steps: { at: number; sent: number; allowed: number }[] = []
  #allowedAt: number | undefined

  sent(now: number, cost: number): void {
    this.#step(now).sent += cost
  }

  /** @param rate bit/s since the last call */
  allow(now: number, rate: number): void {
    const passed = this.#allowedAt === undefined ? 0 : Math.min(200, now - this.#allowedAt)
    this.#allowedAt = now
    // Before the first message nothing was left unused.
    if (this.#steps.length > 0) this.#step(now).allowed += (rate * passed) / 8_000
  }

  share(now: number): number {
    let sent = 0
    let allowed = 0
    for (const step of this.#steps) {
      if (now - step.at > USE_WINDOW_MS) continue
      sent += step.sent
      allowed += step.allowed
    }
    return allowed === 0 ? 1 : sent / allowed
  }

  #step(now: number): { sent: number; allowed: number } {
    const last = this.#steps.at(-1)
    if (last !== undefined && now - last.at < USE_STEP_MS) return last
    const step = { at: now, sent: 0, allowed: 0 }
    this.#steps.push(step)
    while (now - this.#steps[0]!.at > USE_WINDOW_MS) this.#steps.shift()
    return step
  }
}
