import { describe, expect, it } from "vitest"
import { HANDOVER_MS } from "./constants.ts"
import { ParentWorld, START, treeOf } from "./test-parents.ts"

const three = { a: { rttMs: 10 }, b: { rttMs: 20 }, c: { rttMs: 30 } }

describe("finding parents", () => {
  it("takes the two nearest and keeps a spare warm", () => {
    const world = new ParentWorld(three)
    world.run(1_000)
    expect(world.feeding).toEqual(["a", "b"])
    expect(world.manager.primary).toBe("a")
    expect(world.manager.spares).toEqual(["c"])
    expect(world.actions("requestKeyframe")).toHaveLength(1)
  })

  it("keeps two spares, the same for as long as they are good, and the publisher only for want of others", () => {
    const world = new ParentWorld({ ...three, d: { rttMs: 40 }, e: { rttMs: 50 } })
    world.run(1_000)
    expect(world.manager.spares).toEqual(["c", "d"])
    world.relays.get("e")!.rttMs = 32
    world.relays.get("c")!.rttMs = 35
    world.advertise()
    expect(world.manager.spares).toEqual(["c", "d"])
    for (const keyId of ["d", "e"]) world.relays.get(keyId)!.alive = false
    world.advertise()
    expect(world.manager.spares).toEqual(["c"])
    world.relays.get("c")!.alive = false
    world.advertise()
    expect(world.manager.spares).toEqual(["publisher"])
    const told = world.log.flatMap(({ action }) => (action.kind === "prepare" || action.kind === "release" ? [action] : []))
    const held = new Set<string>()
    for (const { kind, parent } of told) kind === "prepare" ? held.add(parent) : held.delete(parent)
    expect([...held]).toEqual(["publisher"])
  })

  it("prefers a second parent in another network", () => {
    const world = new ParentWorld({
      a: { rttMs: 100, network: "x" },
      b: { rttMs: 105, network: "x" },
      c: { rttMs: 115, network: "y" },
    })
    world.run(1_000)
    expect(world.feeding).toEqual(["a", "c"])
  })

  it("asks the publisher when nobody advertises, and only then", () => {
    const world = new ParentWorld({})
    expect(world.actions("subscribe").map(({ parent, via }) => [parent, via])).toEqual([["publisher", []]])
    const other = new ParentWorld(three)
    other.run(5_000)
    expect(other.actions("subscribe").map(({ parent }) => parent)).toEqual(["a", "b"])
    expect(other.actions("subscribe")[0]?.via).toEqual(["b", "c", "publisher"])
  })

  it("goes on to the next after a refusal at once, and after 2 s without an answer", () => {
    const world = new ParentWorld({
      a: { rttMs: 10, refuses: "CapacityExceeded" },
      b: { rttMs: 20, alive: true },
      c: { rttMs: 30 },
    })
    world.run(500)
    expect(world.feeding).toEqual(["b", "c"])
    const mute = new ParentWorld(three)
    for (const key of ["a", "b"]) mute.relays.get(key)!.alive = false
    mute.run(1_900)
    expect(mute.feeding).toEqual([])
    mute.run(1_000)
    expect(mute.feeding).toEqual(["c"])
  })

  it("says that it starves, less and less often, and recovers by itself", () => {
    const world = new ParentWorld({ a: { rttMs: 10, refuses: "CapacityExceeded" } })
    world.run(60_000)
    const asked = world.actions("subscribe").filter(({ parent }) => parent === "a").length
    expect(asked).toBeGreaterThan(5)
    expect(asked).toBeLessThan(70)
    expect(world.actions("starved").length).toBeGreaterThan(5)
    world.relays.set("a", { rttMs: 10, alive: true })
    world.run(5_000)
    expect(world.feeding).toEqual(["a"])
  })
})

describe("the plan", () => {
  it("gives the first parent, and leaves out who is below or beside with a later key", () => {
    const world = new ParentWorld({ a: { rttMs: 10 }, p: { rttMs: 90 }, zz: { rttMs: 5 }, low: { rttMs: 1 } }, { me: "me" })
    const tree = treeOf({ me: "p", p: "publisher", a: "p", zz: "p", low: "me" })
    world.do(world.manager.setTree(tree, world.now))
    world.run(30_000)
    // p is planned, a stands beside me with an earlier key, zz with a later one, low below me.
    expect(world.manager.primary).toBe("p")
    expect(world.feeding).toEqual(["a", "p"])
  })

  it("is not followed while it is young", () => {
    const world = new ParentWorld({ a: { rttMs: 10 }, p: { rttMs: 90 } })
    world.do(world.manager.setTree(treeOf({ me: "p", p: "publisher" }, "me", START + 1_000), world.now))
    world.run(200)
    expect(world.manager.primary).toBe("a")
  })

  it("makes a parent that came below be replaced after a while, and not before another delivers", () => {
    const world = new ParentWorld(three)
    world.run(1_000)
    world.do(world.manager.setTree(treeOf({ me: "b", b: "publisher", c: "publisher", a: "me" }), world.now))
    world.run(5_000, () => expect(world.feeding.length).toBe(2))
    expect(world.feeding).toEqual(["a", "b"])
    world.run(8_000, () => expect(world.feeding.length).toBeGreaterThanOrEqual(2))
    expect(world.feeding).toEqual(["b", "c"])
  })

  it("beside the source lets go of a parent that it does not allow, although nobody else can be had, and does not hurry for another", () => {
    const world = new ParentWorld({ a: { rttMs: 10 }, publisher: { rttMs: 20 } })
    world.run(1_000)
    expect(world.feeding).toEqual(["a", "publisher"])
    world.do(world.manager.setTree(treeOf({ me: "publisher", a: "me" }), world.now))
    world.run(9_000)
    expect(world.feeding).toEqual(["a", "publisher"])
    world.run(3_000)
    expect(world.feeding).toEqual(["publisher"])
    world.run(60_000, () => expect(world.feeding).toEqual(["publisher"]))
    expect(world.actions("subscribe")).toHaveLength(2)
  })
})

describe("damping", () => {
  it("leaves a healthy set alone for less than a fifth, or for less than 10 s", () => {
    const world = new ParentWorld({ a: { rttMs: 100 }, b: { rttMs: 100 }, c: { rttMs: 300 } })
    world.run(1_000)
    world.relays.get("c")!.rttMs = 85
    world.advertise()
    world.run(60_000)
    world.relays.get("c")!.rttMs = 20
    world.advertise()
    world.run(9_000)
    world.relays.get("c")!.rttMs = 300
    world.advertise()
    world.run(60_000)
    expect(world.manager.counts.switched).toBe(0)
    expect(world.actions("subscribe")).toHaveLength(2)
  })

  it("moves for a lasting gain, at most once in 30 s, with the new one delivering first", () => {
    const world = new ParentWorld({ a: { rttMs: 100 }, b: { rttMs: 100 }, c: { rttMs: 300 }, d: { rttMs: 300 } })
    world.run(1_000)
    for (const key of ["c", "d"]) world.relays.get(key)!.rttMs = 10
    world.advertise()
    world.run(20_000, () => expect(world.feeding.length).toBeGreaterThanOrEqual(2))
    expect(world.manager.counts.switched).toBe(1)
    world.run(25_000, () => expect(world.feeding.length).toBeGreaterThanOrEqual(2))
    expect(world.feeding).toEqual(["c", "d"])
    expect(world.manager.counts.switched).toBe(2)
  })

  it("parts two parents that go together once it has looked so for 10 s, and keeps the one that is planned", () => {
    const world = new ParentWorld({ p: { rttMs: 30, network: "x" }, a: { rttMs: 28, network: "x" } })
    world.do(world.manager.setTree(treeOf({ me: "p", p: "publisher", a: "p", b: "publisher" }), world.now))
    world.run(5_000)
    expect(world.feeding).toEqual(["a", "p"])
    world.relays.set("b", { rttMs: 32, network: "y", alive: true })
    world.advertise()
    world.run(9_000)
    expect(world.feeding).toEqual(["a", "p"])
    world.run(4_000, () => expect(world.feeding.length).toBeGreaterThanOrEqual(2))
    expect(world.feeding).toEqual(["b", "p"])
    world.run(60_000)
    expect(world.feeding).toEqual(["b", "p"])
    expect(world.actions("subscribe")).toHaveLength(3)
  })

  it("keeps a parent that delivers for half a second beside the one that takes its place: over its way things are later", () => {
    const beside = (world: ParentWorld, old: string, other: string, ms: number) => {
      let both = 0
      world.run(ms, () => {
        const { feeding } = world
        if (feeding.includes(old) && feeding.includes(other)) both += 100
      })
      expect(world.feeding).not.toContain(old)
      return both
    }
    const improved = new ParentWorld({ a: { rttMs: 110 }, b: { rttMs: 100 }, c: { rttMs: 300 } })
    improved.run(1_000)
    improved.relays.get("c")!.rttMs = 10
    improved.advertise()
    expect(beside(improved, "a", "c", 20_000)).toBeGreaterThanOrEqual(HANDOVER_MS)
    // Asked together in need: the nearest comes first, the planned one stays.
    const inNeed = new ParentWorld({ a: { rttMs: 10 }, q: { rttMs: 20 }, p: { rttMs: 300 } }, { wanted: 1 })
    inNeed.run(1_000)
    inNeed.do(inNeed.manager.setTree(treeOf({ me: "p", p: "publisher", q: "publisher", a: "publisher" }), inNeed.now))
    inNeed.relays.get("a")!.alive = false
    inNeed.serving.delete("a")
    inNeed.do(inNeed.manager.lost("a", inNeed.now))
    expect(beside(inNeed, "q", "p", 3_000)).toBeGreaterThanOrEqual(HANDOVER_MS)
  })

  it("keeps the old parent when the better one refuses", () => {
    const world = new ParentWorld({ a: { rttMs: 100 }, b: { rttMs: 100 }, c: { rttMs: 10, refuses: "CapacityExceeded" } })
    world.relays.get("c")!.rttMs = 300
    world.advertise()
    world.run(1_000)
    world.relays.get("c")!.rttMs = 10
    world.advertise()
    world.run(20_000)
    expect(world.feeding).toEqual(["a", "b"])
    expect(world.manager.parents.map(({ doomed }) => doomed)).toEqual([undefined, undefined])
  })

  it("demotes a parent that delivers less than it promised, and not both when both are poor", () => {
    const world = new ParentWorld(three)
    world.run(1_000)
    let bad = true
    const measure = () => {
      if ((world.now - START) % 1_000 !== 0) return
      world.manager.measured("a", { share: bad ? 0.5 : 0.6, lateMs: 0 }, world.now)
      world.manager.measured("b", { share: bad ? 1 : 0.6, lateMs: 0 }, world.now)
    }
    bad = false
    world.run(20_000, measure)
    expect(world.manager.counts.demoted).toBe(0)
    bad = true
    world.run(8_000, measure)
    expect(world.manager.counts.demoted).toBe(1)
    expect(world.feeding).toEqual(["b", "c"])
  })
})

describe("striping", () => {
  it("splits the symbols over two parents and widens when one is lost or suspected", () => {
    const world = new ParentWorld(three, { mode: "striped" })
    world.do(world.manager.setSymbols(10, 3, 0, world.now))
    world.run(1_000)
    expect(world.manager.parents.map(({ keyId, range }) => [keyId, range])).toEqual([
      ["a", [0, 7]],
      ["b", [7, 65_536]],
    ])
    world.do(world.manager.suspect("a", world.now))
    expect(world.manager.parents.map(({ range }) => range)).toEqual([undefined, undefined])
    world.run(3_000)
    expect(world.manager.parents[0]?.range).toEqual([0, 7])
    world.do(world.manager.lost("a", world.now))
    expect(world.manager.parents.find(({ keyId }) => keyId === "b")?.range).toBeUndefined()
    world.run(1_000)
    expect(world.manager.parents.map(({ keyId, range }) => [keyId, range])).toEqual([
      ["b", [0, 7]],
      ["c", [7, 65_536]],
    ])
  })
})

describe("closing", () => {
  it("leaves every parent and the spare, and does nothing after that", () => {
    const world = new ParentWorld(three)
    world.run(1_000)
    world.do(world.manager.close(world.now))
    expect(world.actions("unsubscribe").map(({ parent }) => parent)).toEqual(["a", "b"])
    expect(world.actions("release")).toEqual([{ kind: "release", parent: "c" }])
    const before = world.log.length
    world.run(5_000)
    expect(world.log.length).toBe(before)
  })
})
