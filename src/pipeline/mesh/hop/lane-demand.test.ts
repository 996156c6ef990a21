import { expect, test } from "vitest"
import { laneCapacity } from "../../../link/lane-capacity.ts"
import { HopSim } from "./test-hop.ts"

test("lanes that refuse nothing may carry more than the formula says, a full one brings it back (LL-27)", async () => {
  const sim = new HopSim({ seed: 3, loss: 0.1, burst: 4, lanes: 6, symbols: 9, openAfterMs: 500 })
  const { rate } = sim.sender.sender
  const formula = () => (6 * laneCapacity(rate.rttMs, rate.losses.loss)) / 1.5
  await sim.run(20_000)
  expect(rate.allowed).toBeGreaterThan(1.2 * formula())
  for (const lane of sim.there.values()) lane.blocked = true
  await sim.run(200)
  for (const lane of sim.there.values()) lane.release()
  await sim.run(1_000)
  expect(rate.allowed).toBeLessThan(1.05 * formula())
})
