/** Where decoded pictures of one track go. Usually one stream writes here; while rungs change (D-37) two, and of several descriptions (D-33) each. */
import { type FreezeCount, FreezeMeter } from "../../media/freeze-meter.ts"
import { GapMeter } from "../../media/gap-meter.ts"

/** Pictures under way to the track at most: a page that cannot keep up loses pictures, not memory. */
const MAX_WRITES = 3

export class PictureOutput {
  readonly #writer: WritableStreamDefaultWriter<VideoFrame>
  readonly #gaps = new GapMeter()
  readonly #freezes = new FreezeMeter()
  #writes = 0
  #users = 0
  #lastPts = Number.NEGATIVE_INFINITY

  constructor(writable: WritableStream<VideoFrame>) {
    this.#writer = writable.getWriter()
    this.#writer.closed.catch(() => undefined)
  }

  /** A stream begins to write here. The last to {@link leave} closes the track. */
  join(): void {
    this.#users++
  }

  leave(): void {
    if (--this.#users === 0) this.#writer.abort().catch(() => undefined)
  }

  /**
   * Takes ownership of the picture. Returns false when it was left out: the track is busy, or another description of the same
   * picture has already shown a later moment.
   */
  write(picture: VideoFrame, options: { nowMs: number; counts: boolean }): boolean {
    // The clock of a publisher that starts anew may go back; a description is late by a few pictures only.
    const late = picture.timestamp <= this.#lastPts && this.#lastPts - picture.timestamp < 1_000_000 && this.#users > 1
    if (this.#writes >= MAX_WRITES || late) {
      picture.close()
      return false
    }
    this.#lastPts = picture.timestamp
    if (options.counts) {
      this.#gaps.mark(options.nowMs)
      this.#freezes.shown(options.nowMs, picture.timestamp)
    }
    this.#writes++
    const done = () => {
      this.#writes--
    }
    // The sink closes the picture; a track that was stopped rejects, and then nobody looks any more.
    this.#writer.write(picture).then(done, () => {
      done()
      picture.close()
    })
    return true
  }

  /** A pause on purpose: what passes until the next picture is no gap. */
  pause(): void {
    this.#gaps.pause()
    this.#freezes.pause()
  }

  resetGaps(): void {
    this.#gaps.reset()
  }

  freezes(nowMs: number): FreezeCount {
    return this.#freezes.read(nowMs)
  }

  longestGapMs(nowMs: number): number {
    return this.#gaps.longestMs(nowMs)
  }
}
