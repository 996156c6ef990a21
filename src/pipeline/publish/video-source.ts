/** Reads pictures of one camera or screen and gives them to every encoding of it. */
import { CaptureClock, nowUs } from "../../media/capture-clock.ts"
import { DescriptionTurns } from "./description-turns.ts"
import type { VideoStream } from "./video-stream.ts"

/** A keyframe is wanted and the source has shown nothing new for this long: the last picture is encoded again. */
const REPEAT_AFTER_MS = 200
const REPEAT_CHECK_MS = 100
/** Pictures of a source that is not wanted any more are taken and closed for this long: those on their way hold memory of the camera. */
const DRAIN_MS = 500
/** A source that shows nothing new ends without a picture after this. */
const DRAIN_STILL_MS = 1_500

export class VideoSource {
  readonly streams = new Set<VideoStream>()
  readonly #onEnded: () => void
  readonly #clock = new CaptureClock()
  /** By number of descriptions. */
  readonly #turns = new Map<number, DescriptionTurns>()
  #reader: ReadableStreamDefaultReader<VideoFrame> | undefined
  /** The last picture, for screens that stand still. */
  #last: VideoFrame | undefined
  #lastInputMs = 0
  #lastPts = 0
  #muted = false
  #closed = false
  /** Drained for long enough: these end with their next picture, when none can be on its way. */
  readonly #drained = new WeakSet<ReadableStreamDefaultReader<VideoFrame>>()
  readonly #timer: ReturnType<typeof setInterval>

  constructor(readable: ReadableStream<VideoFrame>, onEnded: () => void) {
    this.#onEnded = onEnded
    this.#timer = setInterval(() => this.#repeat(), REPEAT_CHECK_MS)
    this.replace(readable)
  }

  /** Another device; the streams go on with a keyframe. */
  replace(readable: ReadableStream<VideoFrame>): void {
    const before = this.#reader
    this.#reader = readable.getReader()
    this.#clock.restart()
    if (before !== undefined) this.#drain(before)
    for (const stream of this.streams) stream.sourceChanged()
    this.#read(this.#reader).catch(() => undefined)
  }

  setMuted(muted: boolean): void {
    if (muted === this.#muted) return
    this.#muted = muted
    // A picture from before the mute must not come back.
    this.#keep(undefined)
    if (!muted) for (const stream of this.streams) stream.resume()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearInterval(this.#timer)
    this.#keep(undefined)
    if (this.#reader !== undefined) this.#drain(this.#reader)
    for (const stream of this.streams) stream.close()
    this.streams.clear()
  }

  async #read(reader: ReadableStreamDefaultReader<VideoFrame>): Promise<void> {
    for (;;) {
      const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }) as const)
      if (done || value === undefined) break
      if (this.#closed || reader !== this.#reader) {
        value.close()
        if (this.#drained.has(reader)) reader.cancel().catch(() => undefined)
        continue
      }
      this.#input(value, this.#clock.pts(value.timestamp, nowUs()))
    }
    if (reader === this.#reader && !this.#closed) this.#onEnded()
  }

  /** Takes ownership of the frame. */
  #input(frame: VideoFrame, ptsUs: number): void {
    if (this.#muted) {
      frame.close()
      return
    }
    const stamped = new VideoFrame(frame, { timestamp: ptsUs })
    frame.close()
    this.#lastInputMs = performance.now()
    this.#lastPts = ptsUs
    for (const stream of this.streams) if (this.#isFor(stream, ptsUs)) stream.input(stamped, this.#lastInputMs)
    this.#keep(stamped)
  }

  #isFor(stream: VideoStream, ptsUs: number): boolean {
    const { description } = stream
    if (description === undefined) return true
    let turns = this.#turns.get(description.count)
    if (turns === undefined) {
      turns = new DescriptionTurns(description.count, description.frameRate)
      this.#turns.set(description.count, turns)
    }
    return turns.turn(ptsUs) === description.index
  }

  #keep(frame: VideoFrame | undefined): void {
    this.#last?.close()
    this.#last = frame
  }

  #repeat(): void {
    const nowMs = performance.now()
    if (this.#last === undefined || this.#muted || nowMs - this.#lastInputMs < REPEAT_AFTER_MS) return
    if (![...this.streams].some((stream) => stream.wantsFrame(nowMs))) return
    const ptsUs = Math.max(nowUs(), this.#lastPts + 1)
    this.#input(new VideoFrame(this.#last, { timestamp: ptsUs }), ptsUs)
  }

  /** The reading goes on, and closes what it gets. A source cancelled at any moment could lose a picture unclosed. */
  #drain(reader: ReadableStreamDefaultReader<VideoFrame>): void {
    setTimeout(() => this.#drained.add(reader), DRAIN_MS)
    setTimeout(() => reader.cancel().catch(() => undefined), DRAIN_STILL_MS)
  }
}
