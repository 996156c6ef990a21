import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { PARENT_MISSED_MS } from "./constants.ts"
import { MAX_IN_NEED } from "./parent-slot.ts"
import { candidate, ParentWorld, START, seeded } from "./test-parents.ts"
import type { TreeView } from "./types.ts"

/** A plan from each member's parent. */
function treeOf(parents: Record<string, string>, me = "me", since = START - 10_000): TreeView {
  const depthOf = (keyId: string): number | undefined => {
    if (keyId === "publisher") return 0
    const parent = parents[keyId]
    const above = parent === undefined ? undefined : depthOf(parent)
    return above === undefined ? undefined : above + 1
  }
  return { since, parent: parents[me], depthOf, parentOf: (keyId) => parents[keyId] }
}

const three = { a: { rttMs: 10 }, b: { rttMs: 20 }, c: { rttMs: 30 } }

describe("finding parents", () => {
  it("takes the two nearest and keeps a spare warm", () => {
    const world = new ParentWorld(three)
    world.run(1_000)
    expect(world.feeding).toEqual(["a", "b"])
    expect(world.manager.primary).toBe("a")
    expect(world.manager.spare).toBe("c")
    expect(world.actions("requestKeyframe")).toHaveLength(1)
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

describe("healing", () => {
  it("replaces a dead parent within 2.5 s while the other one feeds", () => {
    const world = new ParentWorld(three)
    world.run(3_000)
    world.relays.get("a")!.alive = false
    world.run(2_500, () => expect(world.feeding.length).toBeGreaterThan(0))
    expect(world.feeding).toEqual(["b", "c"])
    expect(world.manager.primary).toBe("b")
    expect(world.manager.counts.healed).toBe(1)
    expect(world.actions("requestKeyframe")).toHaveLength(1)
  })

  it("asks another one after 600 ms without a sign while the other parent delivers, and gives nobody up yet", () => {
    const world = new ParentWorld(three)
    world.run(3_000)
    world.relays.get("a")!.alive = false
    world.run(1_200)
    expect(world.feeding).toEqual(["b", "c"])
    expect(world.actions("unsubscribe")).toEqual([])
    world.run(1_300)
    expect(world.actions("unsubscribe")).toEqual([{ kind: "unsubscribe", parent: "a", why: "silent" }])
  })

  it("stays with a parent that was only late", () => {
    const world = new ParentWorld(three)
    world.run(3_000)
    world.relays.get("a")!.alive = false
    world.run(1_000)
    world.relays.get("a")!.alive = true
    world.run(3_000)
    expect(world.feeding).toEqual(["a", "b"])
    expect(world.manager.counts.healed).toBe(0)
    expect(world.actions("unsubscribe")).toEqual([{ kind: "unsubscribe", parent: "c", why: "surplus" }])
  })

  it("asks a parent again that accepted and sends nothing, and goes on with it when that helped", () => {
    const world = new ParentWorld({ a: { rttMs: 10 }, b: { rttMs: 20 }, publisher: { rttMs: 5, refuses: "CapacityExceeded" } })
    world.silent.add("a")
    world.run(1_600)
    expect(world.actions("subscribeAgain").map(({ parent }) => parent)).toEqual(["a"])
    world.silent.delete("a")
    world.run(5_000)
    expect(world.feeding).toEqual(["a", "b"])
    expect(world.actions("subscribeAgain")).toHaveLength(1)
  })

  it("asks the only parent again that fell silent, more and more seldom, and does not remind one that is about to leave", () => {
    const world = new ParentWorld({ a: { rttMs: 10 } })
    world.run(3_000)
    world.silent = new Set(["a", "publisher"])
    world.run(60_000)
    const times = world.log.flatMap(({ at, action }) => (action.kind === "subscribeAgain" && action.parent === "a" ? [at] : []))
    const pauses = times.slice(1).map((at, index) => at - times[index]!)
    expect(times[0]! - START).toBeLessThanOrEqual(5_000)
    expect(pauses.slice(0, 3)).toEqual([3_000, 6_000, 8_000])
    const leaving = new ParentWorld({ a: { rttMs: 10 } })
    leaving.run(3_000)
    leaving.silent = new Set(["a", "publisher"])
    leaving.do(leaving.manager.leaving("a", 20_000, leaving.now))
    leaving.run(10_000)
    expect(leaving.actions("subscribeAgain").some(({ parent }) => parent === "a")).toBe(false)
  })

  it("does not take silence for a loss when nobody delivers", () => {
    const world = new ParentWorld(three)
    world.run(3_000)
    for (const keyId of ["a", "b"]) world.relays.get(keyId)!.alive = false
    world.run(1_400)
    expect(world.actions("subscribe").map(({ parent }) => parent)).toEqual(["a", "b"])
  })

  /** A parent is lost: whom `me` asks then, in order, at once. */
  const askedInNeed = (others: ReturnType<typeof candidate>[]) => {
    const world = new ParentWorld({ a: { rttMs: 10 }, b: { rttMs: 20 } })
    world.run(1_000)
    world.do(world.manager.setCandidates([candidate("b", 20), ...others], world.now))
    const before = world.actions("subscribe").length
    world.do(world.manager.lost("a", world.now))
    return world.actions("subscribe").slice(before)
  }

  it("asks three in need: who has a link and room first", () => {
    const others = [
      candidate("far", 30, { linked: false }),
      candidate("full", 40, { currentSubscribers: 7 }),
      candidate("near", 90),
      candidate("other", 95, { linked: false }),
      candidate("last", 99, { linked: false }),
    ]
    expect(askedInNeed(others).map(({ parent }) => parent)).toEqual(["near", "far", "other"])
  })

  it("asks one with a link beside one to which a link must be made", () => {
    const others = [candidate("far", 30, { linked: false }), candidate("full", 40, { currentSubscribers: 7 })]
    expect(askedInNeed(others).map(({ parent }) => parent)).toEqual(["far", "full"])
  })

  it("does not ask the publisher beside somebody else, but the one after it", () => {
    expect(askedInNeed([candidate("near", 90)]).map(({ parent }) => parent)).toEqual(["near"])
    const full = ["far", "farther"].map((keyId) => candidate(keyId, 30, { linked: false, currentSubscribers: 7 }))
    expect(askedInNeed(full).map(({ parent }) => parent)).toEqual(["publisher", "far", "farther"])
  })

  it("notices with the next sign of the other parent, not with the next tick", () => {
    const world = new ParentWorld(three)
    world.run(3_000)
    const [last, before] = [world.now, world.actions("subscribe").length]
    const asked: number[] = []
    for (let at = last + 50; asked.length === 0 && at < last + 2_000; at += 50) {
      const actions = world.manager.heard("b", at)
      if (actions.some(({ kind }) => kind === "subscribe")) asked.push(at - last)
    }
    expect(asked).toEqual([PARENT_MISSED_MS])
    expect(before).toBe(2)
  })

  it("asks who is near to the source only when nobody else is left", () => {
    const world = new ParentWorld({ p: { rttMs: 30 }, q: { rttMs: 40 } })
    const depths: Record<string, number> = { publisher: 0, top: 1, p: 2, q: 2, me: 3 }
    const tree = { since: START - 5_000, parent: "p", depthOf: (keyId: string) => depths[keyId], parentOf: () => undefined }
    world.do(world.manager.setTree(tree, world.now))
    world.run(5_000)
    world.relays.set("top", { rttMs: 5, alive: true })
    world.advertise()
    world.run(60_000)
    expect(world.feeding).toEqual(["p", "q"])
    world.relays.get("q")!.alive = false
    world.run(5_000)
    expect(world.feeding).toEqual(["p", "top"])
  })

  it("lets the second one that it asked go when the first one delivers", () => {
    const world = new ParentWorld({ ...three, d: { rttMs: 900 } })
    world.run(3_000)
    world.serving.delete("a")
    world.do(world.manager.lost("a", world.now))
    world.run(1_500)
    expect(world.feeding).toEqual(["b", "c"])
    expect(world.actions("unsubscribe")).toEqual([{ kind: "unsubscribe", parent: "d", why: "surplus" }])
  })

  it("keeps the parent that stayed, though those that were asked in need are nearer", () => {
    const world = new ParentWorld({ a: { rttMs: 10 }, b: { rttMs: 20 }, c: { rttMs: 300 }, d: { rttMs: 300 } })
    world.run(3_000)
    for (const [keyId, rttMs] of [["b", 200] as const, ["c", 20] as const, ["d", 30] as const]) {
      world.relays.get(keyId)!.rttMs = rttMs
    }
    world.advertise()
    world.serving.delete("a")
    world.do(world.manager.lost("a", world.now))
    world.run(2_000)
    expect(world.feeding).toEqual(["b", "c"])
    expect(world.manager.counts.switched).toBe(0)
  })

  it("keeps to the plan in need while something arrives (D-44)", () => {
    const world = new ParentWorld({ p: { rttMs: 10 }, q: { rttMs: 20 } })
    const tree = treeOf({ me: "p", p: "publisher", q: "publisher", low: "me", zz: "q" })
    world.do(world.manager.setTree(tree, world.now))
    world.run(3_000)
    for (const [keyId, rttMs] of [["low", 5] as const, ["zz", 50] as const]) world.relays.set(keyId, { rttMs, alive: true })
    world.advertise()
    world.relays.set("publisher", { rttMs: 10, alive: true, refuses: "CapacityExceeded" })
    world.relays.get("q")!.alive = false
    world.run(20_000, () => expect(world.feeding).toContain("p"))
    expect(world.feeding).toEqual(["p"])
    // When nothing arrives any more, who is not below may be asked all the same.
    world.relays.get("p")!.alive = false
    world.run(5_000)
    expect(world.feeding).toEqual(["zz"])
    expect(world.actions("subscribe").map(({ parent }) => parent)).not.toContain("low")
  })

  it("does not take a parent for missed that has nothing to send, as the other one", () => {
    const world = new ParentWorld(three)
    world.run(3_000)
    world.silent = new Set(["a", "b"])
    const asked = world.actions("subscribe").length
    for (let n = 0; n < 30; n++) {
      world.run(500)
      // Keep-alives; one of the first parent's is lost now and then.
      if (n % 3 !== 0) world.do(world.manager.heard("a", world.now))
      world.do(world.manager.heard("b", world.now))
    }
    expect(world.actions("subscribe")).toHaveLength(asked)
  })

  it("replaces at once when the link breaks", () => {
    const world = new ParentWorld(three)
    world.run(3_000)
    world.serving.delete("a")
    world.do(world.manager.lost("a", world.now))
    world.run(200)
    expect(world.feeding).toEqual(["b", "c"])
  })

  it("keeps the last silent parent: it may come back", () => {
    const world = new ParentWorld({ a: { rttMs: 10 } }, { publisher: "a" })
    world.run(2_000)
    world.relays.get("a")!.alive = false
    world.run(20_000)
    expect(world.actions("unsubscribe")).toEqual([])
    world.relays.get("a")!.alive = true
    world.run(200)
    expect(world.feeding).toEqual(["a"])
    expect(world.actions("requestKeyframe")).toHaveLength(2)
  })

  it("moves before a parent goes that says so", () => {
    const world = new ParentWorld(three)
    world.run(3_000)
    world.do(world.manager.leaving("a", 2_000, world.now))
    world.run(1_000, () => expect(world.feeding.length).toBeGreaterThanOrEqual(2))
    expect(world.feeding).toEqual(["b", "c"])
    expect(world.actions("unsubscribe")).toEqual([{ kind: "unsubscribe", parent: "a", why: "leaving" }])
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

/** Random lives: relays die, come back, refuse, get nearer or farther, say that they leave. */
function randomLife(seed: number, ms: number, check: (world: ParentWorld) => void): ParentWorld {
  const random = seeded(seed)
  const names = Array.from({ length: 3 + Math.floor(random() * 8) }, (_, i) => `r${i}`)
  const relays = Object.fromEntries(names.map((name) => [name, { rttMs: 10 + Math.floor(random() * 200) }]))
  const world = new ParentWorld(relays, { random })
  world.run(ms, () => {
    const name = names[Math.floor(random() * names.length)] as string
    const relay = world.relays.get(name)!
    const dice = random()
    if (dice < 0.01) relay.alive = !relay.alive
    else if (dice < 0.015) {
      if (relay.refuses === undefined) relay.refuses = "CapacityExceeded"
      else delete relay.refuses
    } else if (dice < 0.02) relay.rttMs = 10 + Math.floor(random() * 200)
    else if (dice < 0.025) world.do(world.manager.leaving(name, 1_000, world.now))
    else if (dice < 0.03) {
      world.serving.delete(name)
      world.do(world.manager.lost(name, world.now))
    } else if (dice < 0.035) world.do(world.manager.suspect(name, world.now))
    else if (dice < 0.04) world.do(world.manager.setDownstream(random() < 0.5 ? [name] : [], world.now))
    check(world)
  })
  return world
}

describe("whatever happens", () => {
  it("there are never more than five parents, nor two slots for one", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        randomLife(seed, 60_000, ({ manager }) => {
          const keyIds = manager.parents.map(({ keyId }) => keyId)
          expect(keyIds.length).toBeLessThanOrEqual(MAX_IN_NEED)
          expect(new Set(keyIds).size).toBe(keyIds.length)
        })
      }),
      { numRuns: 25 },
    )
  })

  it("no subscription is left behind at a parent that the manager forgot", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        randomLife(seed, 60_000, ({ manager, serving }) => {
          const keyIds = new Set(manager.parents.map(({ keyId }) => keyId))
          for (const keyId of serving) expect(keyIds.has(keyId)).toBe(true)
        })
      }),
      { numRuns: 25 },
    )
  })

  it("it is fed again soon after somebody can feed it", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const world = randomLife(seed, 40_000, () => {})
        // From here on nothing bad happens, and one relay is good.
        world.do(world.manager.setDownstream([], world.now))
        const good = world.relays.get("r0")!
        good.alive = true
        delete good.refuses
        world.advertise()
        world.run(20_000)
        expect(world.feeding.length).toBeGreaterThan(0)
      }),
      { numRuns: 25 },
    )
  })

  it("the same seed gives the same actions", () => {
    const life = () => JSON.stringify(randomLife(7, 60_000, () => {}).log)
    expect(life()).toBe(life())
  })

  it("in a steady room with noisy round trips nobody moves more often than every 30 s, and only for a gain", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = seeded(seed)
        const relays = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`r${i}`, { rttMs: 50 + 20 * i }]))
        const world = new ParentWorld(relays, { random })
        world.run(180_000, () => {
          if ((world.now - START) % 2_000 !== 0) return
          for (const [i, relay] of [...world.relays.values()].entries()) {
            relay.rttMs = Math.round((50 + 20 * i) * (0.9 + 0.2 * random()))
          }
          world.advertise()
        })
        expect(world.manager.counts.switched).toBe(0)
        expect(world.actions("subscribe").length).toBe(2)
      }),
      { numRuns: 10 },
    )
  })
})
