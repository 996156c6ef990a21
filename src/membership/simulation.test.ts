/** RM-T16: random histories of twelve machines; at rest there is one tip and one member list, and the same seed gives the same run. */
import { describe, expect, test } from "vitest"
import { seededRandom } from "../wire/seeded.ts"
import { TestNetwork } from "./test-network.ts"
import type { TestNode } from "./test-node.ts"

const MACHINES = 12
// `HOLOMESH_SIMULATIONS=10000 npx vitest run src/membership/simulation` for a long run; a failing seed is a bug report.
const RUNS = Number(process.env.HOLOMESH_SIMULATIONS ?? 20)
const FIRST = Number(process.env.HOLOMESH_SEED ?? 1)

async function history(seed: number, log: (line: string) => void = () => {}): Promise<TestNetwork> {
  const net = new TestNetwork(seed)
  const { below } = seededRandom(seed ^ 0x5eed)
  let count = 0
  const pick = (): TestNode | undefined => {
    const living = net.nodes.filter(({ alive, finished }) => alive && !finished)
    return living[below(living.length)]
  }
  const heals: (() => void)[] = []
  const steps = 8 + below(16)
  for (let step = 0; step < steps; step++) {
    const node = pick()
    const what = below(12)
    const living = net.nodes.filter(({ alive, finished }) => alive && !finished).length
    if ((what < 5 || node === undefined) && living < MACHINES) {
      for (let n = 1 + below(3); n > 0 && living + n <= MACHINES; n--) log(`join ${net.add(`n${count++}`).label}`)
    } else if (node === undefined) continue
    else if (what === 5) net.kill(node)
    else if (what === 6) net.closePage(node)
    else if (what === 7) net.feed(node, { type: "leave" })
    else if (what === 8) {
      net.closePage(node)
      net.add(`${node.label}'`, { identity: node.identity })
    } else if (what === 9 && heals.length === 0) {
      const side = new Set(net.nodes.filter(() => below(2) === 0))
      heals.push(net.sessions.cut((a, b) => side.has(a) !== side.has(b)))
    } else if (what === 10) {
      if (net.serverUp) net.stopServer()
      else net.startServer()
    } else net.feed(node, { type: "chat", id: net.random.bytes(16), text: "hello" })
    log(`${net.now} ${what} ${node?.label}`)
    net.lossPercent = below(4) === 0 ? 3 : 0
    await net.run(below(4) === 0 ? 8_000 : 100 + below(1_500))
    if (below(3) === 0) heals.pop()?.()
  }
  for (const heal of heals) heal()
  net.lossPercent = 0
  if (!net.serverUp) net.startServer()
  await net.run(180_000, () => net.agreed())
  return net
}

test("the same seed gives the same run", async () => {
  const [first, second] = [await history(4), await history(4)]
  const trace = (net: TestNetwork) =>
    net.nodes.map(({ label, tip, notices }) => [label, tip, notices.map(({ at, notice }) => [at, notice.type])])
  expect(trace(first)).toEqual(trace(second))
})

describe("RM-T16", () => {
  for (let seed = FIRST; seed < FIRST + RUNS; seed++) {
    test(`seed ${seed}`, async () => {
      const net = await history(seed)
      const living = net.nodes.filter(({ alive, finished }) => alive && !finished)
      if (!net.agreed()) {
        const lines = living.map(
          ({ label, machine, tip, memberIds }) =>
            `${label} ${machine.phase} e${machine.view?.epoch} ${tip.slice(0, 6)} ${memberIds.length} ${JSON.stringify(machine.counters)}`,
        )
        expect.fail(`not one room:\n${lines.join("\n")}`)
      }
      // Nobody gave up on the way: a newcomer that waits long enough gets in. A tab whose identity came again elsewhere ends as removed.
      const failed = net.nodes.flatMap(({ label, notices }) =>
        notices.flatMap(({ at, notice }) =>
          notice.type === "failed" && notice.error.code !== "Removed" ? [`${label} ${at} ${notice.error.code}`] : [],
        ),
      )
      expect(failed).toEqual([])
    })
  }
})
