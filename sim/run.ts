/** One simulation from a scenario to its report. */
import type { Scenario } from "./model/scenario.ts"
import { reportOf, type SimReport } from "./report/report.ts"
import { World } from "./world/world.ts"

/** The same scenario gives the same report, byte for byte. */
export async function simulate(scenario: Scenario, progress?: (virtualMs: number) => void): Promise<SimReport> {
  return (await explained(scenario, 0, progress)).report
}

/** {@link simulate}, with what happened to the receivers that waited longest for a lost parent, for reading. */
export async function explained(
  scenario: Scenario,
  stories: number,
  progress?: (virtualMs: number) => void,
): Promise<{ report: SimReport; stories: string }> {
  const world = new World(scenario, stories)
  await world.run(progress)
  return { report: reportOf(world), stories: world.metrics.diary.text }
}
