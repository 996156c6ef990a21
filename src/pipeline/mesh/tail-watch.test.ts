import { describe, expect, test } from "vitest"
import { TailWatch } from "./tail-watch.ts"

describe("the end of a frame that was lost", () => {
  test("is asked for when nothing came for a moment, and once more later", () => {
    const watch = new TailWatch()
    watch.part(1, 100)
    watch.part(1, 104)
    expect(watch.due(110)).toBe(false)
    expect(watch.due(112)).toBe(true)
    expect(watch.due(150)).toBe(false)
    expect(watch.due(183)).toBe(true)
    expect(watch.due(400)).toBe(false)
  })

  test("is not asked for when the frame is complete or given up", () => {
    const watch = new TailWatch()
    watch.part(1, 0)
    watch.done(1)
    expect(watch.due(50)).toBe(false)
    watch.part(2, 60)
    watch.clear()
    expect(watch.due(100)).toBe(false)
  })

  test("of many frames only the newest are watched", () => {
    const watch = new TailWatch()
    for (let frame = 0; frame < 1_000; frame++) watch.part(frame, frame)
    let asked = 0
    for (let now = 1_010; now < 3_000; now++) if (watch.due(now)) asked += 1
    expect(asked).toBe(2)
  })
})
