/**
 * Which symbol of its object a chunk is, told from clear headers alone, so that a parent can serve a part of the symbols (D-29). The
 * symbol id itself is inside the seal. A publisher numbers the chunks of an object one after the other, source symbols
 * (`quality` 0) before repair; where objects end in repair, that shows where each one begins.
 *
 * Every parent of a stream, the publisher included, counts like this: two that know the index of a chunk know the same one, so that
 * parts which complete each other leave no chunk out.
 */
import { CODEC_FOUNTAIN } from "../wire/layers.ts"
import type { ChunkHeader, U64 } from "../wire/types.ts"

/** So many objects in a row must have ended in repair before the next one is trusted to. */
const SEEN_ENDS = 2
/** Chunks that are remembered; a power of two, and more than overtake each other. */
const REMEMBERED = 512

interface Place {
  seq: U64
  /** Spatial and temporal layer. */
  layer: number
  quality: number
  /** Of its object; undefined while the beginning is not known. */
  index: number | undefined
  /** Objects in a row before this one that ended in repair. */
  ends: number
}

export class SymbolIndex {
  #epoch: U64 | undefined
  readonly #places: (Place | undefined)[] = new Array(REMEMBERED).fill(undefined)

  /**
   * Takes the chunks of a stream as they come. `undefined`: it cannot be told (a chunk before it is missing, or objects without
   * repair run into each other), and the chunk must be taken to be any symbol.
   */
  of({ epoch, chunkSeq: seq, codecId, layer }: ChunkHeader): number | undefined {
    if (codecId !== CODEC_FOUNTAIN) return undefined
    if (epoch !== this.#epoch) {
      this.#epoch = epoch
      this.#places.fill(undefined)
    }
    const place: Place = { seq, layer: layer.spatial * 256 + layer.temporal, quality: layer.quality, index: undefined, ends: 0 }
    this.#places[slot(seq)] = place
    this.#follow(place, this.#at(seq - 1n))
    // Those that overtook it now know where they stand.
    let before = place
    for (let next = this.#at(seq + 1n); next !== undefined && before.index !== undefined; next = this.#at(next.seq + 1n)) {
      if (next.index !== undefined && next.ends >= SEEN_ENDS) break
      this.#follow(next, before)
      before = next
      if (next.seq - seq >= REMEMBERED) break
    }
    return place.ends >= SEEN_ENDS ? place.index : undefined
  }

  #follow(place: Place, before: Place | undefined): void {
    if (before === undefined) return
    const begins = place.quality === 0 && (before.quality > 0 || before.layer !== place.layer)
    if (begins) {
      place.index = 0
      place.ends = before.quality > 0 ? before.ends + 1 : 0
    } else if (before.index !== undefined) {
      place.index = before.index + 1
      place.ends = before.ends
    }
  }

  #at(seq: U64): Place | undefined {
    const place = this.#places[slot(seq)]
    return place?.seq === seq ? place : undefined
  }
}

function slot(seq: U64): number {
  return Number(BigInt.asUintN(32, seq)) & (REMEMBERED - 1)
}

/** Whether a subscription for the symbols `[from, to)` gets the chunk; without a range, or where the index is not known, it does. */
export function inSymbolRange(range: readonly [from: number, to: number] | undefined, index: number | undefined): boolean {
  return range === undefined || index === undefined || (index >= range[0] && index < range[1])
}
