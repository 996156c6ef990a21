import { describe, expect, it } from "vitest"
import { LayerChoice } from "./layer-choice.ts"

const rungs = [
  { spatial: 2, width: 1280, height: 720 },
  { spatial: 0, width: 320, height: 180 },
  { spatial: 1, width: 640, height: 360 },
]
const uncapped = { maxSpatial: 255 }

describe("LayerChoice", () => {
  it("takes the highest rung unless the application says otherwise", () => {
    const choice = new LayerChoice()
    expect(choice.choose(rungs, uncapped, 0)).toEqual({ spatial: 2, reason: "best" })
    expect(choice.choose(rungs, { maxSpatial: 1 }, 0)).toEqual({ spatial: 1, reason: "policy" })
    expect(choice.choose(rungs.slice(0, 1), { maxSpatial: 0 }, 0)).toEqual({ spatial: 2, reason: "best" })
  })

  it("takes the smallest rung that fills the tile, and nothing for a hidden one", () => {
    const choice = new LayerChoice()
    const of = (width: number, height: number) => choice.choose(rungs, { ...uncapped, size: { width, height } }, 0)
    expect(of(200, 112)).toEqual({ spatial: 0, reason: "size" })
    expect(of(400, 225)).toEqual({ spatial: 0, reason: "size" })
    expect(of(500, 280)).toEqual({ spatial: 1, reason: "size" })
    expect(of(1000, 563)).toEqual({ spatial: 2, reason: "best" })
    expect(of(4000, 2000)).toEqual({ spatial: 2, reason: "best" })
    // A narrow tile shows a small picture however high it is.
    expect(of(300, 2000)).toEqual({ spatial: 0, reason: "size" })
    expect(of(0, 0)).toEqual({ spatial: undefined, reason: "hidden" })
    expect(choice.choose(rungs, { maxSpatial: 0, size: { width: 1280, height: 720 } }, 0).reason).toBe("policy")
  })

  it("says whether the path or the decoder was too slow", () => {
    const choice = new LayerChoice()
    choice.refused(2, 0, "cpu")
    expect(choice.choose(rungs, uncapped, 1)).toEqual({ spatial: 1, reason: "cpu" })
    choice.refused(1, 1)
    expect(choice.choose(rungs, uncapped, 2)).toEqual({ spatial: 0, reason: "network" })
    choice.refused(0, 2, "cpu")
    expect(choice.choose(rungs, uncapped, 3).spatial).toBe(0)
  })

  it("goes one down from a rung that does not fit, and tries it again later and later", () => {
    const choice = new LayerChoice()
    choice.refused(2, 1_000)
    expect(choice.choose(rungs, uncapped, 1_000)).toEqual({ spatial: 1, reason: "network" })
    // Said twice is the same complaint.
    choice.refused(2, 2_000)
    expect(choice.wake(2_000)).toBe(11_000)
    expect(choice.choose(rungs, uncapped, 10_999).spatial).toBe(1)
    expect(choice.choose(rungs, uncapped, 11_000)).toEqual({ spatial: 2, reason: "best" })
    choice.refused(2, 14_000)
    expect(choice.wake(14_000)).toBe(34_000)
    choice.refused(2, 36_000)
    expect(choice.wake(36_000)).toBe(76_000)
    // Long after, it is a new complaint.
    choice.refused(2, 200_000)
    expect(choice.wake(200_000)).toBe(210_000)
  })

  it("ends at the lowest rung, which is received whatever the path says", () => {
    const choice = new LayerChoice()
    for (const spatial of [2, 1, 0]) choice.refused(spatial, 0)
    expect(choice.choose(rungs, uncapped, 1)).toEqual({ spatial: 0, reason: "network" })
  })

  it("leaves a pinned rung where it is", () => {
    const choice = new LayerChoice()
    choice.refused(2, 0)
    expect(choice.choose(rungs, { maxSpatial: 0, pinned: 2 }, 1)).toEqual({ spatial: 2, reason: "pinned" })
    expect(choice.choose(rungs, { ...uncapped, pinned: 7 }, 1)).toEqual({ spatial: 2, reason: "pinned" })
    choice.forget()
    expect(choice.choose(rungs, uncapped, 1).spatial).toBe(2)
    expect(choice.wake(1)).toBeUndefined()
  })
})
