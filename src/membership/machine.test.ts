/** The room protocol as stories: several machines on one virtual network (room.md 10). */
import { describe, expect, test } from "vitest"
import { TestNetwork } from "./test-network.ts"
import type { TestNode } from "./test-node.ts"

async function makeRoom(seed: number, count: number): Promise<{ net: TestNetwork; nodes: TestNode[] }> {
  const net = new TestNetwork(seed)
  const nodes: TestNode[] = []
  for (let i = 0; i < count; i++) {
    nodes.push(net.add(`n${i}`))
    await net.run(300)
  }
  await net.run(20_000, () => net.agreed())
  expect(net.agreed()).toBe(true)
  // Let links, states and late timers settle.
  await net.run(6_000)
  return { net, nodes }
}

const took = async (net: TestNetwork, limit: number, until: () => boolean): Promise<number> => {
  const from = net.now
  expect(await net.run(limit, until)).toBe(true)
  return net.now - from
}

describe("joining", () => {
  test("RM-T1: A founds, B and C join at once: one batch, three members", async () => {
    const net = new TestNetwork(1)
    const a = net.add("a")
    await net.run(1_000)
    expect(a.machine.phase).toBe("connected")
    net.add("b")
    net.add("c")
    const ms = await took(net, 5_000, () => net.agreed())
    expect(ms).toBeLessThan(2_000)
    expect(a.machine.view?.epoch).toBe(1n)
  })

  test("eight at once", async () => {
    const net = new TestNetwork(2)
    for (let i = 0; i < 8; i++) net.add(`n${i}`)
    await took(net, 15_000, () => net.agreed())
    await net.run(10_000)
    for (const node of net.nodes) {
      expect(node.saw("state").map(({ keyId }) => keyId)).toEqual(expect.arrayContaining(net.nodes.map(({ keyId }) => keyId)))
      for (const other of net.nodes) if (other !== node) expect(node.machine.sessionOf(other.keyId)).toBeDefined()
    }
  })

  test("RM-T2: somebody without the secret gets no head, no key, and a clear refusal", async () => {
    const { net, nodes } = await makeRoom(3, 2)
    const thief = net.add("thief", { secret: new Uint8Array(32).fill(4) })
    await net.run(10_000, () => thief.finished)
    expect(thief.saw("failed")[0]?.error.code).toBe("InvitationRefused")
    expect(thief.machine.view).toBeUndefined()
    expect(net.agreed(nodes)).toBe(true)
    expect(nodes.some(({ machine }) => (machine.counters["wrong-invitation"] ?? 0) > 0)).toBe(true)
  })

  test("RM-T3: direct links blocked: in over the routed session", async () => {
    const { net } = await makeRoom(4, 2)
    net.add("blocked", { noDirect: true })
    await took(net, 6_000, () => net.agreed())
  })

  test("RM-T4: the committer is killed with joins waiting", async () => {
    const { net, nodes } = await makeRoom(5, 3)
    net.add("d")
    await net.run(250)
    net.kill(nodes[0]!)
    expect(await took(net, 25_000, () => net.agreed())).toBeLessThan(20_000)
  })

  test("RM-T6: two founders come together when they see each other", async () => {
    const net = new TestNetwork(6)
    net.serverUp = false
    const a = net.add("a")
    const b = net.add("b")
    await net.run(1_000)
    net.serverUp = true
    net.register(a)
    await net.run(500)
    expect(a.machine.phase).toBe("connected")
    a.registered = false
    net.register(b)
    await net.run(1_000)
    expect(b.machine.phase).toBe("connected")
    expect(net.agreed()).toBe(false)
    net.register(a)
    expect(await took(net, 15_000, () => net.agreed())).toBeLessThan(15_000)
  })

  test("two newcomers who see only each other: one founds, soon", async () => {
    const net = new TestNetwork(7)
    net.serverUp = false
    const [a, b] = [net.add("a"), net.add("b")]
    await net.run(100)
    net.serverUp = true
    a.registered = true
    b.registered = true
    for (const [node, other] of [
      [a, b],
      [b, a],
    ] as const) {
      net.feed(node, { type: "roster", nodes: [other.nodeId], registered: 2 })
    }
    expect(await took(net, 5_000, () => net.agreed())).toBeLessThan(3_000)
  })
})

describe("leaving", () => {
  test("RM-T8: graceful leave within a second", async () => {
    const { net, nodes } = await makeRoom(10, 4)
    net.feed(nodes[2]!, { type: "leave" })
    expect(await took(net, 5_000, () => net.agreed())).toBeLessThan(1_000)
    expect(nodes[0]!.saw("memberLeft").map(({ keyId, reason }) => [keyId, reason])).toEqual([[nodes[2]!.keyId, "left"]])
    expect(nodes[2]!.finished).toBe(true)
  })

  test("RM-T8: closed page within 1.5 s, the committer's too", async () => {
    const { net, nodes } = await makeRoom(11, 4)
    net.closePage(nodes[3]!)
    expect(await took(net, 5_000, () => net.agreed())).toBeLessThan(1_000)
    net.closePage(nodes[0]!)
    expect(await took(net, 5_000, () => net.agreed())).toBeLessThan(1_500)
  })

  test("RM-T8: killed process within 12 s, the committer's too", async () => {
    const { net, nodes } = await makeRoom(12, 4)
    net.kill(nodes[2]!)
    expect(await took(net, 20_000, () => net.agreed())).toBeLessThan(12_000)
    net.kill(nodes[0]!)
    expect(await took(net, 20_000, () => net.agreed())).toBeLessThan(12_500)
    expect(nodes[1]!.saw("memberLeft").map(({ reason }) => reason)).toEqual(["gone", "gone"])
  })

  test("RM-T8: cable pulled for 4 s: nobody is removed; for 60 s: comes back by itself", async () => {
    const { net, nodes } = await makeRoom(13, 3)
    const epoch = nodes[0]!.machine.view?.epoch
    let heal = net.sessions.cut((a, b) => (a === nodes[2]) !== (b === nodes[2]))
    await net.run(4_000)
    heal()
    await net.run(8_000)
    expect(net.agreed()).toBe(true)
    expect(nodes[0]!.machine.view?.epoch).toBe(epoch)
    heal = net.sessions.cut((a, b) => (a === nodes[2]) !== (b === nodes[2]))
    await net.run(60_000)
    expect(nodes[0]!.memberIds).toHaveLength(2)
    heal()
    expect(await took(net, 40_000, () => net.agreed())).toBeLessThan(30_000)
  })

  test("RM-T7: reload of a tab: same participant, one leaf", async () => {
    const { net, nodes } = await makeRoom(14, 3)
    const old = nodes[1]!
    net.closePage(old)
    await net.run(300)
    const fresh = net.add("n1 again", { identity: old.identity })
    expect(await took(net, 10_000, () => net.agreed())).toBeLessThan(4_000)
    expect(fresh.keyId).toBe(old.keyId)
    expect(nodes[0]!.memberIds.filter((id) => id === old.keyId)).toHaveLength(1)
  })

  test("reload of the committer's tab, and of a killed one", async () => {
    const { net, nodes } = await makeRoom(15, 3)
    net.closePage(nodes[0]!)
    await net.run(200)
    net.add("n0 again", { identity: nodes[0]!.identity })
    expect(await took(net, 15_000, () => net.agreed())).toBeLessThan(5_000)
    net.kill(nodes[1]!)
    await net.run(1_000)
    net.add("n1 again", { identity: nodes[1]!.identity })
    expect(await took(net, 15_000, () => net.agreed())).toBeLessThan(6_000)
  })

  test("RM-T9: a live member reported as lost again and again stays", async () => {
    const { net, nodes } = await makeRoom(16, 3)
    const cut = net.sessions.cut((a, b) => [a, b].includes(nodes[0]!) && [a, b].includes(nodes[1]!))
    await net.run(60_000)
    expect(net.agreed()).toBe(true)
    cut()
    expect(nodes[2]!.machine.counters["report-wrong"]).toBeGreaterThan(0)
  })
})

describe("forks and lost servers", () => {
  for (const [seconds, seed] of [
    [5, 20],
    [60, 21],
  ] as const) {
    test(`RM-T5: partition of 4 + 4 healed after ${seconds} s`, async () => {
      const { net, nodes } = await makeRoom(seed, 8)
      const left = new Set(nodes.slice(0, 4))
      const heal = net.sessions.cut((a, b) => left.has(a) !== left.has(b))
      await net.run(seconds * 1_000)
      heal()
      expect(await took(net, 60_000, () => net.agreed())).toBeLessThan(45_000)
    })
  }

  test("a fork of one epoch is resolved by rollback, without joining again", async () => {
    const { net, nodes } = await makeRoom(22, 4)
    const left = new Set(nodes.slice(0, 2))
    const heal = net.sessions.cut((a, b) => left.has(a) !== left.has(b))
    await net.run(13_500)
    expect(new Set(nodes.map(({ tip }) => tip)).size).toBe(2)
    heal()
    await took(net, 60_000, () => net.agreed())
  })

  test("RM-T15: server killed: chat, leave, committer change, new links between members", async () => {
    const { net, nodes } = await makeRoom(23, 4)
    net.stopServer()
    await net.run(2_000)
    const id = new Uint8Array(16).fill(1)
    net.feed(nodes[1]!, { type: "chat", id, text: "still here" })
    await net.run(500)
    for (const i of [0, 2, 3]) expect(nodes[i]!.saw("chat").map(({ text }) => text)).toEqual(["still here"])
    net.feed(nodes[0]!, { type: "leave" })
    await took(net, 5_000, () => net.agreed())
    const [b, c] = [nodes[1]!, nodes[2]!]
    const heal = net.sessions.cut((x, y) => [x, y].includes(b) && [x, y].includes(c))
    await net.run(20_000)
    expect(b.machine.sessionOf(c.keyId)).toBeUndefined()
    heal()
    await took(net, 40_000, () => b.machine.sessionOf(c.keyId) !== undefined)
    expect(net.agreed()).toBe(true)
  })
})
