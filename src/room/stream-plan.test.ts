import { describe, expect, it } from "vitest"
import { planStreams } from "./stream-plan.ts"

const bounds = { width: 1280, height: 720 }
const plan = (width: number, height: number) => planStreams("layers", { width, height }, bounds)

describe("planStreams", () => {
  it("halves the picture as long as it stays useful, and rests all but the full one", () => {
    expect(plan(1280, 720)).toEqual([
      { spatial: 2, scale: 1, idle: false, below: 0.5 },
      { spatial: 1, scale: 0.5, idle: true, below: 0.25 },
      { spatial: 0, scale: 0.25, idle: true },
    ])
    expect(plan(640, 360).map(({ spatial, scale }) => [spatial, scale])).toEqual([
      [1, 1],
      [0, 0.5],
    ])
    expect(plan(320, 180)).toEqual([{ spatial: 0, scale: 1, idle: false }])
  })

  it("counts from the size that is encoded, upright or not", () => {
    expect(plan(3840, 2160)).toHaveLength(3)
    expect(plan(720, 1280)).toHaveLength(3)
    expect(plan(1280, 200)).toHaveLength(1)
  })

  it("makes one stream, or two descriptions, when asked to", () => {
    expect(planStreams("single", { width: 1280, height: 720 }, bounds)).toEqual([{ spatial: 0, scale: 1, idle: false }])
    const descriptions = planStreams("descriptions", { width: 1280, height: 720 }, bounds)
    expect(descriptions.map(({ description, idle }) => [description, idle])).toEqual([
      [{ index: 0, count: 2 }, false],
      [{ index: 1, count: 2 }, false],
    ])
  })
})
