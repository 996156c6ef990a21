import { describe, expect, it } from "vitest"
import { Random } from "../engine/random.ts"
import { passed, popcount, reliableDelayMs } from "./loss.ts"
import { canLink, drawPlace, oneWayMs } from "./places.ts"
import { Uplink } from "./uplink.ts"

describe("loss", () => {
  for (const burst of [1, 4]) {
    it(`loses the share it is asked to lose, in runs of ${burst}`, () => {
      const random = new Random(3, "loss")
      const state = { bad: false }
      let [lost, runs, before] = [0, 0, true]
      for (let i = 0; i < 20_000; i++) {
        const through = passed(0x3ff, { loss: 0.05, burst }, state, random)
        for (let bit = 0; bit < 10; bit++) {
          const came = ((through >> bit) & 1) === 1
          if (!came) lost++
          if (!came && before) runs++
          before = came
        }
      }
      expect(Math.abs(lost / 200_000 - 0.05)).toBeLessThan(0.004)
      expect(Math.abs(lost / runs / (burst === 1 ? 1 / 0.95 : burst) - 1)).toBeLessThan(0.1)
    })
  }

  it("counts bits as one would", () => {
    const random = new Random(1, "bits")
    for (let i = 0; i < 1_000; i++) {
      const mask = random.uint32() & 0x7fffffff
      expect(popcount(mask)).toBe(mask.toString(2).replaceAll("0", "").length)
    }
  })

  it("a reliable message is late when its packet is lost, and comes", () => {
    const random = new Random(1, "reliable")
    const delays = Array.from({ length: 2_000 }, () => reliableDelayMs(50, { loss: 0.1, burst: 1 }, random))
    expect(Math.min(...delays)).toBe(50)
    expect(delays.filter((delay) => delay === 50).length / 2_000).toBeGreaterThan(0.85)
    expect(Math.max(...delays)).toBeGreaterThanOrEqual(250)
  })
})

describe("Uplink", () => {
  it("sends at its rate and drops what would wait too long", () => {
    const uplink = new Uplink(1_000, 20) // 1 Mbit/s: 1 250 bytes take 10 ms
    expect([1, 2, 3, 4].map(() => uplink.send(1_250, 100))).toEqual([110, 120, 130, undefined])
    expect(uplink.queueMs(105)).toBe(25)
    expect(uplink.send(1_250, 200)).toBe(210)
    expect([uplink.sentBytes, uplink.droppedBytes]).toEqual([5_000, 1_250])
  })
})

describe("places", () => {
  it("delays are the same both ways, and symmetric NATs do not reach each other", () => {
    const random = new Random(1, "places")
    const places = Array.from({ length: 300 }, () => drawPlace(random, [{ multiple: 2, share: 1 }], 1_000, true))
    for (const a of places.slice(0, 20)) {
      for (const b of places) {
        expect(oneWayMs(a, b)).toBe(oneWayMs(b, a))
        expect(canLink(a, b)).toBe(!(a.nat === "symmetric" && b.nat === "symmetric"))
      }
    }
    expect(new Set(places.map(({ nat }) => nat)).size).toBe(3)
    expect(places.every(({ uplink }) => uplink === 2_000)).toBe(true)
  })
})
