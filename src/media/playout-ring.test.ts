import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { PlayoutRing } from "./playout-ring.ts"

const QUANTUM = 128

/** A 440 Hz sine over the capture time, so that every sample can be checked against its place. */
function block(ptsUs: number, length = 960): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(2 * Math.PI * 440 * (ptsUs / 1e6 + i / 48_000)))
}

function play(ring: PlayoutRing, ms: number): Float32Array {
  const quanta = Math.round((ms * 48) / QUANTUM)
  const out = new Float32Array(quanta * QUANTUM)
  const right = new Float32Array(QUANTUM)
  for (let i = 0; i < quanta; i++) ring.read(out.subarray(i * QUANTUM, (i + 1) * QUANTUM), right)
  return out
}

/** The biggest step between neighbouring samples; a click shows here. A 440 Hz sine steps by 0.058 at most. */
function biggestStep(samples: Float32Array): number {
  let biggest = 0
  for (let i = 1; i < samples.length; i++) biggest = Math.max(biggest, Math.abs(samples[i]! - samples[i - 1]!))
  return biggest
}

function loudness(samples: Float32Array): number {
  return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length)
}

/** Frequency of a sine in Hz, by its zero crossings. */
function frequency(samples: Float32Array): number {
  let crossings = 0
  for (let i = 1; i < samples.length; i++) if (samples[i]! >= 0 !== samples[i - 1]! >= 0) crossings++
  return crossings / 2 / (samples.length / 48_000)
}

describe("PlayoutRing", () => {
  it("waits for the target, then plays the very samples", () => {
    const ring = new PlayoutRing()
    ring.setTarget(40)
    ring.write(0, [block(0)], false)
    expect(play(ring, 8).every((sample) => sample === 0)).toBe(true)
    ring.write(20_000, [block(20_000)], false)
    const out = play(ring, 24)
    const whole = block(0, out.length)
    for (let i = 240; i < out.length; i++) expect(out[i]).toBeCloseTo(whole[i]!, 5)
    expect(ring.ptsUs).toBeCloseTo(24_000, 0)
    expect(ring.concealedMs).toBe(0)
  })

  it("fills a lost packet without a click and keeps its time", () => {
    const ring = new PlayoutRing()
    ring.setTarget(20)
    for (const pts of [0, 20_000, 60_000, 80_000]) ring.write(pts, [block(pts)], false)
    const out = play(ring, 96)
    expect(ring.concealedMs).toBe(20)
    expect(ring.longestGapMs).toBe(20)
    expect(ring.ptsUs).toBeCloseTo(96_000, 0)
    const whole = block(0, out.length)
    expect(biggestStep(out.subarray(240))).toBeLessThan(0.065)
    for (let i = 66 * 48; i < 95 * 48; i++) expect(out[i]).toBeCloseTo(whole[i]!, 4)
  })

  it("runs dry with a fade, starts again when the target is there, and counts the hole", () => {
    const ring = new PlayoutRing()
    ring.setTarget(40)
    for (const pts of [0, 20_000]) ring.write(pts, [block(pts)], false)
    const out = play(ring, 80)
    expect(biggestStep(out)).toBeLessThan(0.065)
    expect(ring.ptsUs).toBeUndefined()
    // The voice is held for a moment instead of breaking off, and then fades.
    expect(loudness(out.subarray(45 * 48, 60 * 48))).toBeGreaterThan(0.5)
    expect(loudness(play(ring, 80).subarray(70 * 48))).toBe(0)
    expect(ring.longestGapMs).toBeGreaterThan(35)
    for (const pts of [40_000, 60_000]) ring.write(pts, [block(pts)], false)
    play(ring, 8)
    expect(ring.ptsUs).toBeCloseTo(48_000, -3)
    expect(ring.concealedMs).toBeCloseTo(120, 0)
  })

  it("does not count a pause on purpose", () => {
    const ring = new PlayoutRing()
    for (const pts of [0, 20_000]) ring.write(pts, [block(pts)], false)
    play(ring, 24)
    ring.clear()
    play(ring, 2_000)
    expect(ring.longestGapMs).toBe(0)
    for (const pts of [3_000_000, 3_020_000]) ring.write(pts, [block(pts)], pts === 3_000_000)
    play(ring, 16)
    expect(ring.ptsUs).toBeCloseTo(3_016_000, -2)
    expect(ring.concealedMs).toBe(0)
  })

  it("drops a packet whose time is over", () => {
    const ring = new PlayoutRing()
    expect(ring.write(40_000, [block(40_000)], false)).toBe(true)
    expect(ring.write(20_000, [block(20_000)], false)).toBe(false)
    expect(ring.bufferedMs).toBe(20)
  })

  it("plays later and earlier when told, without clicks", () => {
    const ring = new PlayoutRing()
    ring.setTarget(60)
    let written = 0
    const feed = (ms: number) => {
      const out: Float32Array[] = []
      for (let i = 0; i < ms / 20; i++) {
        ring.write(written, [block(written)], false)
        written += 20_000
        // 7.5 quanta are 20 ms.
        out.push(play(ring, i % 2 === 0 ? 7 * (128 / 48) : 8 * (128 / 48)))
      }
      return out
    }
    feed(400)
    const before = ring.bufferedMs
    ring.adjust(50)
    const later = feed(6_000)
    expect(ring.bufferedMs - before).toBeGreaterThan(44)
    expect(ring.bufferedMs - before).toBeLessThan(56)
    ring.adjust(-50)
    const earlier = feed(6_000)
    expect(Math.abs(ring.bufferedMs - before)).toBeLessThan(6)
    for (const part of [...later, ...earlier]) expect(biggestStep(part)).toBeLessThan(0.065)
    expect(ring.concealedMs).toBe(0)
  })

  it("keeps the pitch while it plays faster or slower", () => {
    for (const adjustment of [100, -100]) {
      const ring = new PlayoutRing()
      ring.setTarget(200)
      let written = 0
      for (; written < 1_500_000; written += 20_000) ring.write(written, [block(written)], false)
      play(ring, 40)
      const before = ring.ptsUs!
      ring.adjust(adjustment)
      const out = play(ring, 1_000)
      const moved = (ring.ptsUs! - before) / 1_000 - 1_000
      // 5 % of a second is what changes the time without being heard.
      expect(moved * -Math.sign(adjustment)).toBeGreaterThan(30)
      expect(Math.abs(frequency(out) - 440)).toBeLessThan(2)
    }
  })

  it("leaves noise in peace as long as there is time", () => {
    const ring = new PlayoutRing()
    ring.setTarget(100)
    let seed = 1
    const noise = () => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
      return (seed / 2 ** 31) * 2 - 1
    }
    for (let pts = 0; pts < 1_800_000; pts += 20_000) ring.write(pts, [Float32Array.from({ length: 960 }, noise)], false)
    play(ring, 16)
    ring.adjust(-30)
    const before = ring.ptsUs!
    play(ring, 800)
    expect((ring.ptsUs! - before) / 1_000).toBeCloseTo(800, 0)
  })

  it("absorbs a clock that is off by 300 ppm for ten minutes", () => {
    const ring = new PlayoutRing()
    ring.setTarget(60)
    const left = new Float32Array(QUANTUM)
    const right = new Float32Array(QUANTUM)
    let written = 0
    let worst = 0
    for (let quantum = 0; quantum < 600 * 375; quantum++) {
      // The publisher's clock runs fast: its sound comes sooner and sooner by ours.
      const nowUs = ((quantum * QUANTUM) / 48) * 1_000 * 1.0003
      for (; written <= nowUs + 60_000; written += 20_000) ring.write(written, [block(written)], false)
      ring.read(left, right)
      if (quantum < 375 || quantum % 94 !== 0) continue
      const errorMs = (ring.ptsUs! - nowUs) / 1_000
      worst = Math.max(worst, Math.abs(errorMs))
      if (Math.abs(errorMs) > 5) ring.adjust(errorMs)
    }
    expect(worst).toBeLessThan(15)
    expect(ring.concealedMs).toBe(0)
  })

  it("cuts a large excess out at once", () => {
    const ring = new PlayoutRing()
    ring.setTarget(60)
    for (let pts = 0; pts < 800_000; pts += 20_000) ring.write(pts, [block(pts)], false)
    play(ring, 8)
    ring.adjust(-600)
    expect(ring.bufferedMs).toBeCloseTo(192, 0)
  })

  it("holds two seconds at most and stays sane with any input", () => {
    const step = fc.oneof(
      fc.record({
        op: fc.constant("write" as const),
        pts: fc.oneof(fc.integer({ min: 0, max: 2_000_000 }), fc.double({ noNaN: false })),
        length: fc.integer({ min: 0, max: 3_000 }),
        flag: fc.boolean(),
      }),
      fc.record({ op: fc.constant("read" as const) }),
      fc.record({ op: fc.constant("clear" as const) }),
      fc.record({ op: fc.constant("target" as const), ms: fc.double() }),
      fc.record({ op: fc.constant("adjust" as const), ms: fc.double() }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const ring = new PlayoutRing()
        const left = new Float32Array(QUANTUM)
        const right = new Float32Array(QUANTUM)
        for (const s of steps) {
          if (s.op === "write") ring.write(s.pts, [new Float32Array(s.length).fill(0.5)], s.flag)
          else if (s.op === "read") ring.read(left, right)
          else if (s.op === "clear") ring.clear()
          else if (s.op === "target") ring.setTarget(s.ms)
          else ring.adjust(s.ms)
          expect(ring.bufferedMs).toBeLessThanOrEqual(2_000)
          expect(left.every((sample) => Math.abs(sample) <= 0.51)).toBe(true)
        }
      }),
      { numRuns: 1_000 },
    )
  })
})
