/** Finds decoders that do not keep up with what comes: a smaller picture would be better than a late one. */
import type { ReceiveStats } from "../pipeline/receive/types.ts"

/** Looks in a row: a busy moment is no reason. */
const LOOKS = 3
/** Fewer frames between two looks say nothing. */
const MIN_FRAMES = 5
/** A decoder that keeps up gives back this share of what came at least. */
const KEEPS_UP = 0.9
/** It takes longer than this many frames come in, so it is the decoder that is late and not the frames. */
const LATE_FRAMES = 2
/** After a longer time between two looks the page slept. */
const MAX_LOOK_MS = 5_000

interface Seen {
  frames: number
  decoded: number
  behind: number
}

export class DecodeWatch {
  readonly #seen = new Map<string, Seen>()
  #lookedAtMs: number | undefined

  /**
   * To be called about once a second.
   *
   * @param hidden the page was hidden since the last look: nothing is concluded from that
   * @returns the streams whose decoder has been behind for three looks; each begins anew then
   */
  look(streams: readonly ReceiveStats[], hidden: boolean, nowMs: number): string[] {
    const ms = this.#lookedAtMs === undefined ? Number.POSITIVE_INFINITY : nowMs - this.#lookedAtMs
    this.#lookedAtMs = nowMs
    const slow: string[] = []
    const pictures = streams.filter(({ kind }) => kind === "video")
    for (const { streamKey, frames, decodedFrames, decodeMs = 0 } of pictures) {
      const before = this.#seen.get(streamKey)
      const came = frames - (before?.frames ?? frames)
      const decoded = decodedFrames - (before?.decoded ?? decodedFrames)
      const isBehind =
        !hidden && ms <= MAX_LOOK_MS && came >= MIN_FRAMES && decoded < KEEPS_UP * came && decodeMs > (LATE_FRAMES * ms) / came
      const behind = isBehind ? (before?.behind ?? 0) + 1 : 0
      this.#seen.set(streamKey, { frames, decoded: decodedFrames, behind: behind % LOOKS })
      if (behind >= LOOKS) slow.push(streamKey)
    }
    for (const key of this.#seen.keys()) if (!pictures.some(({ streamKey }) => streamKey === key)) this.#seen.delete(key)
    return slow
  }
}
