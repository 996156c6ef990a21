/** Randomness for tests and simulations: the same seed gives the same numbers (mulberry32). Never for keys. */
import type { RandomBytes } from "./types.ts"

/** Numbers in 0..1, 1 excluded. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The same as bytes, and as whole numbers below a limit. */
export function seededRandom(seed: number): { bytes: RandomBytes; below: (limit: number) => number } {
  const next = seeded(seed)
  return {
    bytes: (length) => Uint8Array.from({ length }, () => Math.floor(next() * 256)),
    below: (limit) => Math.floor(next() * limit),
  }
}
