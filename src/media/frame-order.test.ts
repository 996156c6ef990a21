import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { FrameNumbering } from "./frame-numbering.ts"
import { FrameOrder } from "./frame-order.ts"

interface Coded {
  frameId: number
  keyframe: boolean
  temporalId: number
  /** Index of the frames this one cannot be decoded without. */
  needs: number[]
}

/** What an L1Tn encoder puts out: dyadic layers, restarted by keyframes, some frames dropped by the encoder itself. */
function encode(
  layers: number,
  keyEvery: number,
  count: number,
  first: number,
  dropped: ReadonlySet<number> = new Set(),
): Coded[] {
  const numbering = new FrameNumbering(layers, first)
  const period = 2 ** (layers - 1)
  const out: Coded[] = []
  let position = 0
  let base = -1
  let slot: { index: number; layer: number }[] = []
  for (let i = 0; i < count; i++) {
    const keyframe = i % keyEvery === 0
    if (keyframe) position = 0
    let layer = position % period === 0 ? 0 : layers - 1
    for (let p = position % period; p > 0 && p % 2 === 0; p /= 2) layer--
    position++
    if (!keyframe && layer > 0 && dropped.has(i)) continue
    const index = out.length
    const needs = keyframe ? [] : [base, ...slot.filter((s) => s.layer < layer).map((s) => s.index)]
    out.push({ frameId: numbering.assign(layer), keyframe, temporalId: layer, needs })
    if (layer === 0) {
      base = index
      slot = []
    } else slot.push({ index, layer })
  }
  return out
}

const meta = (frame: Coded) => ({ frameId: frame.frameId, keyframe: frame.keyframe, temporalId: frame.temporalId, bytes: 100 })

/** Checks like a decoder that every reference is there, and that order is kept. */
function check(frames: readonly Coded[], fed: readonly number[]): void {
  const decoded = new Set<number>()
  let before = -1
  for (const index of fed) {
    expect(index).toBeGreaterThan(before)
    before = index
    for (const need of frames[index]!.needs) expect(decoded.has(need)).toBe(true)
    decoded.add(index)
  }
}

describe("FrameOrder", () => {
  it("lets a stream without loss through at once", () => {
    const frames = encode(2, 100, 50, 0xffff_fff0)
    const order = new FrameOrder<number>({ temporalLayers: 2 })
    frames.forEach((frame, i) => {
      expect(order.push(meta(frame), i, i)).toBe("taken")
      expect(order.take(i, 50)).toEqual([i])
    })
    expect(order.lost).toBe(0)
  })

  it("never feeds a hole and always recovers with a keyframe, whatever is lost, late or doubled", () => {
    const run = fc.record({
      layers: fc.integer({ min: 1, max: 3 }),
      keyEvery: fc.integer({ min: 5, max: 30 }),
      first: fc.constantFrom(0, 0xffff_ffe0),
      dropped: fc.uniqueArray(fc.integer({ min: 0, max: 59 }), { maxLength: 8 }),
      fates: fc.array(
        fc.record({ lost: fc.integer({ min: 0, max: 9 }), delay: fc.integer({ min: 0, max: 200 }), twice: fc.boolean() }),
        {
          minLength: 60,
          maxLength: 60,
        },
      ),
      wait: fc.integer({ min: 0, max: 150 }),
      told: fc.boolean(),
    })
    fc.assert(
      fc.property(run, ({ layers, keyEvery, first, dropped, fates, wait, told }) => {
        const frames = encode(layers, keyEvery, 60, first, new Set(dropped))
        const events: { at: number; index: number; lost: boolean }[] = []
        frames.forEach((_, index) => {
          const fate = fates[index]!
          const at = index * 33 + fate.delay
          if (fate.lost === 0) {
            if (told) events.push({ at, index, lost: true })
          } else {
            events.push({ at, index, lost: false })
            if (fate.twice) events.push({ at: at + 20, index, lost: false })
          }
        })
        events.sort((a, b) => a.at - b.at)
        const order = new FrameOrder<number>({ temporalLayers: layers })
        const fed: number[] = []
        for (const { at, index, lost } of events) {
          const frame = frames[index]!
          if (lost) order.giveUp(frame.frameId)
          else order.push(meta(frame), at, index)
          fed.push(...order.take(at, wait))
        }
        // A keyframe after everything else always gets through.
        const last = { ...frames.at(-1)!, frameId: (frames.at(-1)!.frameId + 1) >>> 0, keyframe: true, temporalId: 0, needs: [] }
        order.push(meta(last), 10_000, frames.length)
        fed.push(...order.take(10_000 + wait, wait))
        check([...frames, last], fed)
        expect(fed.at(-1)).toBe(frames.length)
        expect(order.held).toBe(0)
        expect(order.needsKeyframe(20_000, wait)).toBe(false)
      }),
      { numRuns: 3_000 },
    )
  })

  it("survives any input: numbers, flags and sizes out of thin air", () => {
    const any = fc.record({
      frameId: fc.oneof(fc.integer({ min: 0, max: 0xffff_ffff }), fc.integer({ min: 0, max: 300 })),
      keyframe: fc.boolean(),
      temporalId: fc.integer({ min: 0, max: 7 }),
      bytes: fc.integer({ min: 0, max: 4 << 20 }),
      step: fc.integer({ min: 0, max: 40 }),
    })
    fc.assert(
      fc.property(fc.array(any, { maxLength: 40 }), fc.integer({ min: 1, max: 4 }), (inputs, layers) => {
        const order = new FrameOrder<number>({ temporalLayers: layers, maxFrames: 16, maxBytes: 8 << 20 })
        let now = 0
        for (const { step, ...input } of inputs) {
          now += step
          order.push(input, now, 0)
          if (input.bytes % 5 === 0) order.giveUp(input.frameId + 1)
          order.take(now, 30)
          order.needsKeyframe(now, 30)
          order.deadline(30)
          expect(order.held).toBeLessThanOrEqual(16)
        }
      }),
      { numRuns: 10_000 },
    )
  })

  it("waits for a late base frame, asks for a keyframe when it does not come, and goes on if it comes after all", () => {
    const frames = encode(2, 100, 8, 0)
    const order = new FrameOrder<number>({ temporalLayers: 2 })
    for (const i of [0, 1]) order.push(meta(frames[i]!), i, i)
    expect(order.take(1, 50)).toEqual([0, 1])
    for (const i of [3, 4]) order.push(meta(frames[i]!), 10 + i, i)
    expect(order.take(20, 50)).toEqual([])
    expect(order.needsKeyframe(20, 50)).toBe(false)
    expect(order.deadline(50)).toBe(63)
    expect(order.take(63, 50)).toEqual([])
    expect(order.needsKeyframe(63, 50)).toBe(true)
    order.push(meta(frames[2]!), 80, 2)
    expect(order.take(80, 50)).toEqual([2, 3, 4])
    expect(order.needsKeyframe(80, 50)).toBe(false)
  })

  it("asks at once when the missing base frame is known to be lost", () => {
    const frames = encode(1, 100, 4, 0)
    const order = new FrameOrder<number>({ temporalLayers: 1 })
    order.push(meta(frames[0]!), 0, 0)
    order.take(0, 50)
    order.giveUp(1)
    expect(order.needsKeyframe(1, 50)).toBe(true)
  })

  it("does not wait for enhancement frames above the cap", () => {
    const frames = encode(2, 100, 6, 0)
    const order = new FrameOrder<number>({ temporalLayers: 2 })
    order.setMaxTemporal(0)
    const fed: number[] = []
    for (const i of [0, 2, 4]) {
      order.push(meta(frames[i]!), i, i)
      fed.push(...order.take(i, 50))
    }
    expect(fed).toEqual([0, 2, 4])
    expect(order.lost).toBe(0)
  })

  it("passes over a lost enhancement frame when the wait is over", () => {
    const frames = encode(2, 100, 4, 0)
    const order = new FrameOrder<number>({ temporalLayers: 2 })
    order.push(meta(frames[0]!), 0, 0)
    order.push(meta(frames[2]!), 66, 2)
    expect(order.take(66, 50)).toEqual([0])
    expect(order.take(116, 50)).toEqual([2])
    expect(order.lost).toBe(1)
    expect(order.push(meta(frames[1]!), 120, 1)).toBe("late")
  })

  it("lets a base frame go when it is due, and never over the base frame before it", () => {
    const frames = encode(2, 100, 6, 0)
    const order = new FrameOrder<number>({ temporalLayers: 2 })
    order.push(meta(frames[0]!), 0, 0)
    order.push(meta(frames[2]!), 66, 2)
    expect(order.take(66, 500, () => false)).toEqual([0])
    expect(order.next).toBe(2)
    expect(order.take(67, 500, () => true)).toEqual([2])
    order.push(meta(frames[3]!), 130, 3)
    order.push(meta(frames[5]!), 166, 5)
    expect(order.take(167, 500, () => true)).toEqual([3])
  })

  it("does not hold a keyframe back for an enhancement frame", () => {
    const order = new FrameOrder<number>({ temporalLayers: 2 })
    order.push({ frameId: 0, keyframe: true, temporalId: 0, bytes: 1 }, 0, 0)
    order.push({ frameId: 2, keyframe: true, temporalId: 0, bytes: 1 }, 1, 2)
    expect(order.take(1, 50)).toEqual([0, 2])
  })

  it("feeds nothing but a keyframe after a reset", () => {
    const frames = encode(1, 3, 6, 0)
    const order = new FrameOrder<number>({ temporalLayers: 1 })
    const fed: number[] = []
    frames.forEach((frame, i) => {
      if (i === 2) order.reset()
      order.push(meta(frame), i, i)
      fed.push(...order.take(i, 50))
    })
    expect(fed).toEqual([0, 1, 3, 4, 5])
    expect(order.skipped).toBe(1)
  })
})
