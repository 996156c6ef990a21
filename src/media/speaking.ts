/** Tells from sound levels whether somebody is speaking. */

/** Root mean square of the first channel, 0..1 for samples within -1..1. */
export function rootMeanSquare(samples: Float32Array): number {
  if (samples.length === 0) return 0
  let sum = 0
  for (const sample of samples) sum += sample * sample
  const rms = Math.sqrt(sum / samples.length)
  return Number.isFinite(rms) ? rms : 0
}

/** About -38 dBFS: above the noise of a room, below a soft voice. */
const ON_LEVEL = 0.012
const OFF_LEVEL = 0.007
/** Words have pauses: speaking stays on this long after the last sound. */
const HANG_OVER_MS = 500
const RISE_MS = 40
const FALL_MS = 250

export class SpeakingDetector {
  speaking = false
  #smoothed = 0
  #lastMs: number | undefined
  #lastLoudMs = Number.NEGATIVE_INFINITY

  /** Level 0..1: a full-scale sine is 1. */
  get level(): number {
    return Math.min(1, this.#smoothed * Math.SQRT2)
  }

  /** Takes the RMS of the sound since the last call. */
  update(rms: number, nowMs: number): void {
    const elapsed = this.#lastMs === undefined ? 20 : Math.max(0, nowMs - this.#lastMs)
    this.#lastMs = nowMs
    const time = rms > this.#smoothed ? RISE_MS : FALL_MS
    this.#smoothed += (rms - this.#smoothed) * (1 - Math.exp(-elapsed / time))
    if (this.#smoothed >= (this.speaking ? OFF_LEVEL : ON_LEVEL)) {
      this.speaking = true
      this.#lastLoudMs = nowMs
    } else if (nowMs - this.#lastLoudMs > HANG_OVER_MS) {
      this.speaking = false
    }
  }

  /** Mute turns it off at once, without hang-over. */
  mute(): void {
    this.speaking = false
    this.#smoothed = 0
    this.#lastLoudMs = Number.NEGATIVE_INFINITY
  }
}
