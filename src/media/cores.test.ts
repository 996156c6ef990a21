import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { CaptureClock } from "./capture-clock.ts"
import { FrameNumbering } from "./frame-numbering.ts"
import { GapMeter } from "./gap-meter.ts"
import { JitterEstimator } from "./jitter-estimator.ts"
import { KeyframeLimiter } from "./keyframe-limiter.ts"
import { RateMeter } from "./rate-meter.ts"
import { rootMeanSquare, SpeakingDetector } from "./speaking.ts"
import { SyncGroup } from "./sync-group.ts"

/** A repeatable stand-in for a random number 0..1. */
function noise(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

describe("JitterEstimator", () => {
  it("stays at the minimum without jitter, whatever the clocks say", () => {
    const jitter = new JitterEstimator()
    for (let i = 0; i < 500; i++) jitter.add(i * 20_000, i * 20_000 + 123_456_789)
    expect(jitter.targetMs).toBe(20)
    expect(jitter.jitterMs).toBe(0)
    expect(jitter.fastestUs).toBe(123_456_789)
  })

  it("rises within a few frames and falls slowly", () => {
    const jitter = new JitterEstimator()
    const random = noise(1)
    let at = 0
    const feed = (count: number, spreadMs: number) => {
      for (let i = 0; i < count; i++, at += 20_000) jitter.add(at, at + 40_000 + random() * spreadMs * 1_000)
    }
    feed(100, 0)
    feed(15, 100)
    const risen = jitter.targetMs
    expect(risen).toBeGreaterThan(60)
    feed(50, 0)
    expect(jitter.targetMs).toBeGreaterThan(risen - 25)
    feed(1_000, 0)
    expect(jitter.targetMs).toBe(20)
  })

  it("forgives one late frame", () => {
    const jitter = new JitterEstimator()
    for (let i = 0; i < 100; i++) jitter.add(i * 20_000, i * 20_000 + (i === 50 ? 400_000 : 0))
    expect(jitter.targetMs).toBe(20)
  })

  it("covers nearly every frame of a steady jitter", () => {
    const jitter = new JitterEstimator()
    const random = noise(5)
    let late = 0
    for (let i = 0; i < 3_000; i++) {
      const excess = jitter.add(i * 33_333, i * 33_333 + random() * 80_000)
      if (i > 300 && excess > jitter.targetMs) late++
    }
    expect(late / 2_700).toBeLessThan(0.06)
    expect(jitter.targetMs).toBeLessThan(95)
  })

  it("forgets a few frames that seemed too fast, and at once when it is told that the clock was wrong", () => {
    for (const told of [false, true]) {
      const jitter = new JitterEstimator()
      for (let i = 0; i < 10; i++) jitter.add(i * 20_000, i * 20_000 - 600_000)
      for (let i = 10; i < 50; i++) jitter.add(i * 20_000, i * 20_000)
      expect(jitter.targetMs).toBe(500)
      if (told) jitter.rebase()
      const seconds = told ? 15 : 25
      for (let i = 50; i < 50 + seconds * 50; i++) jitter.add(i * 20_000, i * 20_000)
      expect(jitter.fastestUs).toBe(0)
      expect(jitter.targetMs).toBeLessThan(told ? 140 : 150)
    }
  })

  it("starts anew when a path change moves every frame by seconds", () => {
    const jitter = new JitterEstimator()
    for (let i = 0; i < 50; i++) jitter.add(i * 20_000, i * 20_000)
    for (let i = 50; i < 150; i++) jitter.add(i * 20_000, i * 20_000 + 5_000_000)
    expect(jitter.targetMs).toBe(20)
    expect(jitter.fastestUs).toBe(5_000_000)
  })
})

describe("CaptureClock", () => {
  it("takes the delivery jitter out and follows a drifting device", () => {
    const clock = new CaptureClock()
    const random = noise(3)
    const steps: number[] = []
    let last: number | undefined
    let pts = 0
    let arrival = 0
    for (let i = 0; i < 3_000; i++) {
      const source = i * 20_000
      // The device runs 0.2 % slow; blocks come 0 to 15 ms late.
      arrival = Math.round(source * 1.002 + 1_000_000 + random() * 15_000)
      pts = clock.pts(source, arrival)
      if (last !== undefined && i > 300) steps.push(pts - last)
      last = pts
    }
    expect(Math.max(...steps)).toBeLessThan(20_200)
    expect(Math.min(...steps)).toBeGreaterThan(18_900)
    expect(arrival - pts).toBeLessThan(25_000)
  })

  it("never goes back, not even when the device's clock starts anew", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 1e9 }), fc.integer({ min: 0, max: 1e9 }))), (pairs) => {
        const clock = new CaptureClock()
        let last = Number.NEGATIVE_INFINITY
        for (const [source, arrival] of pairs) {
          const pts = clock.pts(source, arrival)
          expect(Number.isInteger(pts)).toBe(true)
          expect(pts).toBeGreaterThan(last)
          last = pts
        }
      }),
      { numRuns: 1_000 },
    )
  })
})

describe("SyncGroup", () => {
  it("lets the slowest stream decide, but holds sound back only so far", () => {
    const group = new SyncGroup()
    expect(group.targetUs()).toBeUndefined()
    group.wish("a", "audio", 50_000)
    group.wish("v", "video", 60_000)
    expect(group.targetUs()).toBe(50_000)
    group.wish("v", "video", 120_000)
    expect(group.targetUs()).toBe(95_000)
    group.wish("v", "video", 900_000)
    expect(group.targetUs()).toBe(350_000)
    group.remove("a")
    expect(group.targetUs()).toBe(900_000)
  })

  it("keeps pictures within bounds of what is heard, and of the wish when sound ends", () => {
    const group = new SyncGroup()
    group.wish("a", "audio", 100_000)
    group.wish("v", "video", 80_000)
    for (let i = 0; i < 10; i++) group.heard("a", i * 40_000, i * 40_000 + 150_000 + (i % 3) * 7_000)
    expect(group.videoUs(500_000)).toBe(109_000)
    group.wish("v", "video", 110_000)
    expect(group.videoUs(500_000)).toBe(110_000)
    expect(group.soundUs(5_000_000)).toBeUndefined()
    expect(group.videoUs(5_000_000)).toBe(110_000)
    group.remove("v")
    expect(group.videoUs(5_000_000)).toBe(100_000)
    group.heard("a", 5_000_000, 5_100_000)
    group.forget("a")
    expect(group.soundUs(5_100_000)).toBeUndefined()
  })
})

describe("KeyframeLimiter", () => {
  it("goes at once, postpones once, joins the rest", () => {
    const limiter = new KeyframeLimiter(500)
    expect(limiter.request(1_000)).toBe(true)
    expect(limiter.request(1_100)).toBe(false)
    expect(limiter.due).toBe(1_500)
    expect(limiter.request(1_200)).toBe(false)
    expect(limiter.tick(1_499)).toBe(false)
    expect(limiter.tick(1_510)).toBe(true)
    expect(limiter.tick(1_600)).toBe(false)
    expect(limiter.request(2_010)).toBe(true)
  })

  it("never allows two within the gap, and forgets no request", () => {
    fc.assert(
      fc.property(fc.array(fc.record({ step: fc.integer({ min: 0, max: 300 }), ask: fc.boolean() })), (steps) => {
        const limiter = new KeyframeLimiter(500)
        let now = 0
        let last = Number.NEGATIVE_INFINITY
        let open = false
        for (const { step, ask } of steps) {
          now += step
          if (ask) open = true
          if (ask ? limiter.request(now) : limiter.tick(now)) {
            expect(now - last).toBeGreaterThanOrEqual(500)
            last = now
            open = false
          }
        }
        if (open) expect(limiter.tick(now + 500)).toBe(true)
      }),
    )
  })
})

describe("FrameNumbering", () => {
  it("keeps base frames a period apart when the encoder drops an enhancement frame", () => {
    const numbering = new FrameNumbering(2)
    const ids = [0, 1, 0, 0, 1, 0, 1].map((layer) => numbering.assign(layer))
    expect(ids).toEqual([0, 1, 2, 4, 5, 6, 7])
  })

  it("keeps a keyframe in the middle of a group a period away from the last base frame", () => {
    const numbering = new FrameNumbering(3)
    expect([0, 2, 1, 0, 1, 2].map((layer) => numbering.assign(layer))).toEqual([0, 1, 2, 4, 6, 7])
  })

  it("counts by one with one layer, and wraps", () => {
    const numbering = new FrameNumbering(1, 0xffff_ffff)
    expect([0, 0, 0].map((layer) => numbering.assign(layer))).toEqual([0xffff_ffff, 0, 1])
  })
})

describe("SpeakingDetector", () => {
  it("turns on quickly, bridges pauses, turns off, and at once on mute", () => {
    const detector = new SpeakingDetector()
    let now = 0
    const feed = (rms: number, ms: number) => {
      for (const end = now + ms; now < end; now += 20) detector.update(rms, now)
    }
    feed(0.001, 500)
    expect(detector.speaking).toBe(false)
    feed(0.1, 100)
    expect(detector.speaking).toBe(true)
    feed(0, 400)
    expect(detector.speaking).toBe(true)
    feed(0, 1_500)
    expect(detector.speaking).toBe(false)
    feed(0.1, 100)
    detector.mute()
    expect(detector.speaking).toBe(false)
    expect(detector.level).toBe(0)
  })

  it("measures a sine and refuses to be poisoned", () => {
    const sine = Float32Array.from({ length: 4_800 }, (_, i) => Math.sin((i * 2 * Math.PI * 100) / 48_000))
    expect(rootMeanSquare(sine)).toBeCloseTo(Math.SQRT1_2, 3)
    expect(rootMeanSquare(new Float32Array(0))).toBe(0)
    expect(rootMeanSquare(Float32Array.of(Number.NaN))).toBe(0)
  })
})

describe("meters", () => {
  it("GapMeter counts open gaps and leaves pauses out", () => {
    const gaps = new GapMeter()
    gaps.mark(0)
    gaps.mark(40)
    expect(gaps.longestMs(140)).toBe(100)
    gaps.pause()
    expect(gaps.longestMs(9_000)).toBe(40)
    gaps.mark(9_000)
    expect(gaps.longestMs(9_010)).toBe(40)
    gaps.reset()
    expect(gaps.longestMs(9_010)).toBe(0)
  })

  it("RateMeter gives values per second", () => {
    const rate = new RateMeter()
    for (let i = 0; i <= 60; i++) rate.add(i * 20, 100)
    expect(rate.count(1_200)).toBeCloseTo(50, 0)
    expect(rate.amount(1_200)).toBeCloseTo(5_000, -2)
    rate.count(2_500)
    expect(rate.count(4_000)).toBe(0)
  })
})
