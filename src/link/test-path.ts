/** A simulated path for tests of the rate controller: bottleneck with a drop-tail queue, loss, reordering, a Reno-like competitor. */

import { decodeLaneMessage, encodeLaneReport, type LaneReport } from "../wire/lane-message.ts"
import { seeded } from "../wire/seeded.ts"
import { LinkRate } from "./link-rate.ts"
import { LoopWatch } from "./loop-watch.ts"
import { MESSAGE_OVERHEAD, SendBudget } from "./pacer.ts"
import { START_RATE } from "./rate-controller.ts"
import { ReportBuilder } from "./report-builder.ts"
import type { NodeUplink } from "./uplink.ts"

const MESSAGE = 1_135
const COST = MESSAGE + MESSAGE_OVERHEAD

interface PathOptions {
  /** Bit/s on the path. */
  capacity: number
  rttMs: number
  /** How long a full queue takes to drain at the first capacity, ms. */
  bufferMs: number
  loss?: number
  /** Mean run of losses; 1: independent. */
  burst?: number
  seed?: number
}

/** A machine that is too busy: away for `lengthMs` (half to one and a half times that), on average every `everyMs`. */
interface Stalls {
  lengthMs: number
  everyMs: number
}

interface FlowOptions {
  /**
   * Where the threads of this flow are kept from running. What is sent right after such a time waits in the sending machine for
   * as long again at most.
   */
  senderStalls?: Stalls
  receiverStalls?: Stalls
  /** Nobody looks whether the threads were late. */
  unwatched?: boolean
  lanes?: number
  startMs?: number
  /** What the application has to send, bit/s; default as much as allowed. */
  wants?: number
  /** The encoder makes so many times what it is told. Default 1. */
  overshoot?: number
  /** The receiver's clock: its value at 0 in µs, and how fast it runs. */
  clockUs?: number
  clockPpm?: number
}

interface Passed {
  at: number
  bytes: number
  queueMs: number
  owner: unknown
}

export class Path {
  now = 0
  capacity: number
  readonly random: () => number
  readonly rttMs: number
  readonly flows: Flow[] = []
  readonly competitors: Competitor[] = []
  readonly passed: Passed[] = []
  /** With one, all flows are links of one node. */
  uplink: NodeUplink | undefined
  readonly #buffer: number
  readonly #loss: number
  readonly #burst: number
  #freeAt = 0
  #inBurst = false

  constructor(options: PathOptions) {
    this.capacity = options.capacity
    this.rttMs = options.rttMs
    this.#buffer = (options.capacity * options.bufferMs) / 8_000
    this.#loss = options.loss ?? 0
    this.#burst = options.burst ?? 1
    this.random = seeded(options.seed ?? 1)
  }

  flow(options: FlowOptions = {}): Flow {
    const flow = new Flow(this, options)
    this.flows.push(flow)
    return flow
  }

  compete(startMs: number, endMs: number): Competitor {
    const competitor = new Competitor(this, startMs, endMs)
    this.competitors.push(competitor)
    return competitor
  }

  run(untilMs: number): void {
    while (this.now < untilMs) {
      this.now += 1
      for (const flow of this.flows) flow.step()
      for (const competitor of this.competitors) competitor.step()
      if (this.uplink !== undefined && this.now % 50 === 0) this.#divide(this.uplink)
    }
  }

  /** When the packet is at the other end; `undefined`: lost. */
  carry(bytes: number, owner: unknown): number | undefined {
    const perMs = this.capacity / 8_000
    const waiting = Math.max(0, this.#freeAt - this.now)
    if (waiting * perMs + bytes > this.#buffer) return undefined
    this.#freeAt = this.now + waiting + bytes / perMs
    const at = this.#freeAt + this.rttMs / 2
    if (this.#lost()) return undefined
    this.passed.push({ at, bytes, queueMs: waiting, owner })
    return at
  }

  /** Bit/s that came through in a stretch of time. */
  throughput(from: number, to: number, owner?: unknown): number {
    const bytes = this.passed
      .filter((each) => each.at >= from && each.at < to && (owner === undefined || each.owner === owner))
      .reduce((sum, each) => sum + each.bytes, 0)
    return (8_000 * bytes) / (to - from)
  }

  queue95(from: number, to: number): number {
    const delays = this.passed.filter((each) => each.at >= from && each.at < to).map((each) => each.queueMs)
    return delays.sort((a, b) => a - b)[Math.floor(delays.length * 0.95)] ?? 0
  }

  /** First time at which the last half second ran at this rate, ms after `from`. */
  reached(rate: number, from: number, owner?: unknown): number {
    const windowMs = 200
    for (let at = from + windowMs; at < this.now; at += 50) {
      if (this.throughput(at - windowMs, at, owner) >= rate) return at - from
    }
    return Number.POSITIVE_INFINITY
  }

  #divide(uplink: NodeUplink): void {
    const users = this.flows.map((flow) => {
      const { allowed, delivered, queueNowMs } = flow.rate
      return [flow, { rate: allowed, delivered, needs: Number.POSITIVE_INFINITY, queueMs: queueNowMs }] as const
    })
    for (const [flow, cap] of uplink.share(new Map(users), this.now)) flow.rate.capTo(cap)
  }

  #lost(): boolean {
    if (this.#loss === 0) return false
    if (this.#burst === 1) return this.random() < this.#loss
    const leave = 1 / this.#burst
    const enter = (this.#loss * leave) / (1 - this.#loss)
    this.#inBurst = this.random() < (this.#inBurst ? 1 - leave : enter)
    return this.#inBurst
  }
}

/** Our sender and receiver, with the real report builder, digest and controller between them. */
class Flow {
  readonly rate = new LinkRate(START_RATE)
  /** Target at every millisecond. */
  readonly targets: number[] = []
  silent = false
  readonly #path: Path
  readonly #options: FlowOptions
  readonly #budget = new SendBudget()
  readonly #reports = new ReportBuilder()
  readonly #sequence: number[]
  #arriving: { at: number; laneId: number; laneSeq: number; sentUs: number }[] = []
  #answers: { at: number; report: LaneReport }[] = []
  #lane = 0
  #owed = 0
  #owedAt = 0
  #turnAt = 0
  readonly #here = new LoopWatch()
  readonly #there = new LoopWatch()
  #hereAwayUntil = 0
  #thereAwayUntil = 0
  #wireFreeAt = 0

  constructor(path: Path, options: FlowOptions) {
    this.#path = path
    this.#options = options
    this.#sequence = Array.from({ length: options.lanes ?? 3 }, () => 0)
  }

  step(): void {
    const { now } = this.#path
    const { startMs = 0, wants = Number.POSITIVE_INFINITY, overshoot = 1, senderStalls, receiverStalls } = this.#options
    if (now >= this.#thereAwayUntil) this.#thereAwayUntil = this.#awayUntil(receiverStalls)
    if (now >= this.#hereAwayUntil) {
      this.#hereAwayUntil = this.#awayUntil(senderStalls)
      if (this.#hereAwayUntil > now) this.#wireFreeAt = this.#hereAwayUntil + this.#path.random() * (this.#hereAwayUntil - now)
    }
    const there = now >= this.#thereAwayUntil
    const here = now >= this.#hereAwayUntil
    if (there) this.#receive(now)
    // Timers are never exact, and without that flows on one path would lock into a rhythm.
    const turn = now >= this.#turnAt
    if (turn) this.#turnAt = now + 3 + Math.floor(3 * this.#path.random())
    if (turn && there) {
      this.#there.tick(now)
      this.#answer(now)
    }
    while (here && this.#answers[0] !== undefined && this.#answers[0].at <= now) {
      const heldUpMs = this.#watched ? this.#here.longest(now, this.rate.rttMs + 100) : 0
      this.rate.take(this.#answers.shift()!.report, now, { laneLimited: false, heldUpMs })
    }
    this.targets.push(this.rate.target)
    if (now < startMs) this.#owedAt = now
    if (now < startMs || !turn || !here) return
    this.#here.tick(now)
    this.rate.tick(now)
    // An encoder makes about what it is told to; only the pacer may be faster for a moment.
    const made = Math.min(wants, overshoot * this.rate.target) * (now - this.#owedAt)
    this.#owed = Math.min(this.#owed + made / 8_000, 50_000)
    this.#owedAt = now
    this.#budget.refill(now, this.rate.pacerRate(now))
    while (this.#owed >= COST && this.#budget.covers(COST)) {
      this.#budget.pay(COST)
      this.#owed -= COST
      this.#send(now)
    }
  }

  get #watched(): boolean {
    return this.#options.unwatched !== true
  }

  #awayUntil(stalls: Stalls | undefined): number {
    if (stalls === undefined || this.#path.random() >= 1 / stalls.everyMs) return 0
    return this.#path.now + stalls.lengthMs * (0.5 + this.#path.random())
  }

  #send(now: number): void {
    const lane = this.#lane++ % this.#sequence.length
    const laneSeq = this.#sequence[lane]!++
    this.rate.sent(now, COST)
    const at = this.#path.carry(COST, this)
    const held = Math.max(0, this.#wireFreeAt - now)
    if (at !== undefined) this.#arriving.push({ at: at + held, laneId: 2 + lane, laneSeq, sentUs: (now * 1_000) % 0x100000000 })
  }

  #receive(now: number): void {
    while (this.#arriving[0] !== undefined && this.#arriving[0].at <= now) {
      const { at, laneId, laneSeq, sentUs } = this.#arriving.shift()!
      // In a thread that was away a message gets its time when it is taken in hand.
      const late = this.#options.receiverStalls !== undefined && now - at >= 1
      const us = this.#clockUs(late ? now : at) % 0x100000000
      this.#reports.receive(laneId, laneSeq, sentUs, us, MESSAGE, this.#watched && this.#there.late(now))
    }
  }

  #answer(now: number): void {
    if (!this.#reports.due(now)) return
    const report = this.#reports.build(this.#clockUs(now), now)
    if (report === undefined || this.silent) return
    const read = decodeLaneMessage(encodeLaneReport(report))
    if (read.type === "report") this.#answers.push({ at: now + this.#path.rttMs / 2, report: read })
  }

  #clockUs(ms: number): number {
    const { clockUs = 0, clockPpm = 0 } = this.#options
    return Math.floor(clockUs + ms * 1_000 * (1 + clockPpm / 1e6))
  }
}

/** A reliable transfer with the window of TCP Reno. */
class Competitor {
  readonly #path: Path
  readonly #startMs: number
  readonly #endMs: number
  #window = 10
  #threshold = Number.POSITIVE_INFINITY
  #inFlight = 0
  #cutAt = Number.NEGATIVE_INFINITY
  #events: { at: number; lost: boolean }[] = []

  constructor(path: Path, startMs: number, endMs: number) {
    this.#path = path
    this.#startMs = startMs
    this.#endMs = endMs
  }

  step(): void {
    const { now, rttMs } = this.#path
    const due = this.#events.filter((event) => event.at <= now)
    this.#events = this.#events.filter((event) => event.at > now)
    for (const { lost } of due) {
      this.#inFlight -= 1
      if (!lost) this.#window += this.#window < this.#threshold ? 1 : 1 / this.#window
      else if (now - this.#cutAt > rttMs) {
        this.#window = Math.max(2, this.#window / 2)
        this.#threshold = this.#window
        this.#cutAt = now
      }
    }
    if (now < this.#startMs || now >= this.#endMs) return
    while (this.#inFlight < Math.floor(this.#window)) {
      this.#inFlight += 1
      const at = this.#path.carry(COST, this)
      this.#events.push(at === undefined ? { at: now + rttMs + 50, lost: true } : { at: at + rttMs / 2, lost: false })
    }
  }
}
