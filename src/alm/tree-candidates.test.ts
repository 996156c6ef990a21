import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { seeded } from "../wire/seeded.ts"
import { chooseEviction, EVICTION_DWELL_MS } from "./eviction.ts"
import { mayTakePlace } from "./reserve.ts"
import { ALL_SYMBOLS, SYMBOL_END, sameRange, stripeRanges } from "./stripe.ts"
import { START } from "./test-parents.ts"
import { isDescendant, isScarce, isTreeUsable, mayFeed } from "./tree-candidates.ts"
import type { TreeView } from "./types.ts"

/** The plan as `me` sees it. */
function view(parents: Record<string, string>, me: string, source = "s", since = START - 5_000): TreeView {
  const depthOf = (keyId: string): number | undefined => {
    if (keyId === source) return 0
    const above = parents[keyId] === undefined ? undefined : depthOf(parents[keyId])
    return above === undefined ? undefined : above + 1
  }
  return { since, parent: parents[me], depthOf, parentOf: (keyId) => parents[keyId] }
}

const plan = { a: "s", b: "s", c: "a", d: "a", e: "c" }

describe("the plan's candidates", () => {
  const allowed = (me: string) => ["s", "a", "b", "c", "d", "e", "x"].filter((other) => mayFeed(view(plan, me), me, other))

  it("are those above, and those beside with an earlier key", () => {
    expect(allowed("d")).toEqual(["s", "a", "b", "c"])
    expect(allowed("c")).toEqual(["s", "a", "b"])
    expect(allowed("e")).toEqual(["s", "a", "b", "c", "d"])
    expect(allowed("a")).toEqual(["s"])
    expect(allowed("s")).toEqual([])
  })

  it("never close a circle, whatever the tree and whatever is chosen", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = seeded(seed)
        const names = Array.from({ length: 20 }, (_, i) => `k${Math.floor(random() * 1e6)}-${i}`)
        const parents: Record<string, string> = {}
        for (const [i, name] of names.entries())
          parents[name] = i === 0 ? "s" : (["s", ...names][Math.floor(random() * (i + 1))] ?? "s")
        const feeds = (me: string) => ["s", ...names].filter((other) => mayFeed(view(parents, me), me, other))
        // A depth-first walk over everybody's candidates must not meet its own path.
        const done = new Set<string>()
        const walk = (name: string, path: string[]): boolean => {
          if (path.includes(name)) return false
          if (done.has(name)) return true
          done.add(name)
          return feeds(name).every((next) => walk(next, [...path, name]))
        }
        return names.every((name) => walk(name, []))
      }),
      { numRuns: 50 },
    )
  })

  it("are not used before the snapshot is 2 s old, nor by who has no place", () => {
    expect(isTreeUsable(view(plan, "d", "s", START), "d", START + 1_999)).toBe(false)
    expect(isTreeUsable(view(plan, "d", "s", START), "d", START + 2_000)).toBe(true)
    expect(isTreeUsable(view(plan, "x"), "x", START)).toBe(false)
    expect(isTreeUsable(undefined, "d", START)).toBe(false)
  })

  it("two steps and more above are left to those who have no other choice; the planned parent and the source never", () => {
    const deep = { ...plan, f: "e", g: "f" }
    const scarce = (me: string) => ["s", "a", "b", "c", "d", "e", "f", "x"].filter((other) => isScarce(view(deep, me), me, other))
    expect(scarce("g")).toEqual(["a", "b", "c", "d", "e"])
    expect(scarce("e")).toEqual(["a", "b"])
    expect(scarce("d")).toEqual([])
    expect(scarce("x")).toEqual([])
    expect(isScarce({ ...view(deep, "g"), parent: "a" }, "g", "a")).toBe(false)
  })

  it("descendants are found through any number of steps, and a circle does not hang", () => {
    expect(isDescendant(view(plan, "a"), "a", "e")).toBe(true)
    expect(isDescendant(view(plan, "b"), "b", "e")).toBe(false)
    expect(isDescendant(view({ p: "q", q: "p" }, "a"), "a", "p")).toBe(false)
  })
})

describe("a full relay", () => {
  const since = START - EVICTION_DWELL_MS
  const evict = (asker: string, children: { keyId: string; since: number }[]) =>
    chooseEviction("a", view(plan, "a"), asker, children, START)

  it("moves a child that belongs elsewhere for one that belongs here, the deepest first", () => {
    expect(
      evict("d", [
        { keyId: "c", since },
        { keyId: "b", since },
        { keyId: "e", since },
      ]),
    ).toBe("e")
  })

  it("moves nobody for a stranger, nobody who belongs here, nobody who just came", () => {
    expect(evict("e", [{ keyId: "b", since }])).toBeUndefined()
    expect(evict("d", [{ keyId: "c", since }])).toBeUndefined()
    expect(evict("d", [{ keyId: "b", since: since + 1 }])).toBeUndefined()
    expect(chooseEviction("a", undefined, "d", [{ keyId: "b", since }], START)).toBeUndefined()
  })
})

describe("a full relay, for who is nearer to the source", () => {
  const since = START - EVICTION_DWELL_MS
  const wide = { ...plan, f: "b", g: "e" }
  let spare = true
  const evict = (asker: string, ...children: string[]) =>
    chooseEviction(
      "a",
      { ...view(wide, "a"), spare },
      asker,
      children.map((keyId) => ({ keyId, since })),
      START,
    )

  it("moves the deepest of those that are deeper and planned elsewhere", () => {
    expect(evict("b", "c", "d", "e", "g", "f")).toBe("g")
    expect(evict("f", "d", "e")).toBe("e")
  })

  it("does not wait for one that is so deep that it should have asked others", () => {
    const child = (keyId: string) => chooseEviction("a", { ...view(wide, "a"), spare }, "d", [{ keyId, since: START - 1 }], START)
    expect(child("e")).toBe("e")
    expect(child("f")).toBeUndefined()
  })

  it("never one that is as near, one that belongs here, nor for who may not take from it", () => {
    expect(evict("e", "f", "d")).toBeUndefined()
    expect(evict("b", "c", "d")).toBeUndefined()
    expect(evict("x", "e")).toBeUndefined()
    expect(chooseEviction("b", { ...view(wide, "b"), spare }, "a", [{ keyId: "e", since }], START)).toBeUndefined()
    spare = false
    expect(evict("b", "e")).toBeUndefined()
  })
})

describe("scarce places", () => {
  const take = (free: number, asker: string, here: string[]) =>
    mayTakePlace(free, asker, ["c", "d"], (keyId) => here.includes(keyId))

  it("are kept for planned children that are not there yet", () => {
    expect(take(2, "x", [])).toBe(false)
    expect(take(3, "x", [])).toBe(true)
    expect(take(1, "x", ["c", "d"])).toBe(true)
    expect(take(1, "d", [])).toBe(true)
    expect(take(0, "d", [])).toBe(false)
  })
})

describe("striping", () => {
  it("covers every symbol once without loss", () => {
    expect(stripeRanges(10, 3)).toEqual([
      [0, 7],
      [7, SYMBOL_END],
    ])
    expect(stripeRanges(1, 0)).toEqual([
      [0, 1],
      [1, SYMBOL_END],
    ])
  })

  it("overlaps with the loss, up to everything twice", () => {
    expect(stripeRanges(10, 3, 0.1)).toEqual([
      [0, 10],
      [4, SYMBOL_END],
    ])
    expect(stripeRanges(10, 3, 0.3)).toEqual([ALL_SYMBOLS, ALL_SYMBOLS])
  })

  it("never leaves a symbol out", () => {
    fc.assert(
      fc.property(fc.nat(200), fc.nat(80), fc.double({ min: 0, max: 1, noNaN: true }), (n, k, loss) => {
        const [front, back] = stripeRanges(n, k, loss)
        return front[0] === 0 && back[1] === SYMBOL_END && back[0] <= front[1] && front[1] > 0 && back[0] < SYMBOL_END
      }),
    )
  })

  it("takes everything and no range for the same", () => {
    expect(sameRange(undefined, ALL_SYMBOLS)).toBe(true)
    expect(sameRange([0, 5], undefined)).toBe(false)
  })
})
