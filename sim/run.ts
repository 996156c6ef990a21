/** One simulation from a scenario to its report. */
import type { Scenario } from "./model/scenario.ts"
import { reportOf, type SimReport } from "./report/report.ts"
import { World } from "./world/world.ts"

/** The same scenario gives the same report, byte for byte. */
export async function simulate(scenario: Scenario, progress?: (virtualMs: number) => void): Promise<SimReport> {
  const world = new World(scenario)
  await world.run(progress)
  return reportOf(world)
}
