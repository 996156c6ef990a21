import { beforeEach, describe, expect, it } from "vitest"
import { LeadWatch } from "./lead-watch.ts"

const STEP_MS = 250

describe("whether the first parent brings what the others bring", () => {
  let watch: LeadWatch
  let now: number
  let baseOnly: boolean
  /** What each parent brings in a step: base chunks and upper ones. */
  let brings: Record<string, [base: number, upper: number]>
  let counts: Record<string, { base: number; upper: number }>

  beforeEach(() => {
    watch = new LeadWatch()
    now = 1_000_000
    baseOnly = false
    brings = { ann: [3, 2], bob: [3, 2] }
    counts = { ann: { base: 0, upper: 0 }, bob: { base: 0, upper: 0 } }
  })

  /** Time passes; whether ann leads at the end, or at any step of it. */
  const run = (ms: number, hasUpper = true, primary: string | null = "ann") => {
    const seen: boolean[] = []
    for (const end = now + ms; now < end; ) {
      now += STEP_MS
      for (const [name, [base, upper]] of Object.entries(brings)) {
        counts[name]!.base += base
        counts[name]!.upper += upper
      }
      const feeds = Object.entries(counts).map(([from, count]) => ({ from, ...count }))
      seen.push(watch.isLed(primary ?? undefined, feeds, { hasUpper, baseOnly }, now))
    }
    return { now: seen.at(-1), always: seen.every(Boolean), ever: seen.some(Boolean) }
  }

  it("it does while all bring everything, and while it alone brings upper layers", () => {
    expect(run(2_000).always).toBe(true)
    brings.bob = [3, 0]
    baseOnly = true
    expect(run(10_000).always).toBe(true)
  })

  it("there is no first one at the beginning", () => {
    expect(run(1_000, true, null).ever).toBe(false)
  })

  it("not when it brings nothing while another brings base chunks", () => {
    run(2_000)
    brings.ann = [0, 0]
    expect(run(750).now).toBe(false)
    brings.ann = [3, 2]
    expect(run(STEP_MS).now).toBe(true)
  })

  it("silence of all says nothing about one of them", () => {
    run(2_000, false)
    brings = { ann: [0, 0], bob: [0, 0] }
    expect(run(5_000, false).always).toBe(true)
  })

  it("not when it brings no upper layers and another one does", () => {
    brings.ann = [3, 0]
    expect(run(2_000).ever).toBe(false)
    brings.ann = [3, 1]
    expect(run(STEP_MS).now).toBe(true)
  })

  it("not when its upper layers stop and nobody else was asked for them", () => {
    brings.bob = [3, 0]
    baseOnly = true
    expect(run(3_000).always).toBe(true)
    brings.ann = [3, 0]
    expect(run(1_250).now).toBe(false)
  })

  it("it does when all were asked for upper layers and there are none, until some come", () => {
    brings = { ann: [3, 0], bob: [3, 0] }
    run(3_250)
    baseOnly = true
    expect(run(20_000).always).toBe(true)
    baseOnly = false
    brings.bob = [3, 2]
    expect(run(STEP_MS).now).toBe(false)
  })

  it("upper layers do not count where none are wanted", () => {
    brings.ann = [3, 0]
    expect(run(5_000, false).always).toBe(true)
  })
})
