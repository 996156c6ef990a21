/** The short per-link queue of link-lanes LL-8: base layer before enhancement, stale messages shed as LL-24 says. */
import { STALE_MS } from "../../../link/shed.ts"
import type { ChunkLayer } from "../../../wire/types.ts"

/** Most messages that wait on one link: a second of video at 1.4 Mbit/s, far more than STALE_MS lets live. */
export const MAX_QUEUED = 1_024

/** What the queue needs to know about a message. */
export interface Queued {
  /** Names the stream; shedding never crosses streams. */
  streamKey: string
  /** Serial number of the frame inside its stream, growing without wrap. */
  frame: number
  layer: ChunkLayer
  /** When the publisher made the frame, or a relay took the chunk in; ms. */
  madeAt: number
}

/** First in, first out, one line per class. A lower class never overtakes a higher one. */
export class SendQueue<T extends Queued> {
  #base: T[] = []
  #enhancement: T[] = []
  #shed = 0

  get length(): number {
    return this.#base.length + this.#enhancement.length
  }

  /** Messages dropped so far. */
  get shed(): number {
    return this.#shed
  }

  /** `false`: the queue is full and the message was dropped and counted. */
  push(item: T): boolean {
    if (this.length >= MAX_QUEUED) {
      this.#shed += 1
      return false
    }
    const line = isBase(item.layer) ? this.#base : this.#enhancement
    line.push(item)
    return true
  }

  /** The message that goes next, after stale ones were shed; it stays in the queue until {@link shift}. */
  peek(now: number): T | undefined {
    this.#dropStale(now)
    return this.#base[0] ?? this.#enhancement[0]
  }

  /** Takes what {@link peek} showed. */
  shift(): T | undefined {
    return this.#base.length > 0 ? this.#base.shift() : this.#enhancement.shift()
  }

  /** Removes every message that `match` names, uncounted: its subscription ended. */
  remove(match: (item: T) => boolean): void {
    this.#base = this.#base.filter((item) => !match(item))
    this.#enhancement = this.#enhancement.filter((item) => !match(item))
  }

  #dropStale(now: number): void {
    for (;;) {
      const stale = [this.#enhancement[0], this.#base[0]].find((item) => item !== undefined && now - item.madeAt > STALE_MS)
      if (stale === undefined) return
      this.#shedFrame(stale)
    }
  }

  /** The rest of the frame, and what builds on it up to the next base frame of the stream (LL-24, publisher). */
  #shedFrame(stale: T): void {
    const nextBase = this.#base.find((item) => item.streamKey === stale.streamKey && item.frame > stale.frame)
    const end = nextBase?.frame ?? Number.POSITIVE_INFINITY
    const before = this.length
    this.remove(
      (item) =>
        item.streamKey === stale.streamKey &&
        (item.frame === stale.frame || (item.frame > stale.frame && item.frame < end && buildsOn(item.layer, stale.layer))),
    )
    this.#shed += before - this.length
  }
}

function isBase(layer: ChunkLayer): boolean {
  return layer.spatial === 0 && layer.temporal === 0
}

/** At least as high on both axes and higher on one. */
function buildsOn(upper: ChunkLayer, lower: ChunkLayer): boolean {
  const covers = upper.spatial >= lower.spatial && upper.temporal >= lower.temporal
  return covers && (upper.spatial > lower.spatial || upper.temporal > lower.temporal)
}
