/** The room protocol as stories: several machines on one virtual network (room.md 10). */
import { describe, expect, test } from "vitest"
import { TestNetwork, type TestNode } from "./test-network.ts"

async function room(seed: number, count: number): Promise<{ net: TestNetwork; nodes: TestNode[] }> {
  const net = new TestNetwork(seed)
  const nodes: TestNode[] = []
  for (let i = 0; i < count; i++) {
    nodes.push(net.add(`n${i}`))
    await net.run(100)
  }
  expect(await net.run(20_000, () => net.agreed())).toBe(true)
  return { net, nodes }
}

describe("joining", () => {
  test("RM-T1: A founds, B and C join at once in one batch", async () => {
    const net = new TestNetwork(1)
    const a = net.add("a")
    await net.run(1_000)
    expect(a.machine.phase).toBe("connected")
    net.add("b")
    net.add("c")
    expect(await net.run(5_000, () => net.agreed())).toBe(true)
    expect(net.now).toBeGreaterThan(0)
    expect(a.machine.view?.epoch).toBe(1n)
  })
})
