/** The sound buffer inside the playout worklet: takes decoded blocks, gives a continuous signal, hides holes, keeps its time. */
import { type Fade, SoundExtension } from "./playout/extension.ts"
import { findLag, LAG_WINDOW, MAX_LAG, MIN_LAG } from "./playout/pitch.ts"
import { SoundStore } from "./playout/sound-store.ts"
import { AUDIO_SAMPLE_RATE } from "./types.ts"

const SAMPLES_PER_MS = AUDIO_SAMPLE_RATE / 1_000
/** Two seconds: more than any target; what does not fit pushes out the oldest. */
const CAPACITY = 2 * AUDIO_SAMPLE_RATE
/** Fades against clicks: 5 ms. */
const FADE = 5 * SAMPLES_PER_MS
/** A difference to the expected position below this is clock drift, not a hole. */
const TOLERANCE = 8 * SAMPLES_PER_MS
/** A hole longer than this is a pause: it is not filled, the ring starts anew. */
const MAX_FILL = 400 * SAMPLES_PER_MS
/** Between two corrections; each takes out or repeats 2.5 to 15 ms, so this is about 5 % faster or slower. */
const SPLICE_EVERY = 160 * SAMPLES_PER_MS
const URGENT_SPLICE_EVERY = 60 * SAMPLES_PER_MS
/** Further off than this, corrections come more often and need not fit as well. */
const URGENT = 60 * SAMPLES_PER_MS
const GOOD_SEAM = 0.7
const FAIR_SEAM = 0.2
/** After this long without a good seam a fair one is taken. */
const PATIENCE = 1_500 * SAMPLES_PER_MS
/** A correction may go past its aim by this much. */
const OVERSHOOT = 2 * SAMPLES_PER_MS
/** Latency above the wish by more than this is cut out at once. */
const JUMP = 250 * SAMPLES_PER_MS
const MIN_TARGET_MS = 20

interface Anchor {
  position: number
  ptsUs: number
}

/** Two channels; a mono block fills both. Positions count samples since the start and never wrap in practice. */
export class PlayoutRing {
  readonly #store = new SoundStore(CAPACITY)
  readonly #anchors: Anchor[] = []
  readonly #search = new Float32Array(MAX_LAG + LAG_WINDOW)
  #read = 0
  #playing = false
  #target = 40 * SAMPLES_PER_MS
  /** Samples still to be gained (positive) or lost by repeating or leaving out whole periods. */
  #adjustment = 0
  #sinceSplice = 0
  #fadeIn = 0
  /** Goes on where the sound stopped; undefined once it has faded. */
  #extension: SoundExtension | undefined
  /** Samples of the hole that is being played now; counted when sound goes on, forgotten when it was a pause. */
  #hole = 0
  #holeCounts = false
  #concealed = 0
  #longest = 0

  /** Presentation time of the next sample; undefined while nothing plays. */
  get ptsUs(): number | undefined {
    return this.#playing ? this.#ptsAt(this.#read) : undefined
  }

  get bufferedMs(): number {
    return Math.max(0, this.#store.end - this.#read) / SAMPLES_PER_MS
  }

  get concealedMs(): number {
    return this.#concealed / SAMPLES_PER_MS
  }

  /** The longest hole so far; the one that is open now counts. */
  get longestGapMs(): number {
    return Math.max(this.#longest, this.#holeCounts ? this.#hole : 0) / SAMPLES_PER_MS
  }

  /** How much sound to gather before playing. */
  setTarget(ms: number): void {
    if (Number.isFinite(ms)) this.#target = Math.min(Math.max(MIN_TARGET_MS, ms) * SAMPLES_PER_MS, CAPACITY / 2)
  }

  /** Play `ms` later (positive) or earlier. Replaces what is left of the adjustment before. */
  adjust(ms: number): void {
    if (!Number.isFinite(ms)) return
    this.#adjustment = ms * SAMPLES_PER_MS
    if (this.#playing && -this.#adjustment > JUMP) this.#jump()
  }

  /** A pause on purpose: what is buffered is dropped, and the silence that follows is no hole. */
  clear(): void {
    this.#stop({ hold: 0, end: FADE })
    this.#restart()
    this.#forgetHole()
  }

  #forgetHole(): void {
    this.#hole = 0
    this.#holeCounts = false
  }

  /** Returns false when the block came too late and was dropped. */
  write(ptsUs: number, channels: readonly Float32Array[], discontinuity: boolean): boolean {
    const left = channels[0]
    if (left === undefined || left.length === 0 || left.length > CAPACITY / 2) return false
    const right = channels[1]?.length === left.length ? channels[1] : left
    if (discontinuity) this.#forgetHole()
    let extension: SoundExtension | undefined
    const last = this.#anchors.at(-1)
    if (last !== undefined) {
      const due = last.position + Math.round(((ptsUs - last.ptsUs) / 1_000) * SAMPLES_PER_MS)
      const hole = due - this.#store.end
      if (discontinuity || Math.abs(hole) > MAX_FILL) {
        if (hole < -TOLERANCE || hole > MAX_FILL) this.#restart()
      } else if (hole < -TOLERANCE) {
        return false
      } else if (hole > TOLERANCE && this.#store.end > this.#read) {
        extension = this.#fillHole(hole)
      }
    }
    const position = this.#store.end
    this.#anchors.push({ position, ptsUs })
    this.#append(left, right)
    if (extension !== undefined) this.#blendAfter(extension, position, left.length)
    this.#forgetAnchors()
    return true
  }

  /** Fills both arrays. Where nothing is there to play, the sound before goes on for a moment and fades. */
  read(left: Float32Array, right: Float32Array): void {
    if (!this.#playing && this.#store.end - this.#read >= this.#target && this.#store.end > this.#read) this.#start()
    const done = this.#playing ? this.#play(left, right) : 0
    if (done < left.length) {
      if (this.#playing) this.#runDry()
      this.#extend(left.subarray(done), right.subarray(done))
      if (this.#holeCounts) this.#hole += left.length - done
    }
    this.#forgetAnchors()
  }

  #start(): void {
    this.#playing = true
    this.#fadeIn = FADE
    this.#adjustment = 0
    this.#sinceSplice = 0
    this.#countHole()
  }

  #countHole(): void {
    if (this.#hole === 0) return
    this.#concealed += this.#hole
    this.#longest = Math.max(this.#longest, this.#hole)
    this.#hole = 0
  }

  #restart(): void {
    this.#stop()
    this.#store.cut()
    this.#read = this.#store.end
    this.#anchors.length = 0
    this.#adjustment = 0
  }

  #append(left: Float32Array, right: Float32Array): void {
    this.#read = Math.max(this.#read, this.#store.end + left.length - CAPACITY)
    this.#store.append(left, right)
  }

  /** Goes on with what came before, fading, so that the clock does not slip (D-32). Returns what to blend the next block with. */
  #fillHole(length: number): SoundExtension {
    const extension = new SoundExtension(this.#store, this.#store.end)
    const left = new Float32Array(length)
    const right = new Float32Array(length)
    extension.read(left, right)
    this.#append(left, right)
    this.#concealed += length
    this.#longest = Math.max(this.#longest, length)
    return extension
  }

  /** The seam between a filled hole and the block after it, which begins at `at`. */
  #blendAfter(extension: SoundExtension, at: number, length: number): void {
    const left = new Float32Array(Math.min(FADE, length))
    const right = new Float32Array(left.length)
    extension.read(left, right)
    this.#store.blendIn(this.#store.left, at, left)
    this.#store.blendIn(this.#store.right, at, right)
  }

  /** Nothing is left: playing starts again when the target is gathered. */
  #runDry(): void {
    this.#stop()
    this.#hole = 0
    this.#holeCounts = true
  }

  #stop(fade?: Fade): void {
    if (this.#playing) this.#extension = new SoundExtension(this.#store, this.#read, fade)
    this.#playing = false
  }

  /** What was heard last goes on, fading, and then silence. */
  #extend(left: Float32Array, right: Float32Array): void {
    if (this.#extension === undefined) {
      left.fill(0)
      right.fill(0)
      return
    }
    this.#extension.read(left, right)
    if (this.#extension.done) this.#extension = undefined
  }

  #play(left: Float32Array, right: Float32Array): number {
    this.#splice(left.length)
    const count = Math.min(left.length, this.#store.end - this.#read)
    const { left: fromLeft, right: fromRight } = this.#store
    const tail = Math.min(count, this.#fadeIn)
    if (tail > 0) this.#extend(left.subarray(0, tail), right.subarray(0, tail))
    for (let i = 0; i < count; i++) {
      const at = this.#read % CAPACITY
      if (this.#fadeIn > 0) {
        const gain = 1 - this.#fadeIn / FADE
        left[i] = left[i]! * (1 - gain) + fromLeft[at]! * gain
        right[i] = right[i]! * (1 - gain) + fromRight[at]! * gain
        if (--this.#fadeIn === 0) this.#extension = undefined
      } else {
        left[i] = fromLeft[at]!
        right[i] = fromRight[at]!
      }
      this.#read++
    }
    return count
  }

  /** Leaves out or repeats one or more whole periods, where the sound fits: time changes and pitch does not. */
  #splice(elapsed: number): void {
    this.#sinceSplice += elapsed
    const wanted = Math.abs(this.#adjustment)
    const urgent = wanted > URGENT
    if (wanted < MIN_LAG || this.#fadeIn > 0 || this.#sinceSplice < (urgent ? URGENT_SPLICE_EVERY : SPLICE_EVERY)) return
    const later = this.#adjustment > 0
    const from = later ? this.#read - MAX_LAG : this.#read
    if (from < this.#store.begin || from + this.#search.length > this.#store.end) return
    this.#store.copy(this.#store.left, from, this.#search)
    const lag = findLag(this.#search, later ? MAX_LAG : 0, later ? -1 : 1, wanted + OVERSHOOT)
    if (lag.likeness < (urgent || this.#sinceSplice > PATIENCE ? FAIR_SEAM : GOOD_SEAM)) return
    const to = later ? this.#read - lag.samples : this.#read + lag.samples
    this.#store.blend(this.#read, to, LAG_WINDOW)
    this.#read = to
    this.#adjustment += later ? -lag.samples : lag.samples
    this.#sinceSplice = 0
  }

  /** Cuts the excess out, as far as sound is left to go on with. */
  #jump(): void {
    const excess = Math.min(Math.floor(-this.#adjustment), Math.floor(this.#store.end - this.#read - this.#target))
    if (excess <= 0) return
    this.#store.blend(this.#read, this.#read + excess, Math.min(FADE, this.#store.end - this.#read - excess))
    this.#read += excess
    this.#adjustment = 0
  }

  #ptsAt(position: number): number | undefined {
    let anchor: Anchor | undefined
    for (const candidate of this.#anchors) {
      if (candidate.position > position) break
      anchor = candidate
    }
    anchor ??= this.#anchors[0]
    return anchor === undefined ? undefined : anchor.ptsUs + ((position - anchor.position) / SAMPLES_PER_MS) * 1_000
  }

  /** Keeps the anchor that covers the read position and those after it. */
  #forgetAnchors(): void {
    while (this.#anchors.length > 1 && this.#anchors[1]!.position <= this.#read) this.#anchors.shift()
  }
}
