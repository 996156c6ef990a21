/** Rooms too large for everybody to be linked to everybody: few links, floods that reach all, calls and routes through members. */
import { describe, expect, test, vi } from "vitest"
import type { RoomSettings } from "../wire/room-settings.ts"
import { callersOnRing, neighboursOnRing, ringRules } from "./neighbours.ts"
import { TestNetwork } from "./test-network.ts"
import type { TestNode } from "./test-node.ts"

/** Virtual minutes of many machines; the runs are short on a quiet machine. */
vi.setConfig({ testTimeout: 600_000 })

/** Six places of its own; the next and previous two are mutual, the far ones are not: two others have this member there. */
const MOST_LINKS = 8

/** Pause between two waves of eight newcomers. */
const WAVE_MS = 1_500

async function room(net: TestNetwork, size: number, maxNeighbours?: number): Promise<TestNode[]> {
  const options = maxNeighbours === undefined ? {} : { maxNeighbours }
  net.add("m0", options)
  await net.run(8_000, () => net.agreed())
  // Rooms take a hundred members until their host says otherwise.
  const settings = { admission: "invited", maxMembers: size, publish: "all", relay: "all", barred: [] } satisfies RoomSettings
  net.feed(net.nodes[0]!, { type: "settings", settings })
  await net.run(500)
  while (net.nodes.length < size) {
    for (let wave = 0; wave < 8 && net.nodes.length < size; wave++) net.add(`m${net.nodes.length}`, options)
    await net.run(10_000, () => net.agreed())
    await net.run(WAVE_MS)
  }
  expect(net.agreed()).toBe(true)
  // Nobody was refused: whoever has given up is not asked whether it agrees.
  expect(net.nodes.filter(({ memberIds }) => memberIds.length !== size).map(({ label }) => label)).toEqual([])
  return net.nodes
}

const chats = (node: TestNode) => node.saw("chat").map(({ text }) => text)

describe("the ring", () => {
  test("of any size links everybody to a handful, and nobody is further than a few hops", () => {
    for (const size of [9, 10, 33, 200, 1_000]) {
      const ring = Array.from({ length: size }, (_, i) => `m${i}`)
      const links = new Map<string, Set<string>>(ring.map((keyId) => [keyId, new Set()]))
      ring.forEach((keyId, own) => {
        for (const other of neighboursOnRing(ring, own)) {
          links.get(keyId)?.add(other)
          links.get(other)?.add(keyId)
        }
      })
      expect(Math.max(...[...links.values()].map(({ size }) => size))).toBeLessThanOrEqual(MOST_LINKS)
      const hops = new Map([["m0", 0]])
      for (const [keyId, count] of hops) for (const next of links.get(keyId) ?? []) if (!hops.has(next)) hops.set(next, count + 1)
      expect(hops.size).toBe(size)
    }
  })

  test("callers are exactly those that have this member among their places", () => {
    for (const [size, limit] of [
      [8, undefined],
      [9, undefined],
      [57, undefined],
      [5, 1],
      [12, 2],
    ] as const) {
      const rules = ringRules(limit)
      const ring = Array.from({ length: size }, (_, i) => `m${i}`)
      ring.forEach((me, own) => {
        const expected = ring.filter((_, other) => neighboursOnRing(ring, other, undefined, rules).includes(me))
        expect(callersOnRing(ring, own, rules).sort()).toEqual(expected.sort())
      })
    }
  })
})

/** More members take minutes: `HOLOMESH_ROOM_SIZES=120,200 npx vitest run src/membership/large-room.test.ts -t "joins of"`. */
const SIZES = (process.env.HOLOMESH_ROOM_SIZES ?? "60").split(",").map(Number)
/** Each newcomer calls four members and the acting committer before it knows its places: that one has most links meanwhile. */
const MOST_LINKS_JOINING = 32
/**
 * Calls and routed sessions that a member begins, on average, until everybody is in. Far places on the ring move with every join, so that
 * rooms that fill up for longer take more.
 */
const waysEach = (size: number) => Math.max(20, size / 4)

describe("a room of many", () => {
  for (const [index, size] of SIZES.entries()) {
    const seed = 7 + index
    test(`joins of ${size} members, seed ${seed}: links stay few, and what one says reaches all`, async () => {
      const net = new TestNetwork(seed)
      const before = process.cpuUsage()
      const nodes = await room(net, size)
      const { user, system } = process.cpuUsage(before)
      const each = (user + system) / 1_000 / (size * (size - 1))
      const counts = nodes.map((node) => net.sessions.linksOf(node).length)
      console.log(
        `  ${size} members, seed ${seed}: ${Math.min(...counts)} to ${Math.max(...counts)} links, ${net.sessions.ways.length} ways begun, ${each.toFixed(1)} ms of processor time per member and join`,
      )
      expect(Math.max(...counts)).toBeLessThanOrEqual(MOST_LINKS_JOINING)
      expect(Math.min(...counts)).toBeGreaterThanOrEqual(3)
      expect(net.sessions.ways.length).toBeLessThanOrEqual(waysEach(size) * size)
      for (const [turn, speaker] of [0, size >> 1, size - 1].entries()) {
        const text = `to all, ${turn}`
        net.feed(nodes[speaker]!, { type: "chat", id: new Uint8Array(16).fill(turn), text })
        await net.run(1_500)
        for (const [own, node] of nodes.entries()) {
          const heard = chats(node).filter((line) => line === text)
          expect(heard).toEqual(own === speaker ? [] : [text])
        }
      }
      expect(nodes.flatMap((node) => node.saw("memberLeft"))).toEqual([])
    })
  }

  test("lets go of the links it does not need, and notices a death that most had no link to", async () => {
    const net = new TestNetwork(17)
    const nodes = await room(net, 24)
    // Newcomers call whoever they find first; what is not needed is let go of.
    await net.run(45_000)
    const counts = nodes.map((node) => net.sessions.linksOf(node).length)
    expect(Math.max(...counts)).toBeLessThanOrEqual(MOST_LINKS)
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(4)
    expect(nodes.flatMap((node) => node.saw("memberLeft"))).toEqual([])
    expect(nodes.flatMap((node) => node.saw("connection").filter(({ connection }) => connection === "lost"))).toEqual([])
    net.feed(nodes[17]!, { type: "chat", id: new Uint8Array(16).fill(1), text: "to all" })
    await net.run(3_000)
    for (const node of nodes) expect(chats(node)).toEqual(node === nodes[17] ? [] : ["to all"])
    net.kill(nodes[11]!)
    const others = nodes.filter((node) => node !== nodes[11])
    expect(await net.run(20_000, () => others.every(({ memberIds }) => memberIds.length === 23))).toBe(true)
    expect(net.agreed(others)).toBe(true)
  })
})

describe("without a server", () => {
  /** A ring where everybody is linked to the next only. */
  async function chain(size: number, seed: number) {
    const net = new TestNetwork(seed)
    const nodes = await room(net, size, 1)
    await net.run(70_000)
    for (const node of nodes) expect(net.sessions.linksOf(node).length).toBe(2)
    const ofLabel = (label: string) => nodes.find((node) => node.label === label)!
    /** Members in ring order, from the first. */
    const ring = [nodes[0]!]
    while (ring.length < size) {
      const last = ring.at(-1)!
      ring.push(ofLabel(net.sessions.linksOf(last).find((label) => !ring.some((node) => node.label === label))!))
    }
    net.stopServer()
    await net.run(1_000)
    net.sessions.ways.length = 0
    return { net, ring }
  }

  test("a stream's parent is introduced by the member between", async () => {
    const { net, ring } = await chain(5, 3)
    const [a, , c] = ring as [TestNode, TestNode, TestNode]
    net.feed(a, { type: "linkUse", call: [c.keyId], keep: [] })
    expect(await net.run(2_000, () => net.sessions.linksOf(a).includes(c.label))).toBe(true)
    expect(net.sessions.ways).toEqual([{ from: a.label, to: c.label, kind: "direct", via: "member", open: true }])
    // The other end is what the stream is taken from: it does not end the link either.
    net.feed(c, { type: "linkUse", call: [], keep: [a.keyId] })
    await net.run(120_000)
    expect(net.sessions.linksOf(a)).toContain(c.label)
    expect(net.sessions.ways.filter(({ kind }) => kind === "direct")).toHaveLength(1)
    for (const node of [a, c]) net.feed(node, { type: "linkUse", call: [], keep: [] })
    await net.run(45_000)
    expect(net.sessions.linksOf(a)).not.toContain(c.label)
    expect(ring.flatMap((node) => node.saw("connection").filter(({ connection }) => connection === "lost"))).toEqual([])
  })

  test("with nobody linked to both, frames are passed on from member to member, and the ends introduce each other", async () => {
    const { net, ring } = await chain(9, 5)
    const [a, far] = [ring[0]!, ring[4]!]
    net.feed(a, { type: "linkUse", call: [far.keyId], keep: [] })
    expect(await net.run(15_000, () => net.sessions.linksOf(a).includes(far.label))).toBe(true)
    const routed = net.sessions.ways.filter(({ kind, to }) => kind === "routed" && to === far.label)
    expect(routed.length).toBeGreaterThan(0)
    expect(routed.every(({ via, open }) => via === "member" && open)).toBe(true)
  })

  test("where no direct link is possible, a routed session carries what is said", async () => {
    const net = new TestNetwork(11)
    const hermit = net.add("hermit", { noDirect: ({ label }) => label !== "m0" })
    await net.run(8_000, () => net.agreed())
    for (let i = 0; i < 11; i++) net.add(`m${i}`)
    await net.run(60_000, () => net.agreed())
    net.stopServer()
    await net.run(60_000)
    expect(net.agreed()).toBe(true)
    expect(net.sessions.linksOf(hermit)).toEqual(["m0"])
    net.feed(hermit, { type: "chat", id: new Uint8Array(16).fill(2), text: "from afar" })
    await net.run(3_000)
    for (const node of net.nodes) if (node !== hermit) expect(chats(node)).toEqual(["from afar"])
  })
})

describe("links that nothing needs", () => {
  test("a member that makes them again and again is let be for longer each time", async () => {
    const net = new TestNetwork(13)
    const nodes = await room(net, 5, 1)
    await net.run(70_000)
    const [a] = nodes as [TestNode]
    const c = nodes.find((node) => node !== a && !net.sessions.linksOf(a).includes(node.label))!
    const ended = () => a.machine.counters["link-idle"] ?? 0
    const before = ended()
    const insist = () => {
      // c plans something that a does not know of: it calls whenever the link is gone.
      if (net.sessions.linksOf(a).includes(c.label)) return
      net.feed(c, { type: "linkUse", call: [], keep: [] })
      net.feed(c, { type: "linkUse", call: [a.keyId], keep: [] })
    }
    for (let second = 0; second < 600; second++) {
      insist()
      await net.run(1_000)
    }
    // 30, 60, 120 and 240 s, and perhaps what it had been let go of before; every 30 s would be twenty times.
    expect(ended() - before).toBeLessThanOrEqual(5)
    expect(ended() - before).toBeGreaterThanOrEqual(2)
  })
})
