/** Control messages between two peers: reliable and in order, delayed by losses, gone when the receiver is. */
import type { Clock } from "../engine/clock.ts"
import type { Random } from "../engine/random.ts"
import { type LossModel, reliableDelayMs } from "../model/loss.ts"
import { oneWayMs } from "../model/places.ts"
import type { ControlKind, Metrics } from "../report/metrics.ts"
import { EVENT } from "./kinds.ts"
import type { SimPeer } from "./peer.ts"

/** Around each message: control frame, SCTP, DTLS, UDP, IP. */
const AROUND_BYTES = 20 + 28 + 29 + 28
/** Round trips before a new link can carry a subscription: ICE, DTLS (2), SCTP (2), HELLO and key exchange (3). */
const LINK_ROUND_TRIPS = 8
/** Describing each other through a member that both know, ms. */
const INTRODUCTION_MS = 120
/** Keys and hybrid signatures of both sides. */
const LINK_BYTES = 14_000

export class Mail {
  readonly #clock: Clock
  readonly #metrics: Metrics
  readonly #loss: LossModel
  readonly #random: Random
  readonly #calls: (() => void)[] = []
  readonly #free: number[] = []
  /** By sender and receiver: when the last message arrives. */
  readonly #order = new Map<number, number>()

  constructor(clock: Clock, metrics: Metrics, loss: LossModel, random: Random) {
    this.#clock = clock
    this.#metrics = metrics
    this.#loss = loss
    this.#random = random.fork("mail")
  }

  get now(): number {
    return this.#clock.now
  }

  later(delay: number, run: () => void): void {
    const place = this.#free.pop() ?? this.#calls.length
    this.#calls[place] = run
    this.#clock.plan(delay, EVENT.call, place)
  }

  /** The event came. */
  run(place: number): void {
    const run = this.#calls[place]!
    this.#free.push(place)
    run()
  }

  send(from: SimPeer, to: SimPeer, kind: ControlKind, bytes: number, run: () => void): void {
    this.#metrics.control(from, to, kind, bytes + AROUND_BYTES)
    const pair = from.index * 0x100000 + to.index
    const delay = reliableDelayMs(oneWayMs(from.place, to.place), this.#loss, this.#random)
    const at = Math.max(this.now + delay, this.#order.get(pair) ?? 0)
    this.#order.set(pair, at)
    this.later(at - this.now, () => {
      if (to.alive) run()
    })
  }

  /** Time until a new link between the two is ready. */
  linkMs(a: SimPeer, b: SimPeer): number {
    this.#metrics.control(a, b, "linkSetup", LINK_BYTES)
    const oneWay = oneWayMs(a.place, b.place)
    let delay = INTRODUCTION_MS
    for (let trip = 0; trip < 2 * LINK_ROUND_TRIPS; trip++) delay += reliableDelayMs(oneWay, this.#loss, this.#random)
    return delay
  }
}
