/** Chunks of an epoch whose key is still on its way, kept sealed for a moment (D-38). */
import type { Bytes, U64 } from "../../wire/types.ts"

/** A commit that takes longer than this to arrive loses the frames; ms. */
export const HOLD_MS = 2_000
/** Bound per stream and over all streams, in bytes. A hostile sender can cost no more. */
export const HOLD_STREAM_BYTES = 2 * 1_048_576
export const HOLD_TOTAL_BYTES = 8 * 1_048_576
/** Counted per chunk beside its bytes, so that many tiny chunks are bounded too. */
const HOLD_OVERHEAD = 256

interface HeldChunk {
  streamKey: string
  epoch: U64
  /** Header and inner ciphertext. */
  innerChunk: Bytes
  heldAt: number
}

export class HoldQueue {
  #chunks: HeldChunk[] = []
  #total = 0
  readonly #perStream = new Map<string, { bytes: number; chunks: number }>()

  /** `false`: over a limit, the chunk must be dropped. */
  add(chunk: HeldChunk): boolean {
    const cost = costOf(chunk)
    const stream = this.#perStream.get(chunk.streamKey) ?? { bytes: 0, chunks: 0 }
    if (stream.bytes + cost > HOLD_STREAM_BYTES || this.#total + cost > HOLD_TOTAL_BYTES) return false
    this.#perStream.set(chunk.streamKey, { bytes: stream.bytes + cost, chunks: stream.chunks + 1 })
    this.#total += cost
    this.#chunks.push(chunk)
    return true
  }

  /** Takes the chunks of `epoch` out, in order of arrival. */
  release(epoch: U64): HeldChunk[] {
    return this.#take((chunk) => chunk.epoch === epoch)
  }

  /** Takes out what has waited too long; the caller counts it. */
  expire(now: number): HeldChunk[] {
    if (this.#chunks.length === 0 || now - this.#chunks[0]!.heldAt <= HOLD_MS) return []
    return this.#take((chunk) => now - chunk.heldAt > HOLD_MS)
  }

  /** Forgets the chunks of a stream that ended. */
  forget(streamKey: string): void {
    this.#take((chunk) => chunk.streamKey === streamKey)
  }

  /** Number of chunks of this stream that wait. */
  count(streamKey: string): number {
    return this.#perStream.get(streamKey)?.chunks ?? 0
  }

  #take(match: (chunk: HeldChunk) => boolean): HeldChunk[] {
    const taken = this.#chunks.filter(match)
    if (taken.length === 0) return taken
    this.#chunks = this.#chunks.filter((chunk) => !match(chunk))
    for (const chunk of taken) {
      const cost = costOf(chunk)
      const stream = this.#perStream.get(chunk.streamKey)!
      this.#total -= cost
      stream.bytes -= cost
      stream.chunks -= 1
      if (stream.chunks === 0) this.#perStream.delete(chunk.streamKey)
    }
    return taken
  }
}

function costOf(chunk: HeldChunk): number {
  return chunk.innerChunk.length + HOLD_OVERHEAD
}
