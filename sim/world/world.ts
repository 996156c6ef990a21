/** The whole simulation: people come, relay, watch and go, and everything that happens is an event of one virtual clock. */
import { CapacityAdvertiser, CapacityEstimator } from "../../src/alm/index.ts"
import { UNCAPPED } from "../../src/wire/layers.ts"
import { Clock } from "../engine/clock.ts"
import { Random } from "../engine/random.ts"
import { drawPlace, oneWayMs, type Place } from "../model/places.ts"
import { HEADROOM, type Scenario, sourceSymbols, wireKbps } from "../model/scenario.ts"
import { Metrics } from "../report/metrics.ts"
import { type Hop, Hops } from "./hop.ts"
import { EVENT } from "./kinds.ts"
import { Mail } from "./mail.ts"
import { MediaPlane } from "./media.ts"
import { newKeyId, newNodeId } from "./names.ts"
import { SimPeer } from "./peer.ts"
import { Receiving } from "./receive.ts"
import { SimRoom, UNIX_BEGIN } from "./room.ts"
import { Serving } from "./serve.ts"

/** Parents are looked at this often: twice as often as the heal machine needs. */
const TICK_MS = 250
const SECOND_MS = 1_000
/** Promises and plans are settled this often. */
const SLICE_MS = 100
/** A newcomer is introduced, links to a member and is welcomed into the group within this time, ms. */
const JOIN_MS = [400, 1_200] as const
/** How long a leaver lets its children move. */
const GOODBYE_MS = 1_500
/** Silence of a neighbour that died (RM-15). */
const LOST_MS = 6_000
/** A group is judged when it is this old; media that late is worth nothing. */
const JUDGE_MS = 2_000
/** What a jitter buffer of a broadcast still takes. */
const ON_TIME_MS = 1_000
/** A receiver counts from this long after its first picture. */
const SETTLE_MS = 3_000
/** Before the measured time begins, everybody may find a place. */
const CALM_MS = 15_000

export class World {
  readonly scenario: Scenario
  readonly metrics: Metrics
  readonly source: SimPeer
  readonly room: SimRoom
  readonly peers: SimPeer[] = []
  readonly #random: Random
  readonly #clock: Clock
  readonly #hops = new Hops()
  readonly #mail: Mail
  readonly #media: MediaPlane
  readonly #receiving: Receiving
  readonly #serving: Serving
  readonly #mbps: number
  /** By group: how many live parents each peer had when it was published, two at most. */
  readonly #parentsAt: Uint8Array[] = []
  readonly #living = new Set<SimPeer>()

  /** `stories`: so many of the slowest re-parents are described. */
  constructor(scenario: Scenario, stories = 0) {
    this.metrics = new Metrics(stories)
    if (sourceSymbols(scenario) + scenario.repair > 30)
      throw new RangeError("a group has at most 30 symbols: more groups per second")
    this.scenario = scenario
    this.#random = new Random(scenario.seed, "sim")
    this.#clock = new Clock((kind, a, b, c, d) => this.#handle(kind, a, b, c, d))
    this.#mbps = wireKbps(scenario) / 1_000
    this.#mail = new Mail(this.#clock, this.metrics, scenario, this.#random)
    const random = this.#random.fork("places")
    const place = drawPlace(random, [{ multiple: scenario.sourceUplink, share: 1 }], wireKbps(scenario), false)
    this.source = this.#newPeer(place, true)
    this.room = new SimRoom(this.metrics, this.source.keyId, this.#mbps, scenario)
    this.#receiving = new Receiving(
      scenario,
      this.room,
      this.#mail,
      this.metrics,
      this.#mbps,
      this.source.keyId,
      () => this.#serving,
    )
    this.#serving = new Serving(this.room, this.#hops, this.#mail, this.metrics, this.#mbps, this.#receiving)
    this.#media = new MediaPlane(scenario, this.#clock, this.#hops, this.metrics, this.#random, {
      heard: (child, parent, chunk) => this.#receiving.heard(child, parent, chunk),
      firstChunk: (hop) => {
        this.metrics.diary.note(hop.child.index, this.#clock.now, `${hop.parent.index} delivers`)
        this.metrics.hasParents(hop.child, this.liveParents(hop.child), this.#clock.now)
      },
    })
    this.#plan()
  }

  get now(): number {
    return this.#clock.now
  }

  get events(): number {
    return this.#clock.ran
  }

  /** Plays everything. `progress` is told the virtual time now and then. */
  async run(progress?: (now: number) => void): Promise<void> {
    // The last groups are judged when nobody can need them any more.
    const end = this.metrics.end + JUDGE_MS
    for (let at = 0; at < end; at += SLICE_MS) {
      this.#clock.run(at)
      await this.room.settle()
      if (at % SECOND_MS === 0) {
        this.room.refreshRing()
        if (at % 5_000 === 0) this.room.sweep(at)
      }
      if (this.room.updatePlan(at)) {
        for (const peer of this.#living) {
          peer.reserved.plan(this.room.plannedChildren(peer, at), at)
          this.#receiving.refreshTree(peer)
        }
      }
      if (at % 5_000 === 0) progress?.(at)
    }
    this.#clock.run(end)
    this.metrics.finish(end, 5_000)
  }

  /** Parents that live, do not go, and have delivered. */
  liveParents(peer: SimPeer): number {
    let count = 0
    for (const { parent, open, delivered } of peer.up.values()) if (open && delivered && parent.alive && !parent.leaving) count++
    return count
  }

  get receivers(): SimPeer[] {
    return [...this.#living].filter((peer) => !peer.isSource)
  }

  #plan(): void {
    const { scenario, metrics } = this
    const random = this.#random.fork("churn")
    this.room.enter(this.source, 0)
    this.#start(this.source)
    const rampMs = scenario.rampSeconds * 1_000
    for (let i = 0; i < scenario.peers; i++) this.#mail.later((rampMs * (i + 1)) / scenario.peers, () => this.#come())
    metrics.begin = rampMs + CALM_MS
    metrics.end = metrics.begin + scenario.seconds * 1_000
    this.#mail.later(metrics.begin, () => {
      metrics.measuring = true
    })
    const leavesPerMs = (scenario.churnPerMinute * scenario.peers) / 60_000
    for (let at = metrics.begin; leavesPerMs > 0; ) {
      at += random.exponential(1 / leavesPerMs)
      if (at >= metrics.end) break
      const graceful = random.chance(scenario.graceful)
      const lot = random.unit()
      this.#mail.later(at, () => this.#go(lot, graceful))
      // Somebody else comes, so that the room keeps its size.
      this.#mail.later(at + random.exponential(1_000), () => this.#come())
    }
    this.#clock.plan(0, EVENT.publish, 0)
  }

  #newPeer(place: Place, isSource: boolean): SimPeer {
    const { scenario } = this
    const index = this.peers.length
    const random = this.#random.fork(`peer ${index}`)
    const copies = isSource ? scenario.sourceUplink : place.uplink / wireKbps(scenario)
    const peer = new SimPeer(index, newKeyId(random), newNodeId(random), place, random, {
      isSource,
      queueMs: scenario.queueMs,
      headroom: HEADROOM,
      limits: this.#limits(copies * this.#mbps),
    })
    this.peers.push(peer)
    return peer
  }

  #limits(uplinkMbps: number) {
    // A hair more, so that a sum of rates that fills it exactly still fits.
    return { maxStreams: 8, maxSubscribersPerStream: 64, uplinkMbps: uplinkMbps * 1.001 }
  }

  #come(): void {
    const { scenario } = this
    const place = drawPlace(this.#random.fork(`place ${this.peers.length}`), scenario.uplinks, wireKbps(scenario), scenario.nat)
    const peer = this.#newPeer(place, false)
    peer.joinedAt = this.#clock.now
    this.#mail.later(peer.random.between(...JOIN_MS), () => {
      this.room.enter(peer, this.#clock.now)
      this.#start(peer)
      this.#receiving.begin(peer)
    })
  }

  #start(peer: SimPeer): void {
    this.#living.add(peer)
    peer.advertiser = new CapacityAdvertiser(() => peer.random.unit())
    if (this.scenario.capacity === "measured") {
      const copies = peer.place.uplink / wireKbps(this.scenario)
      peer.estimator = new CapacityEstimator({
        layerMbps: this.#mbps,
        startMbps: 2 * this.#mbps,
        limitMbps: copies * this.#mbps * 1.001,
      })
    }
    // Everybody at a time of their own.
    this.#clock.plan(peer.random.unit() * TICK_MS, EVENT.tick, peer.index)
    this.#clock.plan(peer.random.unit() * SECOND_MS, EVENT.second, peer.index)
  }

  #go(lot: number, graceful: boolean): void {
    const stayers = this.receivers.filter(({ leaving }) => !leaving)
    const peer = stayers[Math.floor(lot * stayers.length)]
    if (peer === undefined) return
    if (!graceful) {
      this.#childrenLose(peer, false, () => this.#die(peer))
      this.#mail.later(LOST_MS + this.room.ring.floodMs, () => this.room.remove(peer, this.#clock.now))
      return
    }
    this.#childrenLose(peer, true, () => {
      peer.leaving = true
    })
    for (const { hop } of [...peer.roster]) this.#serving.sayLeaving(hop, GOODBYE_MS)
    this.#mail.later(GOODBYE_MS + 50, () => {
      this.#receiving.end(peer)
      this.#die(peer)
      this.#mail.later(this.room.ring.floodMs, () => this.room.remove(peer, this.#clock.now))
    })
  }

  /** A loss is what leaves a child with fewer live parents: who is just moving and has another one already has lost nothing. */
  #childrenLose(peer: SimPeer, graceful: boolean, go: () => void): void {
    const now = this.#clock.now
    const before = [...peer.roster].flatMap(({ hop }) => {
      const { child } = hop
      if (!hop.delivered || !child.alive || child.leaving || child.up.get(peer.index) !== hop) return []
      return [{ child, target: Math.min(2, this.liveParents(child)) }]
    })
    go()
    for (const { child, target } of before) {
      if (this.liveParents(child) < target) this.metrics.parentGone(child, now, graceful, target)
    }
  }

  #die(peer: SimPeer): void {
    peer.alive = false
    peer.leftAt = this.#clock.now
    peer.manager = undefined
    this.#living.delete(peer)
    this.metrics.childGone(peer)
    const fed = [...peer.up.values()]
    // Its parents go on sending until they notice.
    this.#mail.later(LOST_MS, () => {
      for (const hop of fed) this.#serving.close(hop)
    })
  }

  #handle(kind: number, a: number, b: number, c: number, d: number): void {
    switch (kind) {
      case EVENT.call:
        this.#mail.run(a)
        break
      case EVENT.arrive:
        this.#media.arrive(a, b, c, d)
        break
      case EVENT.repeat:
        this.#media.repeat(a, b, c, d)
        break
      case EVENT.keepAlive:
        this.#media.keepAlive(a)
        break
      case EVENT.tick:
        this.#tick(this.peers[a]!)
        break
      case EVENT.second:
        this.#second(this.peers[a]!)
        break
      case EVENT.publish:
        this.#publish(a)
        break
      case EVENT.judge:
        this.#judge(a)
        break
    }
  }

  #publish(group: number): void {
    const { peers } = this
    const parents = new Uint8Array(peers.length)
    for (const peer of this.#living) {
      if (!peer.isSource) parents[peer.index] = Math.min(2, this.liveParents(peer))
    }
    this.#parentsAt[group % 128] = parents
    this.#media.publish(this.source, group)
    this.#clock.plan(JUDGE_MS, EVENT.judge, group)
    this.#clock.plan(this.#media.publishedAt(group + 1) - this.#clock.now, EVENT.publish, group + 1)
  }

  #judge(group: number): void {
    const published = this.#media.publishedAt(group)
    const { metrics } = this
    if (!metrics.counts(published)) return
    const parents = this.#parentsAt[group % 128]!
    const slice = metrics.slice(published - metrics.begin)
    let starved = 0
    for (const peer of this.#living) {
      if (peer.isSource) continue
      if (peer.playingAt < published && parents[peer.index] === 0) starved++
      if (published < peer.playingAt + SETTLE_MS) continue
      const late = peer.decodedAt(group) - published
      const delivered = late <= JUDGE_MS
      metrics.expected++
      slice.expected++
      if (delivered) {
        metrics.delivered++
        slice.delivered++
      }
      if (late <= ON_TIME_MS) metrics.onTime++
      if (parents[peer.index] === 2) {
        metrics.expectedFull++
        if (delivered) metrics.deliveredFull++
      }
      if (delivered && group % 10 === 0) metrics.stretch.add(late / oneWayMs(this.source.place, peer.place))
    }
    slice.peers = this.#living.size - 1
    slice.starved = starved
  }

  #tick(peer: SimPeer): void {
    if (!peer.alive) return
    this.#receiving.tick(peer)
    this.#media.keepAlives(peer)
    this.#clock.plan(TICK_MS, EVENT.tick, peer.index)
  }

  #second(peer: SimPeer): void {
    if (!peer.alive) return
    const now = this.#clock.now
    this.#receiving.second(peer)
    this.#advertise(peer, now)
    // Every few seconds, and each at a time of its own: who else could be asked.
    if (peer.random.chance(0.2)) this.#receiving.refreshCandidates(peer)
    if (this.metrics.counts(now)) this.metrics.peerMs += SECOND_MS
    this.#clock.plan(SECOND_MS, EVENT.second, peer.index)
  }

  #advertise(peer: SimPeer, now: number): void {
    const { advertiser, estimator } = peer
    if (advertiser === undefined || peer.leaving) return
    const links = [...peer.roster].map(({ hop }) => this.#sample(hop))
    if (estimator !== undefined) {
      estimator.sample(links, UNIX_BEGIN + now)
      Object.assign(peer.ledger.limits, this.#limits(estimator.uplinkMbps))
    }
    const { maxStreams, maxSubscribersPerStream, uplinkMbps = 0 } = peer.ledger.limits
    advertiser.setPromise({
      uplinkMbps,
      maxStreams,
      maxSubscribersPerStream,
      maxLayerSupported: UNCAPPED,
      subStreamCommitments: [],
    })
    advertiser.enterEpoch(this.room.epoch, UNIX_BEGIN + now)
    const due = advertiser.due(UNIX_BEGIN + now)
    if (due !== undefined) this.room.advertise(peer, due.capacity, due.epoch, now)
  }

  /** What went over the link in the last second, less what was lost. */
  #sample(hop: Hop) {
    const deliveredMbps = (hop.sentBits / 1e6) * (1 - this.scenario.loss)
    const { congested } = hop
    hop.sentBits = 0
    hop.congested = false
    hop.repeatedBytes = 0
    return { deliveredMbps, congested }
  }
}
