/** Goes on with a sound that broke off: repeats its last period and fades, so that a short hole is not heard as a click. */
import { AUDIO_SAMPLE_RATE } from "../types.ts"
import { findLag, LAG_WINDOW, MAX_LAG } from "./pitch.ts"
import type { SoundStore } from "./sound-store.ts"

const SAMPLES_PER_MS = AUDIO_SAMPLE_RATE / 1_000
/** A voice is held and then fades over about 100 ms; noise has no period and fades sooner. */
const VOICE = { hold: 20 * SAMPLES_PER_MS, end: 100 * SAMPLES_PER_MS }
const NOISE = { hold: 5 * SAMPLES_PER_MS, end: 40 * SAMPLES_PER_MS }
const VOICED = 0.5

/** How long the sound is held, and when it has faded, in samples. */
export interface Fade {
  hold: number
  end: number
}

/** Seams are blended over this many samples. */
const SEAM = 64
const HISTORY = LAG_WINDOW + MAX_LAG

export class SoundExtension {
  readonly #left: Float32Array
  readonly #right: Float32Array
  readonly #fade: Fade
  readonly #lag: number
  readonly #lastLeft: number
  readonly #lastRight: number
  #step = 0

  /**
   * Goes on from the sample before position `end`.
   *
   * @param fade by default as the sound is: a voice fades later than noise
   */
  constructor(store: SoundStore, end: number, fade?: Fade) {
    const left = new Float32Array(HISTORY)
    const right = new Float32Array(HISTORY)
    // With a shorter past than that, the rest of the history stays silent.
    const known = Math.max(0, Math.min(HISTORY, end - store.begin))
    store.copy(store.left, end - known, left.subarray(HISTORY - known))
    store.copy(store.right, end - known, right.subarray(HISTORY - known))
    const { samples, likeness } = findLag(left, HISTORY - LAG_WINDOW, -1)
    this.#fade = fade ?? (likeness >= VOICED ? VOICE : NOISE)
    this.#lag = samples
    this.#lastLeft = left[HISTORY - 1]!
    this.#lastRight = right[HISTORY - 1]!
    this.#left = period(left, samples)
    this.#right = period(right, samples)
  }

  /** True when only silence is left. */
  get done(): boolean {
    return this.#step >= this.#fade.end
  }

  /** The next samples; silence at the end. */
  read(left: Float32Array, right: Float32Array): void {
    const { hold, end } = this.#fade
    for (let i = 0; i < left.length; i++, this.#step++) {
      const step = this.#step
      const gain = step < hold ? 1 : step < end ? (end - step) / (end - hold) : 0
      // Where the sound did not end at the end of a period, the step to its first sample is smoothed.
      const smooth = step < SEAM ? 1 - (step + 1) / SEAM : 0
      const at = step % this.#lag
      left[i] = gain * (this.#left[at]! * (1 - smooth) + this.#lastLeft * smooth)
      right[i] = gain * (this.#right[at]! * (1 - smooth) + this.#lastRight * smooth)
    }
  }
}

/** The last `lag` samples, their end blended into what came before their beginning, so that they can be repeated. */
function period(history: Float32Array, lag: number): Float32Array {
  const from = history.length - lag
  const loop = history.slice(from)
  for (let i = 0; i < SEAM; i++) {
    const share = (i + 1) / (SEAM + 1)
    const at = lag - SEAM + i
    loop[at] = loop[at]! * (1 - share) + history[from - SEAM + i]! * share
  }
  return loop
}
