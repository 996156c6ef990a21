import { describe, expect, it } from "vitest"
import { OutputCorrection } from "./output-correction.ts"

const FRAMES_PER_SECOND = 30

/** An encoder that puts out `habit` times what it is asked for; `content` bit/s is all the picture needs. */
function run(correction: OutputCorrection, seconds: number, habit: number, content = Number.POSITIVE_INFINITY, from = 0): number {
  let bytes = 0
  const frames = seconds * FRAMES_PER_SECOND
  for (let i = 0; i < frames; i++) {
    const size = Math.min(correction.request * habit, content) / 8 / FRAMES_PER_SECOND
    const keyframe = i === 0
    correction.frame(keyframe ? 10 * size : size, keyframe, from + (i * 1_000) / FRAMES_PER_SECOND)
    if (i >= frames / 2) bytes += size
  }
  return (bytes * 8) / (seconds / 2)
}

describe("OutputCorrection", () => {
  it.each([0.68, 0.85, 1, 1.25])("gets what is wanted from an encoder that delivers %s of it", (habit) => {
    const correction = new OutputCorrection(1_000_000)
    const output = run(correction, 10, habit)
    expect(output).toBeGreaterThan(900_000)
    expect(output).toBeLessThan(1_060_000)
  })

  it("follows a new target at once, with what it knows of the encoder", () => {
    const correction = new OutputCorrection(1_000_000)
    run(correction, 10, 0.7)
    correction.want(500_000)
    expect(correction.request * 0.7).toBeGreaterThan(450_000)
    expect(correction.request * 0.7).toBeLessThan(530_000)
  })

  it("does not wind up while the picture stands still, and never asks for more than 1.6 times", () => {
    const still = new OutputCorrection(1_000_000)
    run(still, 20, 1, 100_000)
    expect(still.request).toBe(1_000_000)
    const weak = new OutputCorrection(1_000_000)
    run(weak, 20, 0.4)
    expect(weak.request).toBe(1_600_000)
  })

  it("counts nothing across a pause", () => {
    const correction = new OutputCorrection(1_000_000)
    run(correction, 5, 1)
    correction.restart()
    run(correction, 5, 1, undefined, 3_600_000)
    expect(correction.request).toBe(1_000_000)
  })
})
