/** One direction of an impaired path: bottleneck with a drop-tail queue, then loss, then delay. No clock and no sockets in here. */
import { seeded } from "../../src/wire/seeded.ts"
import { LossModel } from "./chance.ts"
import { DelayHistogram } from "./histogram.ts"

export interface PathSettings {
  /** Share of packets lost behind the bottleneck, 0..1. */
  loss: number
  /** Mean run of losses in packets; 1: independent. */
  burst: number
  /** One way, ms. */
  delayMs: number
  /** Up to so much more, evenly spread; packets keep their order, ms. */
  jitterMs: number
  /** Bit/s on the wire; Infinity: no bottleneck. */
  capacity: number
  /** A packet that would wait longer is dropped, ms. */
  queueMs: number
  /** A packet that finds so much waiting is dropped, bytes on the wire. */
  queueBytes: number
}

const CLEAN_PATH: PathSettings = {
  loss: 0,
  burst: 1,
  delayMs: 0,
  jitterMs: 0,
  capacity: Number.POSITIVE_INFINITY,
  queueMs: 200,
  queueBytes: Number.POSITIVE_INFINITY,
}

interface PathCounters {
  offeredPackets: number
  offeredBytes: number
  /** By the loss model. */
  lostPackets: number
  /** At the full queue. */
  droppedPackets: number
  deliveredPackets: number
  deliveredBytes: number
}

/** What happened in one {@link SLICE_MS}. */
export interface PathSlice {
  /** Start, on the clock of the caller. */
  at: number
  offeredBytes: number
  /** That left the bottleneck, later losses included. */
  passedBytes: number
  /** Longest wait at the bottleneck among the packets that left it, ms. */
  queueMs: number
}

export const SLICE_MS = 100
/** An hour of slices. */
const MAX_SLICES = 36_000

interface Waiting<T> {
  item: T
  bytes: number
  arrived: number
}

/** Times are milliseconds on any one clock; bytes are those on the wire. */
export class Path<T> {
  readonly counters: PathCounters = {
    offeredPackets: 0,
    offeredBytes: 0,
    lostPackets: 0,
    droppedPackets: 0,
    deliveredPackets: 0,
    deliveredBytes: 0,
  }
  /** Time at the bottleneck, own transmission excluded, of every packet that left it. */
  readonly waits = new DelayHistogram()
  readonly #random: () => number
  readonly #loss: LossModel
  readonly #queue: Waiting<T>[] = []
  readonly #line: { item: T; bytes: number; due: number }[] = []
  #settings: PathSettings
  #backlog = 0
  /** When the packet at the head will be through, and when its transmission began. */
  #headDone = 0
  #headBegan = 0
  #slices: PathSlice[] = []

  constructor(seed: number, settings: Partial<PathSettings> = {}) {
    this.#random = seeded(seed)
    this.#loss = new LossModel(seeded(seed ^ 0x5bd1e995))
    this.#settings = { ...CLEAN_PATH, ...settings }
  }

  get settings(): Readonly<PathSettings> {
    return this.#settings
  }

  /** Changes the path under the packets that are on it. */
  change(changes: Partial<PathSettings>, now: number): void {
    this.#transmit(now)
    const before = this.#settings.capacity
    this.#settings = { ...this.#settings, ...changes }
    if (this.#queue.length > 0 && Number.isFinite(before)) {
      // What is left of the head goes on at the new speed.
      this.#headDone = now + ((this.#headDone - now) * before) / this.#settings.capacity
    }
  }

  offer(item: T, bytes: number, now: number): void {
    this.#transmit(now)
    this.counters.offeredPackets++
    this.counters.offeredBytes += bytes
    this.#slice(now).offeredBytes += bytes
    const { capacity, queueMs, queueBytes } = this.#settings
    if (!Number.isFinite(capacity) && this.#queue.length === 0) {
      this.#through({ item, bytes, arrived: now }, now, now)
      return
    }
    const limit = Math.min(queueBytes, (capacity * queueMs) / 8_000)
    if (this.#queue.length > 0 && this.#backlog + bytes > limit) {
      this.counters.droppedPackets++
      return
    }
    this.#queue.push({ item, bytes, arrived: now })
    this.#backlog += bytes
    if (this.#queue.length === 1) this.#beginHead(now)
  }

  /** Everything that has arrived at the far end by `now`, in order. */
  take(now: number): T[] {
    this.#transmit(now)
    const arrived: T[] = []
    while (this.#line.length > 0 && this.#line[0]!.due <= now) {
      const { item, bytes } = this.#line.shift()!
      this.counters.deliveredPackets++
      this.counters.deliveredBytes += bytes
      arrived.push(item)
    }
    return arrived
  }

  /** When {@link Path.take} should be called next; undefined when nothing is on the path. */
  nextAt(): number | undefined {
    const due = this.#line[0]?.due
    const done = this.#queue.length > 0 ? this.#headDone : undefined
    return due === undefined ? done : done === undefined ? due : Math.min(due, done)
  }

  /** The slices so far; forgets them. */
  takeSlices(): PathSlice[] {
    const slices = this.#slices
    this.#slices = []
    return slices
  }

  #beginHead(at: number): void {
    this.#headBegan = at
    this.#headDone = at + (this.#queue[0]!.bytes * 8_000) / this.#settings.capacity
  }

  #transmit(now: number): void {
    while (this.#queue.length > 0 && this.#headDone <= now) {
      const packet = this.#queue.shift()!
      const done = this.#headDone
      this.#backlog -= packet.bytes
      this.#through(packet, this.#headBegan, done)
      if (this.#queue.length > 0) this.#beginHead(done)
    }
  }

  #through(packet: Waiting<T>, began: number, done: number): void {
    const { loss, burst, delayMs, jitterMs } = this.#settings
    const waited = began - packet.arrived
    this.waits.add(waited)
    const slice = this.#slice(done)
    slice.passedBytes += packet.bytes
    slice.queueMs = Math.max(slice.queueMs, waited)
    if (this.#loss.next(loss, burst)) {
      this.counters.lostPackets++
      return
    }
    const late = delayMs + (jitterMs > 0 ? this.#random() * jitterMs : 0)
    const due = Math.max(done + late, this.#line.at(-1)?.due ?? 0)
    this.#line.push({ item: packet.item, bytes: packet.bytes, due })
  }

  #slice(at: number): PathSlice {
    const start = Math.floor(at / SLICE_MS) * SLICE_MS
    // A transmission may end a little before the newest slice began: look back a few.
    for (let index = this.#slices.length - 1; index >= Math.max(0, this.#slices.length - 4); index--) {
      const slice = this.#slices[index]!
      if (slice.at === start) return slice
    }
    const slice: PathSlice = { at: start, offeredBytes: 0, passedBytes: 0, queueMs: 0 }
    this.#slices.push(slice)
    if (this.#slices.length > MAX_SLICES) this.#slices.shift()
    return slice
  }
}
