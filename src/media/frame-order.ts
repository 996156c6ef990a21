/** Puts frames of one stream back in order and lets through only what a decoder can use: it is never fed a hole. */
import { groupLength, layerAt } from "./temporal-pattern.ts"

interface FrameMeta {
  /** `frame_id` as on the wire: unsigned 32 bit, wraps. */
  frameId: number
  keyframe: boolean
  temporalId: number
  /** Size of the encoded frame; bounds what is held. */
  bytes: number
}

interface FrameOrderOptions {
  /** Temporal layers of the stream: base frames stand `2^(layers-1)` numbers apart. 1 for audio. */
  temporalLayers: number
  /** Frames held at most. Default 128, about four seconds of video. */
  maxFrames?: number
  /** Encoded bytes held at most. Default 16 MiB. */
  maxBytes?: number
}

type PushResult = "taken" | "duplicate" | "late"

interface Entry<T> {
  id: number
  meta: FrameMeta
  arrivalMs: number
  value: T
}

/** A gap wider than this is never examined number by number. */
const MAX_GAP = 512
const MAX_LAYERS = 4

/**
 * Frames go in with {@link push} in any order and come out of {@link take} ready for the decoder. A missing enhancement frame
 * is waited for and then passed over; a missing base frame stops the stream until it comes after all or a keyframe does, and
 * meanwhile {@link needsKeyframe} is true.
 */
export class FrameOrder<T> {
  /** Frames that never came although they were due, so far. */
  lost = 0
  /** Frames that came and were not used: too late, or a reference was missing. */
  skipped = 0
  duplicates = 0

  readonly #period: number
  readonly #layers: number
  readonly #maxFrames: number
  readonly #maxBytes: number
  #maxTemporal = Number.POSITIVE_INFINITY
  /** Sorted by id; every id is above `#last`. */
  #held: Entry<T>[] = []
  #heldBytes = 0
  readonly #givenUp = new Set<number>()
  /** Reference for unwrapping: the newest id seen. */
  #newest: number | undefined
  /** Last id that was let through or passed over. */
  #last: number | undefined
  #base = 0
  /** False until the first keyframe, and after {@link reset}. */
  #started = false
  /** Ids let through since the last base frame. */
  #slot = new Set<number>()

  constructor(options: FrameOrderOptions) {
    this.#layers = Math.min(MAX_LAYERS, Math.max(1, Math.trunc(options.temporalLayers) || 1))
    this.#period = groupLength(this.#layers)
    this.#maxFrames = options.maxFrames ?? 128
    this.#maxBytes = options.maxBytes ?? 16 << 20
  }

  /** Frames above this temporal layer are not sent to us, so they are not waited for and not counted as lost. */
  setMaxTemporal(maxTemporal: number): void {
    this.#maxTemporal = Math.max(0, maxTemporal)
  }

  get held(): number {
    return this.#held.length
  }

  push(meta: FrameMeta, arrivalMs: number, value: T): PushResult {
    const id = this.#unwrap(meta.frameId)
    if (this.#last !== undefined && id <= this.#last) {
      this.skipped++
      return "late"
    }
    let at = this.#held.length
    while (at > 0 && this.#held[at - 1]!.id > id) at--
    if (at > 0 && this.#held[at - 1]!.id === id) {
      this.duplicates++
      return "duplicate"
    }
    this.#held.splice(at, 0, { id, meta, arrivalMs, value })
    this.#heldBytes += meta.bytes
    this.#givenUp.delete(id)
    this.#shrink()
    return "taken"
  }

  /** The frame will not come any more, so nobody needs to wait for it. */
  giveUp(frameId: number): void {
    const id = this.#unwrap(frameId)
    if (this.#last !== undefined && id <= this.#last) return
    if (this.#held.some((entry) => entry.id === id)) return
    if (this.#givenUp.size >= MAX_GAP) this.#givenUp.clear()
    this.#givenUp.add(id)
  }

  /** The decoder lost its state: only a keyframe helps now. */
  reset(): void {
    this.#started = false
  }

  /**
   * What the decoder may have now, in order.
   *
   * @param waitMs how long a missing frame is waited for, counted from the arrival of the first frame after it
   * @param isDue whether it is time for this frame: a base frame does not wait then for enhancement frames before it, which come too late
   */
  take(nowMs: number, waitMs: number, isDue: (value: T) => boolean = () => false): T[] {
    const out: T[] = []
    for (;;) {
      const first = this.#held[0]
      if (first === undefined) return out
      if (!this.#started) {
        if (!this.#jumpToKeyframe(out)) return out
        continue
      }
      const gap = first.id - this.#last! - 1
      // A keyframe does not wait for enhancement frames: publishers leave their numbers out when they start a new group.
      const urgent = first.meta.keyframe && !this.#baseMissing(first.id)
      const overtakes = first.meta.temporalId === 0 && !this.#baseMissing(first.id)
      if (gap > 0 && !urgent && !this.#waitIsOver(first.id, nowMs, waitMs) && !(overtakes && isDue(first.value))) return out
      if (first.meta.keyframe) {
        this.#release(out)
      } else if (gap > 0 && this.#baseMissing(first.id)) {
        if (!this.#jumpToKeyframe(out)) return out
      } else if (first.meta.temporalId === 0 || this.#referencesPresent(first)) {
        this.#release(out)
      } else {
        this.#discard()
      }
    }
  }

  /** True when nothing can be decoded until a keyframe comes: at the start, after {@link reset}, after a lost base frame. */
  needsKeyframe(nowMs: number, waitMs: number): boolean {
    if (this.#held.some((entry) => entry.meta.keyframe)) return false
    if (!this.#started) return true
    const first = this.#held[0]
    if (first === undefined) return this.#baseGivenUp()
    return first.id - this.#last! > 1 && this.#baseMissing(first.id) && this.#waitIsOver(first.id, nowMs, waitMs)
  }

  /** The frame that {@link take} looks at next. */
  get next(): T | undefined {
    return this.#started ? this.#held[0]?.value : undefined
  }

  /** When {@link take} may let more through although nothing new arrived; undefined when time alone changes nothing. */
  deadline(waitMs: number): number | undefined {
    const first = this.#held[0]
    if (!this.#started || first === undefined) return undefined
    return this.#earliestArrival() + waitMs
  }

  #unwrap(frameId: number): number {
    const wire = frameId >>> 0
    if (this.#newest === undefined) {
      this.#newest = wire
      return wire
    }
    // Modulo on a value that may exceed 32 bit; the difference is taken as the nearest signed distance.
    const distance = (wire - (this.#newest % 2 ** 32)) | 0
    const id = this.#newest + distance
    if (distance > 0) this.#newest = id
    return id
  }

  #earliestArrival(): number {
    let earliest = Number.POSITIVE_INFINITY
    for (const entry of this.#held) earliest = Math.min(earliest, entry.arrivalMs)
    return earliest
  }

  #waitIsOver(firstId: number, nowMs: number, waitMs: number): boolean {
    if (nowMs - this.#earliestArrival() >= waitMs) return true
    const from = this.#last! + 1
    if (firstId - from > MAX_GAP) return false
    for (let id = from; id < firstId; id++) {
      if (!this.#givenUp.has(id) && this.#expectedLayer(id) <= this.#maxTemporal) return false
    }
    return true
  }

  #expectedLayer(id: number): number {
    return layerAt(id - this.#base, this.#layers)
  }

  /** True when a number missing before `id` can be a base frame: the next one was due a full period after the last one. */
  #baseMissing(id: number): boolean {
    return id - 1 - this.#base >= this.#period && id - 1 > this.#last!
  }

  #baseGivenUp(): boolean {
    for (const id of this.#givenUp) if (id - this.#base >= this.#period) return true
    return false
  }

  /** An enhancement frame needs every lower-layer frame of its slot. */
  #referencesPresent(entry: Entry<T>): boolean {
    const { temporalId } = entry.meta
    if (temporalId <= 1) return true
    const position = entry.id - this.#base
    if (position >= this.#period) return false
    for (let id = this.#base + 1; id < entry.id; id++) {
      if (this.#expectedLayer(id) < temporalId && !this.#slot.has(id)) return false
    }
    return true
  }

  #jumpToKeyframe(out: T[]): boolean {
    const index = this.#held.findIndex((entry) => entry.meta.keyframe)
    if (index < 0) return false
    for (let i = 0; i < index; i++) this.#discard()
    this.#release(out)
    this.#started = true
    return true
  }

  #release(out: T[]): void {
    const entry = this.#advance()
    if (entry.meta.keyframe || entry.meta.temporalId === 0) {
      this.#base = entry.id
      this.#slot.clear()
    } else if (this.#slot.size < MAX_GAP) {
      this.#slot.add(entry.id)
    }
    out.push(entry.value)
  }

  #discard(): void {
    this.#advance()
    this.skipped++
  }

  /** Takes the first entry out and counts the numbers that were passed over. */
  #advance(): Entry<T> {
    const entry = this.#held.shift()!
    this.#heldBytes -= entry.meta.bytes
    if (this.#last !== undefined) {
      const gap = entry.id - this.#last - 1
      if (gap > MAX_GAP) this.lost += gap
      else {
        for (let id = this.#last + 1; id < entry.id; id++) {
          if (this.#expectedLayer(id) <= this.#maxTemporal) this.lost++
        }
      }
    }
    this.#last = entry.id
    for (const id of this.#givenUp) if (id <= entry.id) this.#givenUp.delete(id)
    return entry
  }

  /** Over the limit the oldest frames go; the hole they leave is a hole like any other. */
  #shrink(): void {
    while (this.#held.length > this.#maxFrames || (this.#heldBytes > this.#maxBytes && this.#held.length > 1)) {
      const entry = this.#held.shift()!
      this.#heldBytes -= entry.meta.bytes
      this.#givenUp.add(entry.id)
      this.skipped++
    }
  }
}
