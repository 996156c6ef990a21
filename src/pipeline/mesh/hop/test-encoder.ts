/** An encoder for the simulated hop: L1T2 at 30 fps, follows what the link has room for, makes a keyframe when a base frame is given up. */
import type { HopSim } from "./test-hop.ts"

/** What is left of the rate for media where much is lost: repair, headers and what is sent again take the rest. */
const MEDIA_SHARE = 0.46
const BASE_SIZE = 1.2
const UPPER_SIZE = 0.8
const KEYFRAME_SIZE = 3.6
/** A base frame that is not there by then is missed over there, ms; and a request is answered at most this often. */
const MISSED_MS = 240
const KEYFRAME_GAP_MS = 500
const SYMBOL = 1_000

export class TestEncoder {
  keyframes = 0
  readonly #most: number
  #keyframeAt = Number.NEGATIVE_INFINITY
  #wanted = true
  #looked = 0

  readonly #share: number

  /** @param most bit/s. @param share what is left of the rate for media */
  constructor(most: number, share = MEDIA_SHARE) {
    this.#most = most
    this.#share = share
  }

  /** For {@link HopSim}'s option of the same name. */
  readonly frame = (sim: HopSim, id: number): { k: number; keyframe: boolean } => {
    const { rate } = sim.sender.sender
    const needs = this.#most / this.#share
    rate.capTo(2 * needs)
    rate.wish(1.5 * needs)
    const told = Math.min(this.#most, (rate.target / (1 + rate.losses.loss)) * this.#share)
    this.#look(sim)
    const base = id % 2 === 0
    const keyframe = this.#wanted && base && sim.now - this.#keyframeAt >= KEYFRAME_GAP_MS
    if (keyframe) {
      this.#wanted = false
      this.#keyframeAt = sim.now
      this.keyframes += 1
    }
    const size = keyframe ? KEYFRAME_SIZE : (base ? BASE_SIZE : UPPER_SIZE) * (0.8 + 0.4 * sim.random())
    return { k: Math.max(1, Math.ceil(((told / 8 / 30) * size) / SYMBOL)), keyframe }
  }

  #look(sim: HopSim): void {
    for (; this.#looked < sim.frames.length; this.#looked += 2) {
      const { madeAt, completeAt } = sim.frames[this.#looked]!
      if (sim.now - madeAt < MISSED_MS) return
      if (completeAt === undefined && madeAt > this.#keyframeAt) this.#wanted = true
    }
  }
}
