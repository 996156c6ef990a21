/** One received video stream: order → decoder → pictures released in step with the sound. */
import { nowUs } from "../../media/capture-clock.ts"
import { FrameOrder } from "../../media/frame-order.ts"
import { JitterEstimator } from "../../media/jitter-estimator.ts"
import { RateMeter } from "../../media/rate-meter.ts"
import type { SyncGroup } from "../../media/sync-group.ts"
import type { EncodedFrame, MeshToReceive } from "../../media/types.ts"
import { DecodeQueue } from "./decode-queue.ts"
import { KeyframeWish } from "./keyframe-wish.ts"
import { browserDecoder, type MakePictureDecoder, type PictureDecoder } from "./picture-decoder.ts"
import type { PictureOutput } from "./picture-output.ts"
import type { ReceiveEvent, ReceiveStats, VideoReceiveOptions } from "./types.ts"

/** A screen shows a picture at its next refresh anyway: on an even path more buffering would only delay. */
const MIN_BUFFER_MS = 8
/** Pictures decoded ahead of their time at most; each holds a whole picture in memory. */
const MAX_DECODED = 8
const MAX_IN_DECODER = 3
/** A missing frame may still come or be repaired for this long after the buffer target. */
const REPAIR_MS = 30
const MIN_WAIT_MS = 50
/** A base frame is waited for so long before a keyframe is asked for: it is sent again a second time, and that is sooner there. */
const KEYFRAME_WAIT_MS = 150
/** A picture is written this much before its time: compositing takes about a refresh of the screen. */
const LEAD_US = 16_000
/**
 * Where pictures have to come later than before, because sound does that they keep step with, they go slower by this share of the time
 * that passes: standing still until the new time comes would be seen.
 */
const SLOWING = 0.3
/** A picture whose time is further ahead than this has a broken clock; it is shown at once. */
const MAX_AHEAD_US = 2_000_000
const MAX_ERRORS = 5

export interface ReceiveSink {
  event(event: ReceiveEvent): void
  needKeyframe(streamKey: string): void
  /** The time of the first picture has come; it is written right after. */
  firstDue?(streamKey: string): void
}

type FrameMessage = Extract<MeshToReceive, { type: "frame" }>

export class VideoReceiver {
  readonly #key: string
  readonly #codec: string
  readonly #group: SyncGroup
  readonly #sink: ReceiveSink
  readonly #target: PictureOutput
  readonly #order: FrameOrder<EncodedFrame>
  readonly #queue = new DecodeQueue()
  readonly #jitter = new JitterEstimator({ minMs: MIN_BUFFER_MS })
  readonly #arrivals = new RateMeter()
  readonly #rendering = new RateMeter()
  readonly #wish = new KeyframeWish()
  /** Decoded and waiting for their time, in order. */
  #decoded: VideoFrame[] = []
  /** Capture time → when decoding began. */
  readonly #decodeStarted = new Map<number, number>()
  /** Capture times of frames after a pause on purpose. */
  readonly #afterPause = new Set<number>()
  readonly #newDecoder: MakePictureDecoder
  #decoder: PictureDecoder
  #decodeMs = 0
  #errorsInARow = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #muted = false
  #closed = false
  #lastPts: number | undefined
  /** Local time minus capture time of the picture shown last. */
  #shownOffsetUs: number | undefined
  /** What pictures follow now, see {@link SLOWING}, and since when. */
  #offset: { us: number; atUs: number } | undefined
  #totalDelayMs = 0
  readonly #stats = {
    frames: 0,
    repairedFrames: 0,
    decodedFrames: 0,
    renderedFrames: 0,
    late: 0,
    decoderErrors: 0,
    keyframeRequests: 0,
  }
  #size: { width: number; height: number } | undefined

  /** @param newDecoder makes what decodes; without it the browser's is used */
  constructor(
    key: string,
    options: VideoReceiveOptions,
    target: PictureOutput,
    group: SyncGroup,
    sink: ReceiveSink,
    newDecoder: MakePictureDecoder = browserDecoder,
  ) {
    this.#key = key
    this.#newDecoder = newDecoder
    this.#codec = options.codec
    this.#group = group
    this.#sink = sink
    this.#order = new FrameOrder({ temporalLayers: options.temporalLayers })
    this.#decoder = this.#makeDecoder()
    this.#target = target
    target.join()
  }

  receive({ frame, frameId, arrivalUs, repaired }: FrameMessage): void {
    if (this.#closed) return
    const nowMs = performance.now()
    const { keyframe, temporalId, data } = frame
    if (this.#order.push({ frameId, keyframe, temporalId, bytes: data.byteLength }, nowMs, frame) === "duplicate") return
    this.#stats.frames++
    if (repaired) this.#stats.repairedFrames++
    if (frame.discontinuity) this.#jitter.rebase()
    this.#arrivals.add(nowMs, data.byteLength)
    this.#jitter.add(frame.ptsUs, arrivalUs)
    this.#pump()
  }

  lost(frameId: number): void {
    this.#order.giveUp(frameId)
    this.#pump()
  }

  setMaxTemporal(maxTemporal: number): void {
    this.#order.setMaxTemporal(maxTemporal)
    this.#pump()
  }

  setMuted(muted: boolean): void {
    this.#muted = muted
    if (muted) this.#target.pause()
    else this.#pump()
  }

  resetGaps(): void {
    this.#target.resetGaps()
  }

  stats(): ReceiveStats {
    const nowMs = performance.now()
    const heard = this.#group.soundUs(nowUs())
    const { late, ...counts } = this.#stats
    return {
      streamKey: this.#key,
      kind: "video",
      codec: this.#codec,
      ...counts,
      duplicates: this.#order.duplicates,
      lostFrames: this.#order.lost,
      skippedFrames: this.#order.skipped + this.#queue.skipped + late,
      bitrate: Math.round(this.#arrivals.amount(nowMs) * 8),
      jitterMs: this.#totalDelayMs,
      bufferMs: this.#jitter.targetMs,
      longestGapMs: this.#target.longestGapMs(nowMs),
      freezes: this.#target.freezes(nowMs),
      decodeMs: this.#decodeMs,
      frameRate: this.#rendering.count(nowMs),
      ...(this.#size ?? {}),
      ...(this.#lastPts === undefined ? {} : { lastPtsUs: this.#lastPts }),
      ...(heard === undefined || this.#shownOffsetUs === undefined ? {} : { avOffsetMs: (this.#shownOffsetUs - heard) / 1_000 }),
    }
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#timer)
    this.#decoder.close()
    for (const picture of this.#decoded) picture.close()
    this.#decoded = []
    this.#group.remove(this.#key)
    this.#target.leave()
  }

  get #waitMs(): number {
    return Math.max(MIN_WAIT_MS, this.#jitter.targetMs + REPAIR_MS)
  }

  /** Does everything that can be done now and sets the timer for the next thing. */
  #pump(): void {
    if (this.#closed) return
    const nowMs = performance.now()
    const fastest = this.#jitter.fastestUs
    if (fastest !== undefined) {
      const delayMs = this.#jitter.targetMs + this.#decodeMs
      this.#group.wish(this.#key, "video", fastest + delayMs * 1_000 + LEAD_US)
    }
    const atUs = nowUs()
    const isDue = ({ ptsUs }: EncodedFrame) => {
      const wait = this.#dueInUs(ptsUs, atUs)
      return wait !== undefined && wait <= this.#decodeMs * 1_000
    }
    if (!this.#queue.push(this.#order.take(nowMs, this.#waitMs, isDue))) this.#order.reset()
    this.#decode(nowMs)
    const nextPictureMs = this.#render()
    this.#askForKeyframe(nowMs)
    this.#schedule(nowMs, nextPictureMs)
  }

  #decode(nowMs: number): void {
    while (this.#decoded.length < MAX_DECODED && this.#decoder.queueSize < MAX_IN_DECODER) {
      const frame = this.#queue.shift()
      if (frame === undefined) return
      if (frame.discontinuity) this.#afterPause.add(frame.ptsUs)
      if (this.#decodeStarted.size > 64) this.#decodeStarted.clear()
      this.#decodeStarted.set(frame.ptsUs, nowMs)
      try {
        this.#decoder.decode(frame)
      } catch (cause) {
        this.#failed(cause)
        return
      }
    }
  }

  #output(picture: VideoFrame): void {
    if (this.#closed) {
      picture.close()
      return
    }
    const startedAt = this.#decodeStarted.get(picture.timestamp)
    this.#decodeStarted.delete(picture.timestamp)
    if (startedAt !== undefined) {
      const took = performance.now() - startedAt
      // Rises at once and falls slowly: the slow frames are those that matter.
      this.#decodeMs = Math.min(200, Math.max(took, this.#decodeMs + (took - this.#decodeMs) / 32))
    }
    this.#errorsInARow = 0
    this.#stats.decodedFrames++
    this.#wish.answered()
    this.#decoded.push(picture)
    this.#pump()
  }

  /** Writes the newest picture whose time has come. Returns in how many ms the next one is due. */
  #render(): number | undefined {
    const atUs = nowUs()
    const dueIn = (picture: VideoFrame) => this.#dueInUs(picture.timestamp, atUs) ?? 0
    let due = 0
    while (due < this.#decoded.length) {
      const wait = dueIn(this.#decoded[due]!)
      if (wait > 1_000 && wait < MAX_AHEAD_US) break
      due++
    }
    if (due > 0) {
      const ready = this.#decoded.splice(0, due)
      const newest = ready.pop()!
      for (const picture of ready) picture.close()
      this.#stats.late += ready.length
      this.#write(newest, atUs)
    }
    const next = this.#decoded[0]
    return next === undefined ? undefined : dueIn(next) / 1_000
  }

  /** Until a picture of this time is to be written, µs; undefined while nothing is known. */
  #dueInUs(ptsUs: number, atUs: number): number | undefined {
    const wanted = this.#group.videoUs(atUs)
    if (wanted === undefined) return undefined
    const before = this.#offset
    const later = before === undefined ? 0 : wanted - before.us
    const jumps = before === undefined || later <= 0 || later > MAX_AHEAD_US
    const us = jumps ? wanted : Math.min(wanted, before.us + SLOWING * Math.max(0, atUs - before.atUs))
    this.#offset = { us, atUs }
    return ptsUs + us - LEAD_US - atUs
  }

  #write(picture: VideoFrame, atUs: number): void {
    const ptsUs = picture.timestamp
    const size = { width: picture.displayWidth, height: picture.displayHeight }
    const nowMs = performance.now()
    if (this.#stats.renderedFrames === 0) this.#sink.firstDue?.(this.#key)
    if (this.#afterPause.delete(ptsUs)) this.#target.pause()
    if (this.#afterPause.size > 16) this.#afterPause.clear()
    if (!this.#target.write(picture, { nowMs, counts: !this.#muted })) {
      this.#stats.late++
      return
    }
    if (this.#stats.renderedFrames === 0) this.#sink.event({ type: "started", streamKey: this.#key })
    this.#size = size
    this.#shownOffsetUs = atUs + LEAD_US - ptsUs
    this.#lastPts = ptsUs
    const fastest = this.#jitter.fastestUs
    if (fastest !== undefined) this.#totalDelayMs += ((this.#shownOffsetUs - fastest) / 1_000 - this.#totalDelayMs) / 8
    this.#stats.renderedFrames++
    this.#rendering.add(nowMs)
  }

  #askForKeyframe(nowMs: number): void {
    const needed =
      this.#stats.frames > 0 &&
      !this.#muted &&
      this.#queue.length === 0 &&
      this.#order.needsKeyframe(nowMs, Math.max(KEYFRAME_WAIT_MS, this.#waitMs))
    if (!this.#wish.update(needed, nowMs)) return
    this.#stats.keyframeRequests++
    this.#sink.needKeyframe(this.#key)
  }

  #schedule(nowMs: number, nextPictureMs: number | undefined): void {
    clearTimeout(this.#timer)
    const times = [nextPictureMs, this.#wish.nextMs(nowMs)]
    const held = this.#order.next
    const heldDueUs = held === undefined ? undefined : this.#dueInUs(held.ptsUs, nowUs())
    if (heldDueUs !== undefined && heldDueUs > this.#decodeMs * 1_000) times.push(heldDueUs / 1_000 - this.#decodeMs)
    const deadline = this.#order.deadline(this.#waitMs)
    if (deadline !== undefined && deadline > nowMs) times.push(deadline - nowMs)
    let soonest = Number.POSITIVE_INFINITY
    for (const time of times) if (time !== undefined && time < soonest) soonest = time
    if (soonest !== Number.POSITIVE_INFINITY) this.#timer = setTimeout(() => this.#pump(), Math.max(1, Math.ceil(soonest)))
  }

  #makeDecoder(): PictureDecoder {
    return this.#newDecoder(this.#codec, {
      output: (picture) => this.#output(picture),
      failed: (cause) => this.#failed(cause),
      dequeued: () => {
        if (this.#queue.length > 0) this.#pump()
      },
    })
  }

  /** A decoder that failed is closed: make a new one and go on from the next keyframe. */
  #failed(cause: unknown): void {
    if (this.#closed) return
    this.#stats.decoderErrors++
    const fatal = ++this.#errorsInARow > MAX_ERRORS
    this.#queue.clear()
    this.#order.reset()
    this.#decodeStarted.clear()
    const message = cause instanceof Error ? cause.message : String(cause)
    this.#sink.event({ type: "decoder-error", streamKey: this.#key, error: "MediaDecodeFailed", message, fatal })
    try {
      this.#decoder.close()
      if (fatal) this.close()
      else this.#decoder = this.#makeDecoder()
    } catch {
      this.close()
    }
    this.#pump()
  }
}
