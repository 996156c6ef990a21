/** The sound buffer inside the playout worklet: takes decoded blocks, gives a continuous signal, hides holes. */
import { AUDIO_SAMPLE_RATE } from "./types.ts"

const SAMPLES_PER_MS = AUDIO_SAMPLE_RATE / 1_000
/** Two seconds: more than any target; what does not fit pushes out the oldest. */
const CAPACITY = 2 * AUDIO_SAMPLE_RATE
/** Fades against clicks, and the length of the mirrored tail that hides the edge of a hole: 5 ms. */
const FADE = 5 * SAMPLES_PER_MS
/** A difference to the expected position below this is clock drift, not a hole. */
const TOLERANCE = 8 * SAMPLES_PER_MS
/** A hole longer than this is a pause: it is not filled, the ring starts anew. */
const MAX_FILL = 400 * SAMPLES_PER_MS
/** Playing this much faster or slower is hardly heard. */
const MAX_RATE_CHANGE = 0.04
/** Time constant of a correction: one second. */
const ADJUST_SAMPLES = AUDIO_SAMPLE_RATE
/** Latency above the wish by more than this is cut out at once. */
const JUMP = 250 * SAMPLES_PER_MS
const MIN_TARGET_MS = 20

interface Anchor {
  position: number
  ptsUs: number
}

/** Two channels; a mono block fills both. Positions count samples since the start and never wrap in practice. */
export class PlayoutRing {
  readonly #left = new Float32Array(CAPACITY)
  readonly #right = new Float32Array(CAPACITY)
  readonly #anchors: Anchor[] = []
  /** Next position written; `#read` is fractional while the rate is not 1. */
  #write = 0
  #read = 0
  #playing = false
  #target = 40 * SAMPLES_PER_MS
  /** Samples still to be gained (positive) or lost by playing slower or faster. */
  #adjustment = 0
  #fadeIn = 0
  /** Where the sound stopped, and how much of its fading tail was played. */
  #tailEnd = 0
  #tailStep = FADE
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
    return Math.max(0, this.#write - this.#read) / SAMPLES_PER_MS
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
    const last = this.#anchors.at(-1)
    if (last !== undefined) {
      const due = last.position + Math.round(((ptsUs - last.ptsUs) / 1_000) * SAMPLES_PER_MS)
      const hole = due - this.#write
      if (discontinuity || Math.abs(hole) > MAX_FILL) {
        if (hole < -TOLERANCE || hole > MAX_FILL) this.#restart()
      } else if (hole < -TOLERANCE) {
        return false
      } else if (hole > TOLERANCE && this.#write > this.#read) {
        this.#fillHole(hole)
      }
    }
    this.#anchors.push({ position: this.#write, ptsUs })
    this.#append(left, right)
    this.#forgetAnchors()
    return true
  }

  /** Fills both arrays. Silence where nothing is there to play. */
  read(left: Float32Array, right: Float32Array): void {
    if (!this.#playing && this.#write - this.#read >= this.#target && this.#write > this.#read) this.#start()
    const done = this.#playing ? this.#play(left, right) : 0
    if (done < left.length) {
      if (this.#playing) this.#runDry()
      this.#fadeOut(left, right, done)
      if (this.#holeCounts) this.#hole += left.length - done
    }
    this.#forgetAnchors()
  }

  #start(): void {
    this.#playing = true
    this.#fadeIn = FADE
    this.#adjustment = 0
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
    this.#read = this.#write
    this.#anchors.length = 0
    this.#adjustment = 0
  }

  #append(left: Float32Array, right: Float32Array): void {
    const overflow = this.#write + left.length - this.#read - CAPACITY
    if (overflow > 0) this.#read = Math.ceil(this.#read + overflow)
    const at = this.#write % CAPACITY
    const head = Math.min(left.length, CAPACITY - at)
    this.#left.set(left.subarray(0, head), at)
    this.#right.set(right.subarray(0, head), at)
    this.#left.set(left.subarray(head), 0)
    this.#right.set(right.subarray(head), 0)
    this.#write += left.length
  }

  /** Writes a mirrored, fading tail of what came before and then silence, so that the clock does not slip (D-32). */
  #fillHole(length: number): void {
    const left = new Float32Array(length)
    const right = new Float32Array(length)
    const tail = Math.min(FADE, length)
    for (let i = 0; i < tail; i++) {
      const from = (this.#write - 1 - i + 2 * CAPACITY) % CAPACITY
      const gain = 1 - (i + 1) / tail
      left[i] = this.#left[from]! * gain
      right[i] = this.#right[from]! * gain
    }
    this.#append(left, right)
    this.#concealed += length
    this.#longest = Math.max(this.#longest, length)
  }

  /** Nothing is left: playing starts again when the target is gathered. */
  #runDry(): void {
    this.#stop()
    this.#hole = 0
    this.#holeCounts = true
  }

  #stop(): void {
    if (this.#playing) {
      this.#tailEnd = Math.floor(this.#read)
      this.#tailStep = 0
    }
    this.#playing = false
  }

  /** The mirrored, fading tail of what was played last, and then silence. */
  #fadeOut(left: Float32Array, right: Float32Array, from: number): void {
    for (let i = from; i < left.length; i++) {
      const source = this.#tailEnd - 1 - this.#tailStep
      if (this.#tailStep >= FADE || source < 0) {
        left.fill(0, i)
        right.fill(0, i)
        return
      }
      const gain = 1 - ++this.#tailStep / FADE
      left[i] = this.#left[source % CAPACITY]! * gain
      right[i] = this.#right[source % CAPACITY]! * gain
    }
  }

  #play(left: Float32Array, right: Float32Array): number {
    const wanted = left.length
    let rate = 1
    if (this.#adjustment !== 0) {
      const change = Math.max(-MAX_RATE_CHANGE, Math.min(MAX_RATE_CHANGE, this.#adjustment / ADJUST_SAMPLES))
      rate = Math.abs(this.#adjustment) < 1 ? 1 : 1 - change
      if (rate === 1) {
        this.#adjustment = 0
        this.#read = Math.round(this.#read)
      }
    }
    let done = 0
    for (; done < wanted; done++) {
      const whole = Math.floor(this.#read)
      const fraction = this.#read - whole
      if (whole + (fraction > 0 ? 1 : 0) >= this.#write) break
      const a = whole % CAPACITY
      const b = (whole + 1) % CAPACITY
      let gain = 1
      if (this.#fadeIn > 0) gain = 1 - this.#fadeIn-- / FADE
      left[done] = gain * (fraction === 0 ? this.#left[a]! : this.#left[a]! * (1 - fraction) + this.#left[b]! * fraction)
      right[done] = gain * (fraction === 0 ? this.#right[a]! : this.#right[a]! * (1 - fraction) + this.#right[b]! * fraction)
      this.#read += rate
    }
    if (rate !== 1) this.#adjustment -= done * (1 - rate)
    return done
  }

  /** Cuts the excess out, as far as sound is left to go on with. */
  #jump(): void {
    const excess = Math.min(Math.floor(-this.#adjustment), Math.floor(this.#write - this.#read - this.#target))
    if (excess <= 0) return
    this.#read = Math.round(this.#read) + excess
    this.#adjustment = 0
    this.#fadeIn = FADE
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
