import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Clock } from "./clock.ts"
import { Random } from "./random.ts"

describe("Clock", () => {
  it("runs events by time, equal times as planned, whatever the order of planning", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 300 }), (delays) => {
        const seen: [number, number][] = []
        const clock = new Clock((_, index) => seen.push([clock.now, index]))
        for (const [index, delay] of delays.entries()) clock.plan(delay, 0, index)
        clock.run(100)
        const expected = delays.map((delay, index): [number, number] => [delay, index]).sort((a, b) => a[0] - b[0] || a[1] - b[1])
        expect(seen).toEqual(expected)
        expect([clock.waiting, clock.now]).toEqual([0, 100])
      }),
    )
  })

  it("events that plan events: slots are used again, none is lost", () => {
    let sum = 0
    const clock = new Clock((kind, left, value) => {
      sum += value
      if (left > 0) clock.plan(kind, kind, left - 1, value + 1)
    })
    for (let i = 1; i <= 2_000; i++) clock.plan(i % 7, 1 + (i % 3), 5, 0)
    clock.run(1_000)
    expect(sum).toBe(2_000 * (0 + 1 + 2 + 3 + 4 + 5))
    expect(clock.ran).toBe(12_000)
  })

  it("stops at the time asked for", () => {
    const seen: number[] = []
    const clock = new Clock((_, index) => seen.push(index))
    clock.plan(5, 0, 1)
    clock.plan(6, 0, 2)
    clock.run(5)
    expect(seen).toEqual([1])
    clock.run(6)
    expect(seen).toEqual([1, 2])
  })
})

describe("Random", () => {
  it("repeats itself for a seed and label and differs for others", () => {
    const draw = (seed: number, label: string) => {
      const random = new Random(seed, label)
      return Array.from({ length: 8 }, () => random.uint32())
    }
    expect(draw(1, "loss")).toEqual(draw(1, "loss"))
    expect(draw(1, "loss")).not.toEqual(draw(2, "loss"))
    expect(draw(1, "loss")).not.toEqual(draw(1, "jitter"))
    expect(draw(2 ** 32 + 1, "loss")).not.toEqual(draw(1, "loss"))
  })

  it("is even, and as likely as asked", () => {
    const random = new Random(7, "even")
    const buckets = new Array<number>(10).fill(0)
    for (let i = 0; i < 100_000; i++) buckets[random.below(10)]!++
    for (const count of buckets) expect(Math.abs(count - 10_000)).toBeLessThan(500)
    let hits = 0
    for (let i = 0; i < 100_000; i++) if (random.chance(0.05)) hits++
    expect(Math.abs(hits - 5_000)).toBeLessThan(350)
    let sum = 0
    for (let i = 0; i < 100_000; i++) sum += random.exponential(3)
    expect(Math.abs(sum / 100_000 - 3)).toBeLessThan(0.06)
  })
})
