/** The per-link queue of link-lanes LL-8: retransmissions, base layer, enhancement; stale messages are shed as LL-24 says. */
import { STALE_MS } from "../../../link/shed.ts"
import type { ChunkLayer } from "../../../wire/types.ts"

/** Most messages that wait on one link: a second of video at 1.4 Mbit/s, far more than STALE_MS lets live. */
export const MAX_QUEUED = 1_024

/** What the queue needs to know about a message. */
export interface Queued {
  /** Names the stream; shedding never crosses streams. */
  streamKey: string
  /** Serial number of the frame inside its stream, growing without wrap. Undefined at a relay, which sees no frames. */
  frame?: number
  layer: ChunkLayer
  /** When the publisher made the frame, or a relay took the chunk in; ms. */
  madeAt: number
  /** How much longer it, and all that waits with it, may wait, ms: without a keyframe nothing after it is of use. */
  patienceMs?: number
}

/** First in, first out, one line per class. A lower class never overtakes a higher one. */
export class SendQueue<T extends Queued> {
  #again: T[] = []
  #base: T[] = []
  #enhancement: T[] = []
  #pushed = 0
  #shed = 0
  #scannedAt: number | undefined
  readonly #onShed: (item: T) => void

  /** @param onShed hears of every message that was shed, after the queue has forgotten it */
  constructor(onShed: (item: T) => void = () => {}) {
    this.#onShed = onShed
  }

  get length(): number {
    return this.#again.length + this.#base.length + this.#enhancement.length
  }

  /** Messages taken in so far, without retransmissions. */
  get pushed(): number {
    return this.#pushed
  }

  /** Messages dropped so far. */
  get shed(): number {
    return this.#shed
  }

  /** `false`: the queue is full and the message was dropped and counted. */
  push(item: T): boolean {
    this.#pushed += 1
    if (this.length >= MAX_QUEUED) {
      this.#shed += 1
      this.#onShed(item)
      return false
    }
    const line = isBase(item.layer) ? this.#base : this.#enhancement
    line.push(item)
    return true
  }

  /** Counts a message that is shed before it waits. */
  refuse(): void {
    this.#pushed += 1
    this.#shed += 1
  }

  /** Retransmissions in their order, before everything else (LL-14). */
  pushFirst(items: readonly T[]): void {
    this.#again = [...items, ...this.#again].slice(0, MAX_QUEUED)
  }

  /**
   * The message that goes next, after stale ones were shed; it stays in the queue until {@link shift}.
   *
   * @param patienceMs base frames of our own may wait so much longer: what comes after them is of no use without them
   */
  peek(now: number, staleMs = STALE_MS, patienceMs = 0): T | undefined {
    if (now !== this.#scannedAt) this.dropStale(now, staleMs, patienceMs)
    return this.#again[0] ?? this.#base[0] ?? this.#enhancement[0]
  }

  /** What of all that waits adds up to, by `measure`. */
  sum(measure: (item: T) => number): number {
    let sum = 0
    for (const line of [this.#again, this.#base, this.#enhancement]) for (const item of line) sum += measure(item)
    return sum
  }

  /** Takes what {@link peek} showed. */
  shift(): T | undefined {
    return this.#again.shift() ?? this.#base.shift() ?? this.#enhancement.shift()
  }

  /** The first waiting message of the base layer that `match` names. */
  findBase(match: (item: T) => boolean): T | undefined {
    return this.#base.find(match)
  }

  /** Removes what is of no use any more, and counts it as shed. */
  discard(match: (item: T) => boolean): void {
    const before = this.length
    this.remove(match)
    this.#shed += before - this.length
  }

  /** Removes every message that `match` names, uncounted: its subscription ended. */
  remove(match: (item: T) => boolean): void {
    this.#again = this.#again.filter((item) => !match(item))
    this.#base = this.#base.filter((item) => !match(item))
    this.#enhancement = this.#enhancement.filter((item) => !match(item))
  }

  /** Sheds what is older than `staleMs`, and what is of no use without it; see {@link peek}. */
  dropStale(now: number, staleMs: number, patienceMs = 0): void {
    this.#scannedAt = now
    if (this.length === 0) return
    // While a keyframe waits, what stands behind it is no more to blame than it is: shedding that would break other streams.
    const patience = this.#patience()
    const isStale = (item: T) => now - item.madeAt > staleMs + Math.max(patience, item.patienceMs ?? 0)
    const isStaleBase = (item: T) => isStale(item) && (item.frame === undefined || now - item.madeAt > staleMs + patienceMs)
    // A retransmission that comes too late takes nothing with it: the rest of its frame was sent.
    this.#again = this.#again.filter((item) => !isStale(item))
    for (;;) {
      const stale = this.#enhancement.find(isStale) ?? this.#base.find(isStaleBase)
      if (stale === undefined) return
      this.#shedWith(stale)
    }
  }

  /** Sheds enhancement layers older than `ageMs`: after a deep cut the base layer gets what is left. */
  dropEnhancement(now: number, ageMs: number): void {
    for (;;) {
      const old = this.#enhancement.find((item) => now - item.madeAt >= ageMs)
      if (old === undefined) return
      this.#shedWith(old)
    }
  }

  #patience(): number {
    let most = 0
    for (const item of this.#base) if (item.patienceMs !== undefined && item.patienceMs > most) most = item.patienceMs
    return most
  }

  #shedWith(stale: T): void {
    const goes = stale.frame === undefined ? this.#withLayer(stale) : this.#withFrame(stale, stale.frame)
    const shed = [...this.#base, ...this.#enhancement].filter(goes)
    this.#base = this.#base.filter((item) => !goes(item))
    this.#enhancement = this.#enhancement.filter((item) => !goes(item))
    this.#shed += shed.length
    for (const item of shed) this.#onShed(item)
  }

  /** The rest of the frame, and what builds on it up to the next base frame of the stream (LL-24, publisher). */
  #withFrame(stale: T, frame: number): (item: T) => boolean {
    const { streamKey, layer } = stale
    const nextBase = this.#base.find((item) => item.streamKey === streamKey && frameOf(item) > frame)
    const end = nextBase === undefined ? Number.POSITIVE_INFINITY : frameOf(nextBase)
    return (item) => {
      if (item.streamKey !== streamKey) return false
      const at = frameOf(item)
      return at === frame || (at > frame && at < end && buildsOn(item.layer, layer))
    }
  }

  /** The chunk itself, higher layers, and repair of its own layer (LL-24, relay). */
  #withLayer(stale: T): (item: T) => boolean {
    const { streamKey, layer } = stale
    return (item) => {
      if (item === stale) return true
      if (item.streamKey !== streamKey) return false
      const same = item.layer.spatial === layer.spatial && item.layer.temporal === layer.temporal
      return buildsOn(item.layer, layer) || (same && item.layer.quality >= 1)
    }
  }
}

function frameOf(item: Queued): number {
  return item.frame ?? Number.NEGATIVE_INFINITY
}

function isBase(layer: ChunkLayer): boolean {
  return layer.spatial === 0 && layer.temporal === 0
}

/** At least as high on both axes and higher on one. */
function buildsOn(upper: ChunkLayer, lower: ChunkLayer): boolean {
  const covers = upper.spatial >= lower.spatial && upper.temporal >= lower.temporal
  return covers && (upper.spatial > lower.spatial || upper.temporal > lower.temporal)
}
