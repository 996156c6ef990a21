import { describe, expect, test } from "vitest"
import { layOut, MAX_IN_ROW, neighbour } from "./layout.ts"
import type { ParentRole, Report } from "./report.ts"
import { type Heard, streamsIn, treeOf } from "./tree.ts"

const STREAM = "0a"

function reports(members: Record<string, Partial<Report>>): Map<string, Heard> {
  const empty: Report = { relayOnly: false, sources: [], taken: [], relayed: [] }
  return new Map(Object.entries(members).map(([id, said]) => [id, { report: { ...empty, ...said }, ageMs: 0 }]))
}

const source = (to: string[], bitrate = 1_000): Partial<Report> => ({ sources: [{ stream: STREAM, kind: "video", bitrate, to }] })
const taken = (bitrate: number, ...from: [peer: string, role: ParentRole][]): Partial<Report> => ({
  taken: [{ stream: STREAM, kind: "video", publisher: "ada", bitrate, from: from.map(([peer, role]) => ({ peer, role })) }],
})
const relayed = (from: string[], ...to: string[]): Partial<Report> => ({
  relayed: [{ stream: STREAM, from, bitrate: 1_200, to: to.map((peer) => ({ peer, fits: "all", bitrate: 900 })) }],
})

function tree(heard: Map<string, Heard>) {
  const [choice] = streamsIn(heard)
  if (choice === undefined) throw new Error("no stream")
  return treeOf(choice, heard)
}

const levels = (heard: Map<string, Heard>) => Object.fromEntries(tree(heard).nodes.map(({ id, level }) => [id, level]))

describe("the tree of a stream", () => {
  const heard = reports({
    ada: source(["bob"]),
    bob: { ...taken(900, ["ada", "primary"]), ...relayed(["ada"], "eve") },
    eve: taken(450, ["ada", "backup"], ["bob", "primary"]),
  })

  test("has the publisher on top, relays below, and says whose word it is", () => {
    const { nodes, edges, sent } = tree(heard)
    expect(sent).toBe(1_000)
    const eve = nodes.find(({ id }) => id === "eve")
    expect(eve).toMatchObject({ parents: ["bob", "ada"], arrives: 450, share: 0.45 })
    expect(nodes.find(({ id }) => id === "bob")).toMatchObject({ level: 1, parents: ["ada"], children: ["eve"], delivers: 0 })
    expect(edges.map(({ from, to, main, word }) => `${from} ${to} ${main} ${word}`).sort()).toEqual([
      "ada bob true both",
      "ada eve false child",
      "bob eve true both",
    ])
    expect(edges.find(({ from, to }) => from === "bob" && to === "eve")).toMatchObject({ handed: 900, role: "primary" })
  })

  test("a single parent delivers everything that arrives", () => {
    expect(tree(heard).nodes.find(({ id }) => id === "ada")?.delivers).toBe(900)
  })

  test("a relay that has said nothing stands below the publisher, and what is below it below that", () => {
    expect(levels(reports({ ada: source([]), eve: taken(1, ["rob", "primary"]) }))).toEqual({ ada: 0, rob: 1, eve: 2 })
  })

  test("members that claim to feed each other in a circle are shown, not followed for ever", () => {
    const circle = reports({ ada: source([]), bob: taken(1, ["eve", "primary"]), eve: taken(1, ["bob", "primary"]) })
    expect(
      tree(circle)
        .nodes.map(({ id }) => id)
        .sort(),
    ).toEqual(["ada", "bob", "eve"])
  })

  test("nobody feeds the publisher or itself, whatever it says", () => {
    const liar = reports({ ada: source(["bob"]), bob: relayed(["bob"], "ada", "bob") })
    expect(tree(liar).edges.map(({ from, to }) => `${from} ${to}`)).toEqual(["ada bob"])
  })

  test("a child that only its parent names is told apart", () => {
    expect(tree(reports({ ada: source(["bob"]), bob: {} })).edges).toMatchObject([{ word: "parent" }])
  })

  test("pictures come before sound, and the publisher's word on its stream counts", () => {
    const streams = streamsIn(
      reports({
        ada: {
          sources: [
            { stream: "01", kind: "audio", bitrate: 1, to: ["bob", "eve"] },
            { stream: "02", kind: "video", bitrate: 1, to: ["bob"], spatial: 1 },
            { stream: "03", kind: "video", bitrate: 1, to: [] },
          ],
        },
        bob: { taken: [{ stream: "02", kind: "audio", publisher: "eve", bitrate: 1, from: [] }] },
      }),
    )
    expect(streams).toEqual([
      { stream: "02", kind: "video", publisher: "ada", spatial: 1, takers: 1 },
      { stream: "01", kind: "audio", publisher: "ada", spatial: undefined, takers: 2 },
    ])
  })
})

describe("the picture of a tree", () => {
  const heard = reports({
    ada: source(["bob", "cid"]),
    bob: { ...taken(1, ["ada", "primary"]), ...relayed(["ada"], "eve") },
    cid: taken(1, ["ada", "primary"]),
    eve: taken(1, ["bob", "primary"]),
  })
  const layout = layOut(tree(heard))

  test("has a row for each level, and nobody outside or on somebody else", () => {
    const places = [...layout.placed.values()]
    expect(new Set(places.map(({ x, y }) => `${x} ${y}`)).size).toBe(4)
    for (const { x, y } of places) {
      expect(x > 0 && x < layout.width && y > 0 && y < layout.height).toBe(true)
    }
    expect(layout.placed.get("eve")!.y).toBeGreaterThan(layout.placed.get("bob")!.y)
    expect(layout.placed.get("bob")!.y).toBe(layout.placed.get("cid")!.y)
  })

  test("arrow keys go to parent, child and neighbour", () => {
    expect(neighbour(layout, "eve", "up")).toBe("bob")
    expect(neighbour(layout, "bob", "down")).toBe("eve")
    expect(neighbour(layout, "bob", "right")).toBe("cid")
    expect(neighbour(layout, "bob", "left")).toBeUndefined()
    expect(neighbour(layout, "ada", "up")).toBeUndefined()
  })

  test("a crowd does not make it endless", () => {
    const crowd = Array.from({ length: 100 }, (_, index) => `m${index}`)
    const { placed, left } = layOut(tree(reports({ ada: source(crowd) })))
    expect([placed.size, left]).toEqual([MAX_IN_ROW + 1, 100 - MAX_IN_ROW])
  })
})
