import { describe, expect, test } from "vitest"
import { type CareAction, LinkCare, RECONNECT_DEFAULTS, type ReconnectBudget, reconnectBudget } from "./link-care.ts"

/** Runs a care with a clock of its own; `said` is what it asked for, with the time. */
class Bench {
  now = 0
  heardAt = 0
  readonly said: [at: number, what: string][] = []
  readonly care: LinkCare
  /** Links that answer a check within 50 ms. */
  readonly alive = new Set<string>()
  readonly #answers: [at: number, link: string][] = []

  constructor(budget: Partial<ReconnectBudget> = {}) {
    this.care = new LinkCare({ ...RECONNECT_DEFAULTS, ...budget })
  }

  take(actions: readonly CareAction[]): void {
    for (const action of actions) {
      const what = action.type === "health" ? (action.healthy ? "well" : `sick ${action.why}`) : action.type
      this.said.push([this.now, `${action.link} ${what}`])
      if (action.type === "check" && this.alive.has(action.link)) this.#answers.push([this.now + 50, action.link])
      if (action.type === "giveUp") this.care.closed(action.link)
    }
  }

  /** @param media links on which media comes every second */
  run(until: number, media: readonly string[] = []): void {
    for (; this.now < until; this.now += 50) {
      for (const [at, link] of this.#answers.splice(0)) {
        if (at > this.now) this.#answers.push([at, link])
        else {
          this.heardAt = this.now
          this.take(this.care.heard(link, "control", this.now))
        }
      }
      if (this.now % 1_000 === 0) for (const link of media) this.take(this.care.heard(link, "media", this.now))
      if (this.now % 2_000 === 0)
        for (const link of media) if (this.alive.has(link)) this.take(this.care.heard(link, "control", this.now))
      this.take(this.care.tick(this.now))
    }
  }

  times(what: string): number[] {
    return this.said.flatMap(([at, said]) => (said === what ? [at] : []))
  }
}

describe("link care", () => {
  test("a living link is asked when it is quiet and never called sick", () => {
    const bench = new Bench()
    bench.alive.add("a")
    bench.care.opened("a", true, 0)
    bench.run(60_000)
    expect(bench.times("a check").length).toBeGreaterThan(30)
    expect(bench.said.filter(([, what]) => what !== "a check")).toEqual([])
  })

  test("missing media is noticed within 1.5 s, restarted at once by the one who offered, later by the other", () => {
    for (const [leads, first] of [
      [true, 0],
      [false, 800],
    ] as const) {
      const bench = new Bench()
      bench.alive.add("a")
      bench.care.opened("a", leads, 0)
      bench.run(5_000, ["a"])
      expect(bench.times("a restart")).toEqual([])
      bench.alive.clear()
      bench.run(20_000)
      const [sickAt = Number.NaN] = bench.times("a sick silence")
      expect(sickAt - bench.heardAt).toBeLessThanOrEqual(1_500)
      expect(bench.times("a restart")[0]).toBe(sickAt + first)
    }
  })

  test("tries again every two seconds and gives the link up when the budget is spent", () => {
    const bench = new Bench()
    bench.care.opened("a", true, 0)
    bench.run(30_000)
    const [sickAt = Number.NaN] = bench.times("a sick silence")
    expect(sickAt).toBe(3_000)
    expect(bench.times("a restart")).toEqual([0, 2_000, 4_000, 6_000, 8_000].map((after) => sickAt + after))
    expect(bench.times("a giveUp")).toEqual([sickAt + 10_000])
  })

  test("a sign of life ends the trouble; later trouble is another one", () => {
    const bench = new Bench()
    bench.care.opened("a", true, 0)
    bench.run(4_000)
    bench.take(bench.care.heard("a", "control", bench.now))
    expect(bench.said.at(-1)).toEqual([4_000, "a well"])
    expect(bench.care.healthy("a")).toBe(true)
    bench.run(8_000)
    expect(bench.times("a sick silence")).toHaveLength(2)
  })

  test("a change of network restarts every link at once, once, and blames nobody that answers", () => {
    const bench = new Bench()
    for (const link of ["a", "b"]) {
      bench.alive.add(link)
      bench.care.opened(link, false, 0)
    }
    bench.run(1_000)
    for (let event = 0; event < 3; event++) bench.take(bench.care.networkChanged(bench.now))
    bench.run(10_000)
    expect([bench.times("a restart"), bench.times("b restart")]).toEqual([[1_000], [1_000]])
    expect(bench.said.filter(([, what]) => what.includes("sick"))).toEqual([])
  })

  test("a restart that nobody could be told of is made up for when there is a way", () => {
    const bench = new Bench()
    bench.alive.add("a")
    bench.care.opened("a", true, 0)
    bench.take(bench.care.networkChanged(0))
    bench.care.noWay("a")
    bench.run(500)
    bench.take(bench.care.signalBack(bench.now))
    bench.take(bench.care.signalBack(bench.now))
    expect(bench.times("a restart")).toEqual([0, 500])
  })

  test("after a sleep nothing is held against a link; one that stays silent is noticed in 0.9 s", () => {
    const bench = new Bench()
    bench.alive.add("a")
    for (const link of ["a", "b"]) bench.care.opened(link, true, 0)
    bench.now = 60_000
    bench.take(bench.care.look(bench.now))
    bench.run(65_000)
    expect(bench.times("a sick silence")).toEqual([])
    expect(bench.times("b sick silence")).toEqual([60_900])
  })

  test("ICE: failed is trouble, disconnected a reason to ask", () => {
    const bench = new Bench()
    bench.alive.add("a")
    for (const link of ["a", "b", "c"]) bench.care.opened(link, true, 0)
    bench.take([
      ...bench.care.ice("a", "disconnected", 0),
      ...bench.care.ice("b", "failed", 0),
      ...bench.care.ice("c", "connected", 0),
    ])
    expect(bench.said).toEqual([
      [0, "a check"],
      [0, "b sick ice-failed"],
      [0, "b restart"],
    ])
    bench.run(600)
    expect(bench.care.healthy("a")).toBe(true)
  })

  test("lane 0 may be silent for 30 s while media flows, and is restarted meanwhile (LL-16)", () => {
    const bench = new Bench()
    bench.care.opened("a", true, 0)
    bench.run(60_000, ["a"])
    expect(bench.said.filter(([, what]) => what.includes("sick"))).toEqual([])
    expect(bench.times("a restart")[0]).toBe(9_500)
    expect(bench.times("a restart").length).toBeGreaterThan(10)
    expect(bench.times("a giveUp")).toEqual([35_500])
  })

  test("unanswered media is trouble only when nothing else is heard; a way that opens is used at once", () => {
    const bench = new Bench()
    bench.care.opened("a", false, 0)
    bench.run(400)
    bench.take(bench.care.pathSilent("a", bench.now))
    expect(bench.said).toEqual([[400, "a check"]])
    bench.run(1_350)
    expect(bench.times("a sick silence")).toEqual([1_300])
    const other = new Bench()
    other.care.opened("a", false, 0)
    other.now = 1_200
    other.take(other.care.pathSilent("a", other.now))
    expect(other.said).toEqual([[1_200, "a sick silence"]])
    bench.take(bench.care.signalBack(bench.now))
    expect(bench.times("a restart")).toEqual([1_350])
  })

  test("links that are not known are no reason for anything", () => {
    const { care } = new Bench()
    const nothing = [care.heard("x", "media", 0), care.ice("x", "failed", 0), care.pathSilent("x", 0), care.restartWanted("x", 0)]
    expect(nothing.flat()).toEqual([])
  })
})

describe("the budget", () => {
  test("has defaults, and refuses what is no time", () => {
    expect(reconnectBudget({ retryMs: 700 })).toEqual({ ...RECONNECT_DEFAULTS, retryMs: 700 })
    for (const value of [Number.NaN, -1, 0, 100, "2000" as unknown as number]) {
      expect(() => reconnectBudget({ silenceMs: value })).toThrow(
        expect.objectContaining({ details: { option: "reconnect.silenceMs" } }),
      )
    }
  })
})
