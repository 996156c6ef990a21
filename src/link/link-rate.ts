/** The rate of one link and direction: reports in, target out, with silence, path changes and what the sender leaves unused. */
import type { LaneReport } from "../wire/lane-message.ts"
import { AUDIO_LANE } from "./lane-port.ts"
import { LossMeter } from "./loss-meter.ts"
import { LossSpread } from "./loss-spread.ts"
import { OwnQueue } from "./own-queue.ts"
import { PACE } from "./pacer.ts"
import { FREE_MS, FULL_MS, RateController, type RateMode, START_RATE, silence } from "./rate-controller.ts"
import { type RateDigest, ReportDigester, roundTripMs } from "./rate-digest.ts"
import { SlowBase } from "./slow-base.ts"

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
/** Longer than this between two turns of the clock, and the silence was ours, ms. */
const AWAY_MS = 100
/** So many reports in a row may be put aside because we were kept from running. */
const MAX_PUT_ASIDE = 5
/**
 * When a competitor has gone, the controller alone goes back fast to 0.7 of what the path carried before and from there on in
 * small steps. For this long, ms, the fast way goes on to this share, growing by this part per second.
 */
const COMEBACK_MS = 5_000
const COMEBACK_SHARE = 0.95
const COMEBACK_GROWTH = 0.5
/**
 * Capacity that went may come back: after this time without a queue, ms, the way back to what was carried not long ago, ms, is
 * tried fast. A queue ends the attempt, and the next one waits, ms.
 */
const RETURN_AFTER_MS = 500
const CARRIED_LATELY_MS = 20_000
const RETURN_AGAIN_MS = 1_500
/** The rate before we gave way to a queue that was not ours is kept up for so long, until it has arrived over there, ms. */
const REGAIN_MS = 1_000
/** Of what is sent at most this share counts as lost by the path itself. */
const MOST_LOST = 0.15
/**
 * One spell of queueing takes no more than this away of what arrived before it, until it is known whose queue it is: whoever
 * sends nothing beside a competitor learns nothing, and has to come back from the least rate.
 */
const SPELL_SHARE = 0.3
const GAVE_WAY_SHARE = 0.5
/** What looks like a shorter queue may be messages that were lost and came again, ms. */
const LONG_QUEUE_MS = 60
/** A cut to less than this share also empties the queue of what is far back (LL-12 notes). */
const DEEP_CUT = 0.7

/** What our side knows while a report is taken. */
interface Conditions {
  /** The gates refused for 150 ms without a break. */
  laneLimited: boolean
  /** For how long this thread was kept from running while those messages went out, ms: so much of a queue may be ours. */
  heldUpMs?: number
}

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
  #cap = Number.POSITIVE_INFINITY
  #wish = START_RATE
  readonly #spread = new LossSpread()
  readonly #ownQueue = new OwnQueue()
  readonly #slowBase = new SlowBase()
  #giveWay = Number.POSITIVE_INFINITY
  /** The rate when giving way began. */
  #contested = 0
  #regainUntil = Number.NEGATIVE_INFINITY
  /** When the first message went out that no report has answered; ms. */
  #unansweredSince: number | undefined
  #silenceCuts = 0
  #suspectedDead = false
  #tickAt: number | undefined
  #putAside = 0
  /** Most that was delivered while nobody competed, bit/s; and until when the way back there is short. */
  #carried = 0
  #comebackUntil = Number.NEGATIVE_INFINITY
  #carriedAt = Number.NEGATIVE_INFINITY
  #freeSince: number | undefined
  #returning = false
  #returnFrom = Number.NEGATIVE_INFINITY
  #digestAt = Number.NEGATIVE_INFINITY
  /** What arrived when the present spell of queueing began, bit/s. */
  #spellBegan: number | undefined
  /** Counts of the digests that were put aside. */
  #pending = { got: 0, lost: 0 }

  constructor(startRate = START_RATE) {
    this.#controller = new RateController(startRate)
  }

  /** What the link may send over all video lanes, bit/s. */
  get target(): number {
    return Math.min(this.#controller.rate, this.#limit, this.#cap, this.#giveWay)
  }

  /** What there should be lanes for, bit/s: the target, or what the streams need where it is the lanes that keep it down. */
  get demand(): number {
    const target = this.target
    return this.#limit > target ? target : Math.max(target, Math.min(this.#wish, this.#cap))
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

  /** A long queue, ours or somebody else's, has taken more than half of what the path carried. */
  get givesWay(): boolean {
    if (this.#queueNow < LONG_QUEUE_MS) return false
    return this.mode === "compete" || (this.#spellBegan !== undefined && this.target < GAVE_WAY_SHARE * this.#spellBegan)
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

  /** Less than one would like to have, nothing against more, and too little sent to find out: worth a probe. */
  worthProbing(now: number): boolean {
    const low = this.target < this.#wish && Math.min(this.#limit, this.#cap) > this.target
    return low && this.mayProbe(now)
  }

  /** What its streams would like to have, bit/s; never less than the first rate of an unknown peer. */
  wish(rate: number): void {
    this.#wish = Math.max(START_RATE, rate)
  }

  /** Nothing speaks against sending more than is needed for a moment, and without it the rate would not grow. */
  mayProbe(now: number): boolean {
    const free = this.mode !== "compete" && this.#queueNow < FREE_MS && !this.#suspectedDead
    return free && this.measured && this.#use.share(now) < USED_SHARE
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

  /** What path and lanes allow, whatever the node has for this link; bit/s. */
  get allowed(): number {
    return Math.min(this.#controller.rate, this.#limit, this.#giveWay)
  }

  /** The node has no more than this for the link, or its streams need no more; bit/s. */
  capTo(rate: number): void {
    this.#cap = rate
  }

  /** A probe has shown that the path carries this much, bit/s. */
  proved(rate: number): void {
    this.#controller.keep(rate)
  }

  /** The lanes carry no more than this (LL-27); `undefined` when they do. */
  limitTo(rate: number | undefined): void {
    this.#limit = rate ?? Number.POSITIVE_INFINITY
  }

  take(report: Omit<LaneReport, "type">, now: number, { laneLimited, heldUpMs = 0 }: Conditions): ReportEffect {
    const result = this.#digester.take(report, now)
    if (result.kind === "old") return { old: true, deepCut: false }
    this.#unansweredSince = undefined
    this.#silenceCuts = 0
    this.#suspectedDead = false
    if (!("digest" in result)) {
      const audio = report.entries.find((entry) => entry.laneId === AUDIO_LANE && entry.count > 0)
      if (audio !== undefined && heldUpMs === 0) this.#smoothRtt(roundTripMs(audio.minDelayUs, report.nowUs, now))
      return { old: false, deepCut: false }
    }
    if (this.#putsAside(result.digest, heldUpMs)) return { old: false, deepCut: false }
    const { got, lost } = this.#pending
    const digest = { ...result.digest, got: result.digest.got + got, lost: result.digest.lost + lost }
    this.#pending = { got: 0, lost: 0 }
    if (heldUpMs === 0 || this.#rtt === undefined || this.#putAside > 0) this.#smoothRtt(digest.rtt)
    if (digest.q <= FULL_MS) this.#putAside = 0
    this.#queueNow = digest.q
    this.#queue += (digest.q - this.#queue) * SMOOTHING
    this.losses.feed(digest.got, digest.lost, now)
    const before = this.#controller.rate
    const unused = this.#use.share(now) < USED_SHARE
    const capped = this.#controller.rate > Math.min(this.#limit, this.#cap, this.#giveWay)
    const limited = laneLimited || unused || capped
    const competed = this.#controller.mode === "compete"
    this.#spell(digest.q)
    const told = this.#spread.feed(digest.lost, digest.q >= FREE_MS, now)
    this.#controller.feed({ ...digest, lost: told, now, limited })
    const long = digest.q >= LONG_QUEUE_MS
    if (long && this.#spellBegan !== undefined) this.#controller.keep(Math.min(before, SPELL_SHARE * this.#spellBegan))
    this.#comeBack(digest.q, competed, limited, now)
    const { mode, delivered } = this.#controller
    const { limit, newBase, theirs } = this.#ownQueue.look({ now, q: digest.q, rtt: digest.rtt, mode, delivered })
    if (limit < Number.POSITIVE_INFINITY && this.#giveWay === Number.POSITIVE_INFINITY) this.#contested = this.#controller.rate
    if (theirs) this.#regainUntil = now + REGAIN_MS
    if (mode === "compete" && now < this.#regainUntil) this.#controller.keep(this.#contested)
    this.#giveWay = limit
    const slower = mode === "steady" && this.#slowBase.look(now, digest.q, { target: this.target, delivered })
    if (newBase || slower) this.#digester.forgetBase()
    // What arrives of an idle link is what was sent, not what the path carries: no reason to go down there at once.
    if (unused && (long || this.#controller.mode !== "compete")) {
      this.#controller.keep((this.#controller.mode === "compete" && digest.lost === 0 ? 1 : IDLE_CUT) * before)
    }
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
    const away = this.#tickAt === undefined ? 0 : now - this.#tickAt
    this.#tickAt = now
    if (this.#unansweredSince === undefined) return
    // Reports that came in the meantime are still waiting for us.
    if (away > AWAY_MS) this.#unansweredSince = Math.min(now, this.#unansweredSince + away)
    const { cuts, dead } = silence(this.rttMs, now - this.#unansweredSince)
    for (; this.#silenceCuts < cuts; this.#silenceCuts++) this.#controller.cutForSilence()
    this.#suspectedDead = dead
  }

  /** Another candidate pair is in use, or ICE was restarted. */
  pathChanged(): void {
    this.#digester.forgetBase()
    this.#controller.pathChanged()
    this.#carried = 0
    this.#comebackUntil = Number.NEGATIVE_INFINITY
  }

  /**
   * A queue that shows while we were kept from running may have stood in this machine. Believed when it stays: a path that is
   * full is not overlooked for longer than a quarter of a second.
   */
  #putsAside({ q, got, lost }: RateDigest, heldUpMs: number): boolean {
    // What was sent right afterwards may have waited for as long again in the network stack of the same busy machine.
    if (q <= FULL_MS || q > 2 * heldUpMs || this.#putAside >= MAX_PUT_ASIDE) return false
    this.#putAside += 1
    this.#pending = { got: this.#pending.got + got, lost: this.#pending.lost + lost }
    return true
  }

  #spell(q: number): void {
    if (this.mode !== "steady" || q < FREE_MS) this.#spellBegan = undefined
    else if (q >= FULL_MS) this.#spellBegan ??= Math.min(this.#controller.rate, this.#controller.delivered)
  }

  #comeBack(q: number, competed: boolean, limited: boolean, now: number): void {
    const { mode, rate } = this.#controller
    const passed = Math.min(200, now - this.#digestAt)
    this.#digestAt = now
    if (mode !== "steady") this.#comebackUntil = Number.NEGATIVE_INFINITY
    else if (competed) this.#comebackUntil = now + COMEBACK_MS
    else if (q < FULL_MS) this.#carried = Math.max(this.#carried, this.taken)
    const returning = this.#returns(q, now) && !limited
    if ((now >= this.#comebackUntil && !returning) || q >= FREE_MS || limited) return
    const grown = rate * (1 + (COMEBACK_GROWTH * passed) / 1_000)
    this.#controller.keep(Math.min(COMEBACK_SHARE * this.#carried, grown))
  }

  /** What the path took in lately, bit/s: what it loses by itself has gone out as well. */
  get taken(): number {
    return this.#controller.delivered / (1 - Math.min(MOST_LOST, this.losses.loss))
  }

  /** Whether the way back to what the path carried a moment ago may be tried now. */
  #returns(q: number, now: number): boolean {
    const { mode, rate } = this.#controller
    if (this.taken >= COMEBACK_SHARE * this.#carried) this.#carriedAt = now
    if (mode !== "steady" || q >= FREE_MS) {
      if (this.#returning && q >= FREE_MS) this.#returnFrom = now + RETURN_AGAIN_MS
      this.#returning = false
      this.#freeSince = undefined
      return false
    }
    this.#freeSince ??= now
    const lately = now - this.#carriedAt < CARRIED_LATELY_MS && rate < COMEBACK_SHARE * this.#carried
    this.#returning = lately && now - this.#freeSince >= RETURN_AFTER_MS && now >= this.#returnFrom
    return this.#returning
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
