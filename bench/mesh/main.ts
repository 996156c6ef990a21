/** Kills the busiest relay of a room again and again and prints how long pictures stood still at the others. */
import { setTimeout as pause } from "node:timers/promises"
import { Command, InvalidArgumentError } from "commander"
import { type Crew, openCrew } from "../../e2e/mesh/crew.ts"

/** Both parents have delivered for a while before one goes; gaps are watched for so long after it. */
const STEADY_MS = 6_000
const WATCH_MS = 8_000

const count = (text: string): number => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("not a number above 0")
  return value
}
const program = new Command("tsx bench/mesh/main.ts")
  .option("--runs <n>", "relays that are killed", count, 5)
  .option("--viewers <n>", "viewers beside the publisher", count, 6)
  .option("--copies <n>", "copies that the publisher may send itself", count, 2)
  .option("--leave", "relays say good-bye instead", false)
  .parse()
const { runs, viewers, copies, leave } = program.opts<{ runs: number; viewers: number; copies: number; leave: boolean }>()

const crew = await openCrew(viewers, copies)
const longest: number[] = []
const all: number[] = []
try {
  for (let run = 1; run <= runs; run++) {
    const gaps = await lose(crew)
    longest.push(Math.max(...gaps))
    all.push(...gaps)
    console.log(`run ${run}: longest gap per viewer ${gaps.join(", ")} ms`)
    await crew.join()
  }
  console.log(
    `longest gap of a run: median ${median(longest)} ms; of a viewer: median ${median(all)} ms, worst ${Math.max(...all)} ms`,
  )
} finally {
  await crew.close()
}

async function lose(room: Crew): Promise<number[]> {
  await room.settled()
  await pause(STEADY_MS)
  const relay = await room.busiest()
  await Promise.all(room.viewers.map((viewer) => viewer.mark()))
  if (leave) await relay.leave()
  else await relay.crash()
  await pause(WATCH_MS)
  const sights = await Promise.all(room.viewers.map((viewer) => viewer.sight()))
  return sights.map(({ longestGapMs }) => Math.round(longestGapMs))
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN
}
