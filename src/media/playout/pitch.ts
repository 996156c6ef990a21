/** Finds by how many samples a sound can be shifted so that it fits onto itself: whole periods of a voice. */
import { AUDIO_SAMPLE_RATE } from "../types.ts"

const SAMPLES_PER_MS = AUDIO_SAMPLE_RATE / 1_000
/** Shifts that are looked at: 2.5 ms to 15 ms are periods of 400 Hz to 67 Hz, or several of a higher voice. */
export const MIN_LAG = 2.5 * SAMPLES_PER_MS
export const MAX_LAG = 15 * SAMPLES_PER_MS
/** Length of what is compared: 10 ms. */
export const LAG_WINDOW = 10 * SAMPLES_PER_MS
/** First only every fourth shift and sample: enough to find the peak, which is then looked at closely. */
const COARSE = 4
/** About -60 dBFS: quieter than this everything fits onto everything. */
const SILENCE = 1e-6 * LAG_WINDOW

interface Lag {
  samples: number
  /** 1: the shifted sound is the same. Around 0: it has nothing to do with it. */
  likeness: number
}

/**
 * @param sound one channel
 * @param at where the compared window begins
 * @param direction 1: shifts lead later into the sound, -1: earlier. `MAX_LAG` samples must be there in that direction, and
 *   `LAG_WINDOW` after `at`.
 * @param longest of the shifts allowed, at most `MAX_LAG`
 */
export function findLag(sound: Float32Array, at: number, direction: 1 | -1, longest = MAX_LAG): Lag {
  const limit = Math.min(MAX_LAG, Math.floor(longest))
  let best: Lag = { samples: MIN_LAG, likeness: -1 }
  for (let lag = MIN_LAG; lag <= limit; lag += COARSE) {
    const found = likeness(sound, at, at + direction * lag, COARSE)
    if (found > best.likeness) best = { samples: lag, likeness: found }
  }
  const from = Math.max(MIN_LAG, best.samples - COARSE + 1)
  const to = Math.min(limit, best.samples + COARSE - 1)
  best = { samples: best.samples, likeness: likeness(sound, at, at + direction * best.samples, 1) }
  for (let lag = from; lag <= to; lag++) {
    const found = likeness(sound, at, at + direction * lag, 1)
    if (found > best.likeness) best = { samples: lag, likeness: found }
  }
  return best
}

/** Normalised correlation of two windows, looking at every `step`-th sample. */
function likeness(sound: Float32Array, a: number, b: number, step: number): number {
  let product = 0
  let energyA = 0
  let energyB = 0
  for (let i = 0; i < LAG_WINDOW; i += step) {
    const x = sound[a + i]!
    const y = sound[b + i]!
    product += x * y
    energyA += x * x
    energyB += y * y
  }
  if (Math.max(energyA, energyB) * step < SILENCE) return 1
  const norm = Math.sqrt(energyA * energyB)
  return norm > 0 ? product / norm : 0
}
