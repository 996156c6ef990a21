/** The media plane: symbols leave the source, pass relays with the product's own admission and duplicate windows, get lost and repeated. */
import { inSymbolRange } from "../../src/relay/index.ts"
import type { Clock } from "../engine/clock.ts"
import type { Random } from "../engine/random.ts"
import { passed, popcount } from "../model/loss.ts"
import { PACKET_OVERHEAD, type Scenario, SYMBOL_BYTES, sourceSymbols } from "../model/scenario.ts"
import type { Metrics } from "../report/metrics.ts"
import type { Hop, Hops } from "./hop.ts"
import { EVENT } from "./kinds.ts"
import { REMEMBERED_GROUPS, type SimPeer } from "./peer.ts"

const PACKET_BYTES = SYMBOL_BYTES + PACKET_OVERHEAD
/** Epoch of every chunk: keys are not simulated. */
const EPOCH = 1n
/** A gap shows with the next packet of the same group, or with the next group. */
const REORDER_MS = 5
/** LL-14: a repeat is refused for a chunk older than this where it is sent. */
const REPEAT_AGE_MS = 130
const SECOND_ASK_AFTER_MS = 30
/** LL-26: repeats take at most this share of the link's rate. */
const REPEAT_SHARE = 0.2
const REQUEST_BYTES = 8 + 29 + 28 + 28 + 12
const KEEP_ALIVE_BYTES = 57 + 8 + 28 + 29 + 28
/** A queue at the own uplink above this is what the rate controller calls congestion, ms. */
const CONGESTED_QUEUE_MS = 50

interface MediaDuties {
  /** Tells the parent manager of the child. */
  heard(child: SimPeer, parent: SimPeer, chunk: boolean): void
  /** First chunk of a subscription came. */
  firstChunk(hop: Hop): void
}

export class MediaPlane {
  readonly #scenario: Scenario
  readonly #clock: Clock
  readonly #hops: Hops
  readonly #metrics: Metrics
  readonly #duties: MediaDuties
  readonly #loss: Random
  readonly #jitter: Random
  /** Symbols that a decoder needs, and all there are. */
  readonly #needed: number
  readonly #every: number
  readonly #symbols: number
  readonly #intervalMs: number
  readonly #sequences: { group: number; list: bigint[] }[] = []

  constructor(scenario: Scenario, clock: Clock, hops: Hops, metrics: Metrics, random: Random, duties: MediaDuties) {
    this.#scenario = scenario
    this.#clock = clock
    this.#hops = hops
    this.#metrics = metrics
    this.#duties = duties
    this.#loss = random.fork("loss")
    this.#jitter = random.fork("jitter")
    this.#needed = sourceSymbols(scenario)
    this.#symbols = this.#needed + scenario.repair
    this.#every = 2 ** this.#symbols - 1
    this.#intervalMs = 1_000 / scenario.groups
  }

  publishedAt(group: number): number {
    return group * this.#intervalMs
  }

  publish(source: SimPeer, group: number): void {
    const now = this.#clock.now
    const slot = source.slotOf(group, now)
    source.addSymbols(slot, this.#every)
    source.decoded(slot, now, 0)
    source.heardAt = now
    this.#forward(source, group, this.#every, 0)
  }

  arrive(hopId: number, group: number, mask: number, steps: number): void {
    const hop = this.#hops.get(hopId)
    if (hop === undefined || !hop.child.alive) return
    const { child, parent } = hop
    if (child.up.get(parent.index) !== hop) return
    const now = this.#clock.now
    child.heardAt = now
    this.#duties.heard(child, parent, true)
    if (child.up.get(parent.index) !== hop) return
    const slot = child.slotOf(group, now)
    if (slot < 0) return
    hop.receivedSymbols += popcount(mask)
    hop.lateMs.push(now - child.firstAt(slot))
    if (!hop.delivered) {
      hop.delivered = true
      this.#duties.firstChunk(hop)
    }
    const fresh = this.#fresh(hop, group, mask)
    if (fresh === 0) return
    child.newSymbols += popcount(fresh)
    const held = child.addSymbols(slot, fresh)
    if (!child.isDecoded(slot) && popcount(held) >= this.#needed) {
      child.decoded(slot, now, steps)
      this.#metrics.decoded(child, group, now - this.publishedAt(group), steps, now)
    }
    this.#forward(child, group, fresh, steps)
  }

  repeat(hopId: number, group: number, mask: number, asked: number): void {
    const hop = this.#hops.get(hopId)
    if (hop === undefined || !hop.open || !hop.parent.alive || !hop.child.alive) return
    const { parent } = hop
    const now = this.#clock.now
    const held = parent.maskOf(group) & mask
    const age = now - (parent.isSource ? this.publishedAt(group) : parent.firstAt(group % 128))
    if (held === 0 || age >= REPEAT_AGE_MS) {
      this.#metrics.repeatsRefused += popcount(mask)
      return
    }
    const bytes = popcount(held) * PACKET_BYTES
    const budget = (REPEAT_SHARE * this.#symbols * PACKET_BYTES * this.#scenario.groups) | 0
    if (hop.repeatedBytes + bytes > budget) {
      this.#metrics.repeatsRefused += popcount(mask)
      return
    }
    hop.repeatedBytes += bytes
    this.#metrics.repeats += popcount(held)
    this.#send(hop, group, held, 0, asked + 1)
  }

  /** D-6, D-39: with nothing else to say, and only while the source itself is heard. */
  keepAlives(peer: SimPeer): void {
    const now = this.#clock.now
    if (!peer.isSource && now - peer.heardAt > 1_000) return
    for (const { hop } of peer.roster) {
      if (!hop.open || now - hop.lastSentAt < 500) continue
      hop.lastSentAt = now
      this.#metrics.control(peer, hop.child, "keepAlive", KEEP_ALIVE_BYTES)
      if (this.#loss.chance(this.#scenario.loss)) continue
      this.#clock.plan(hop.oneWayMs + this.#jitterMs(), EVENT.keepAlive, hop.id)
    }
  }

  keepAlive(hopId: number): void {
    const hop = this.#hops.get(hopId)
    if (hop === undefined || !hop.child.alive || hop.child.up.get(hop.parent.index) !== hop) return
    hop.child.heardAt = this.#clock.now
    this.#duties.heard(hop.child, hop.parent, false)
  }

  /** Those of the symbols that no parent has brought yet. */
  #fresh(hop: Hop, group: number, mask: number): number {
    let fresh = 0
    // What it has of the group was admitted before: the windows need not be asked again.
    for (let left = mask & ~hop.child.maskOf(group); left !== 0; ) {
      const bit = left & -left
      left ^= bit
      const sequence = this.#sequence(group, 31 - Math.clz32(bit))
      if (hop.child.duplicates.admit(hop.parent.keyId, EPOCH, sequence)) fresh |= bit
    }
    return fresh
  }

  /** Chunk numbers of a group: made once for everybody. */
  #sequence(group: number, symbol: number): bigint {
    const slot = group % REMEMBERED_GROUPS
    let known = this.#sequences[slot]
    if (known?.group !== group) {
      const list = Array.from({ length: this.#symbols }, (_, index) => BigInt(group * this.#symbols + index))
      known = { group, list }
      this.#sequences[slot] = known
    }
    return known.list[symbol]!
  }

  #forward(peer: SimPeer, group: number, mask: number, steps: number): void {
    for (const { hop } of peer.roster) {
      if (!hop.open) continue
      const wanted = hop.range === undefined ? mask : this.#ofRange(mask, hop.range)
      if (wanted !== 0) this.#send(hop, group, wanted, steps + 1, 0)
    }
  }

  #ofRange(mask: number, range: readonly [number, number]): number {
    let wanted = 0
    for (let index = 0; index < this.#symbols; index++) if (inSymbolRange(range, index)) wanted |= 1 << index
    return mask & wanted
  }

  #send(hop: Hop, group: number, mask: number, steps: number, asked: number): void {
    const now = this.#clock.now
    const { uplink } = hop.parent
    const bytes = popcount(mask) * PACKET_BYTES
    if (uplink.queueMs(now) > CONGESTED_QUEUE_MS) hop.congested = true
    const left = uplink.send(bytes, now)
    hop.lastSentAt = now
    if (left === undefined) {
      hop.congested = true
      this.#metrics.shed += popcount(mask)
      return
    }
    hop.sentBits += bytes * 8
    this.#metrics.sent += popcount(mask)
    const through = passed(mask, this.#scenario, hop.loss, this.#loss)
    const delay = left - now + hop.oneWayMs + this.#jitterMs()
    if (through !== 0)
      this.#clock.plan(delay, EVENT.arrive, hop.id, group, through, steps === 0 ? this.#stepsOf(hop, group) : steps)
    const lost = mask & ~through
    if (lost !== 0 && this.#scenario.nack && asked < 2) this.#ask(hop, group, lost, asked, delay, through)
  }

  #stepsOf(hop: Hop, group: number): number {
    return hop.parent.isSource ? 1 : hop.parent.hopsOf(group) + 1
  }

  /** The child notices the gap and asks; a request can get lost as well, then the second one counts. */
  #ask(hop: Hop, group: number, lost: number, asked: number, delay: number, through: number): void {
    const noticed = asked === 0 ? delay + (through >= lost ? REORDER_MS : this.#intervalMs) : delay + SECOND_ASK_AFTER_MS
    this.#metrics.control(hop.child, hop.parent, "repeatRequest", REQUEST_BYTES)
    const again = this.#loss.chance(this.#scenario.loss) ? 2 * hop.oneWayMs + SECOND_ASK_AFTER_MS : 0
    if (again > 0 && asked > 0) return
    this.#clock.plan(noticed + again + hop.oneWayMs + this.#jitterMs(), EVENT.repeat, hop.id, group, lost, again > 0 ? 1 : asked)
  }

  #jitterMs(): number {
    return this.#scenario.jitterMs === 0 ? 0 : this.#jitter.exponential(this.#scenario.jitterMs)
  }
}
