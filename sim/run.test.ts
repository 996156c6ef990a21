import { describe, expect, it } from "vitest"
import { DEFAULTS, type Scenario } from "./model/scenario.ts"
import { htmlOf } from "./report/html.ts"
import { simulate } from "./run.ts"

const small: Scenario = { ...DEFAULTS, peers: 40, seconds: 15, rampSeconds: 5 }
const uniform = (multiple: number): Partial<Scenario> => ({ uplinks: [{ multiple, share: 1 }], sourceUplink: multiple })

describe("a simulation", () => {
  it("gives the same report byte for byte for a seed, and another one for another seed", async () => {
    const scenario: Scenario = { ...small, churnPerMinute: 1, loss: 0.05, burst: 2, nat: true, capacity: "measured" }
    const [first, second, other] = [
      await simulate(scenario),
      await simulate(scenario),
      await simulate({ ...scenario, seed: 2 }),
    ].map((report) => JSON.stringify(report))
    expect(second).toBe(first)
    expect(other).not.toBe(first)
  })

  it("on perfect paths loses nothing, while receivers move to better parents", async () => {
    const report = await simulate({ ...small, jitterMs: 0 })
    expect(report.stability.improvements).toBeGreaterThan(5)
    const [none, , two] = report.structure.parents
    // Who stands next to the source and first in key order has no second candidate (D-44).
    expect(none).toBe(0)
    expect(two).toBeGreaterThanOrEqual(35)
    expect(report.delivery.ratio).toBe(1)
    expect(report.delivery.groups).toBe(40 * 15 * small.groups)
    expect(report.packets.repeats).toBe(0)
  })

  it("nothing arrives sooner than light and hops allow", async () => {
    const report = await simulate(small)
    expect(report.latencyMs.p50).toBeGreaterThan(5)
    expect(report.stretch.p50).toBeGreaterThanOrEqual(1)
    expect(report.steps.max).toBeLessThanOrEqual(40)
  })

  it("losses without repair cost what arithmetic says", async () => {
    // One parent that is the source itself: each group needs all of its symbols.
    const report = await simulate({
      ...small,
      ...uniform(40),
      peers: 10,
      parents: 1,
      capacity: "known",
      loss: 0.02,
      repair: 0,
      nack: false,
      seconds: 60,
    })
    const { steps, delivery } = report
    expect(steps.max).toBeLessThanOrEqual(2)
    const whole = 0.98 ** 8
    expect(delivery.ratio).toBeLessThan(whole + 0.02)
    expect(delivery.ratio).toBeGreaterThan(whole ** steps.max - 0.02)
  })
})

describe.each([2, 10])("a hundred receivers with uplinks of %i copies", (multiple) => {
  it("form completely and not deep", async () => {
    const { structure } = await simulate({ ...DEFAULTS, ...uniform(multiple), peers: 100, seconds: 60 })
    expect(structure.receivers).toBe(100)
    expect(structure.parents[0]).toBe(0)
    expect(structure.cutOff).toBe(0)
    expect(structure.depth).toBeLessThanOrEqual(Math.ceil(Math.log(100) / Math.log(multiple)) + 2)
  })
})

describe("people who go", () => {
  it("cost those with two live parents next to nothing, and nobody moves without damping", async () => {
    const report = await simulate({ ...DEFAULTS, peers: 80, seconds: 30, churnPerMinute: 0.3, loss: 0.05 })
    expect(report.left).toBeGreaterThan(5)
    expect(report.delivery.fullSet).toBeGreaterThanOrEqual(0.999)
    expect(report.stability.undamped).toBe(0)
  })

  it("are noticed after the silence of the heal machine, never before, by those who had nobody else", async () => {
    const report = await simulate({ ...DEFAULTS, peers: 60, seconds: 40, churnPerMinute: 0.6, graceful: 0, parents: 1 })
    expect(report.heal.refedMs.count).toBeGreaterThan(5)
    expect(report.heal.reparentMs.p50).toBeGreaterThanOrEqual(1_500)
  })
})

it("the page holds the report and its plots, and text cannot leave its place", async () => {
  const report = await simulate({ ...small, peers: 5, seconds: 3 })
  const page = htmlOf({ ...report, stability: { ...report.stability, leftBecause: { "</script><b>": 1 } } })
  expect(page).toContain("new uPlot(")
  expect(page).toContain("Groups delivered")
  expect(page).not.toContain("</script><b>")
})
