/** Members whose processor is busy: operations on the group take up to 0.7 s, and messages wait as long; nobody loses the group for it. */
import { describe, expect, test } from "vitest"
import { TestNetwork } from "./test-network.ts"
import type { TestNode } from "./test-node.ts"

const RUNS = Number(process.env.HOLOMESH_SIMULATIONS ?? 4)
const FIRST = Number(process.env.HOLOMESH_SEED ?? 1)

const again = (node: TestNode) => node.saw("phase").filter(({ phase }) => phase === "reconnecting").length

/** Seven members; one is killed, and a new one comes. */
async function killAndJoin(seed: number, how: { spread: number; work: number; loss: number }) {
  const net = new TestNetwork(seed)
  for (let i = 0; i < 7; i++) {
    net.add(`n${i}`)
    await net.run(600)
  }
  expect(await net.run(30_000, () => net.agreed())).toBe(true)
  await net.run(8_000)
  net.delay = { min: 5, spread: how.spread }
  net.work = { min: 20, spread: how.work }
  net.lossPercent = how.loss
  const victim = net.nodes[net.random.below(7)]!
  net.kill(victim)
  await net.run(3_000 + net.random.below(8_000))
  net.add("new")
  const living = net.nodes.filter((node) => node !== victim)
  await net.run(20_000)
  net.lossPercent = 0
  const settled = await net.run(60_000, () => net.agreed(living))
  return { net, living, settled }
}

describe.each([
  { spread: 30, work: 650, loss: 0 },
  { spread: 700, work: 650, loss: 0 },
  { spread: 300, work: 300, loss: 5 },
])("messages up to $spread ms, work up to $work ms, $loss % lost", (how) => {
  for (let seed = FIRST; seed < FIRST + RUNS; seed++) {
    test(`seed ${seed}`, async () => {
      const { living, settled } = await killAndJoin(seed, how)
      expect(settled).toBe(true)
      expect(living.map((node) => [node.label, again(node)]).filter(([, times]) => times !== 0)).toEqual([])
    })
  }
})
