/** What a subscription does when a parent falls silent, breaks away, refuses or says that it leaves. */
import { describe, expect, it } from "vitest"
import { PARENT_MISSED_MS } from "./constants.ts"
import { candidate, ParentWorld, START, treeOf } from "./test-parents.ts"

const three = { a: { rttMs: 10 }, b: { rttMs: 20 }, c: { rttMs: 30 } }

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

  it("asks several in need, who has a link and room first; those without a link beside the others, three at most", () => {
    const others = [
      candidate("far", 30, { linked: false }),
      candidate("full", 40, { currentSubscribers: 7 }),
      candidate("near", 90),
      candidate("other", 95, { linked: false }),
      candidate("last", 99, { linked: false }),
      candidate("later", 100, { linked: false }),
    ]
    expect(askedInNeed(others).map(({ parent }) => parent)).toEqual(["near", "far", "other", "last", "full"])
  })

  it("asks three in all for a parent that says that it goes: it still delivers", () => {
    const world = new ParentWorld({ a: { rttMs: 10 }, b: { rttMs: 20 } })
    world.run(1_000)
    const others = ["c", "d", "e", "f"].map((keyId) => candidate(keyId, 30, { linked: keyId === "c" }))
    world.do(world.manager.setCandidates([candidate("a", 10), candidate("b", 20), ...others], world.now))
    const before = world.actions("subscribe").length
    world.do(world.manager.leaving("a", 2_000, world.now))
    expect(
      world
        .actions("subscribe")
        .slice(before)
        .map(({ parent }) => parent),
    ).toEqual(["c", "d", "e"])
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

  it("asks sooner for a parent that has never paused", () => {
    const world = new ParentWorld(three)
    world.run(10_000)
    world.relays.get("a")!.alive = false
    world.run(500)
    expect(world.actions("subscribe").map(({ parent }) => parent)).toEqual(["a", "b", "c"])
    expect(world.actions("unsubscribe")).toEqual([])
  })

  it("leaves a parent outside the plan that sends keep-alives alone: they may go round in a circle (D-39, D-44)", () => {
    for (const outside of [true, false]) {
      const world = new ParentWorld({ low: { rttMs: 10 } }, { wanted: 1 })
      world.run(8_000)
      expect(world.feeding).toEqual(["low"])
      const parents = outside
        ? { me: "top", top: "publisher", other: "publisher", mid: "other", low: "mid" }
        : { me: "low", low: "publisher" }
      world.relays.set("top", { rttMs: 20, alive: true })
      world.do(world.manager.setTree(treeOf(parents), world.now))
      world.advertise()
      world.relays.get("top")!.refuses = "CapacityExceeded"
      world.run(100)
      world.silent.add("low")
      // As long as anything comes, it is not left for others in a hurry.
      for (let n = 0; n < 4; n++) {
        world.run(500)
        world.do(world.manager.heard("low", world.now, false))
      }
      expect(world.manager.parents.map(({ keyId, doomed }) => [keyId, doomed])).toContainEqual([
        "low",
        outside ? "silent" : undefined,
      ])
      expect(world.manager.inNeed).toBe(outside)
    }
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
