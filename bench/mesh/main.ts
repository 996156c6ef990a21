/** Kills and dismisses the busiest relay of a room again and again, prints how long pictures stood still at the others, and what a publisher sends. */
import { setTimeout as pause } from "node:timers/promises"
import { Command, InvalidArgumentError } from "commander"
import { type Crew, openCrew } from "../../e2e/mesh/crew.ts"

/** Both parents have delivered for a while before one goes; ms. */
const STEADY_MS = 5_000
/** Gaps are watched for so long, with nobody gone and then after somebody went; ms. */
const WATCH_MS = 5_000
const UPLINK_MS = 10_000

const count = (text: string): number => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError("not a number")
  return value
}
const program = new Command("tsx bench/mesh/main.ts")
  .option("--kill <n>", "relays that are killed", count, 5)
  .option("--leave <n>", "relays that say good-bye", count, 5)
  .option("--viewers <n>", "viewers beside the publisher", count, 6)
  .option("--copies <n>", "copies that the publisher may send itself", count, 2)
  .option("--no-uplink", "leave out what the publisher sends, with copies limited and without relays")
  .parse()
const { kill, leave, viewers, copies, uplink } = program.opts<{
  kill: number
  leave: number
  viewers: number
  copies: number
  uplink: boolean
}>()

const crew = await openCrew(viewers, copies)
const sent: [what: string, bitrate: number, rendered: number][] = []
try {
  await crew.settled()
  if (uplink) sent.push(await publisherSends(`${copies} copies`, crew))
  if (kill > 0) await series("killed", kill, (relay) => relay.crash())
  if (leave > 0) await series("left", leave, (relay) => relay.leave())
} finally {
  await crew.close()
}
if (uplink) {
  const mesh = await openCrew(viewers, viewers, { relays: false })
  try {
    await pause(STEADY_MS)
    sent.push(await publisherSends("full mesh", mesh))
  } finally {
    await mesh.close()
  }
  for (const [what, bitrate, rendered] of sent) {
    console.log(
      `${what}: publisher sends ${Math.round(bitrate / 1_000)} kbit/s, ${rendered.toFixed(1)} pictures/s at the median viewer`,
    )
  }
}

async function series(what: string, runs: number, goes: (relay: Crew["publisher"]) => Promise<void>): Promise<void> {
  const quiet: number[][] = []
  const after: number[][] = []
  for (let run = 1; run <= runs; run++) {
    await crew.settled()
    await pause(STEADY_MS)
    quiet.push(await gaps(async () => undefined))
    // Nobody may depend on one relay at the moment at which it goes.
    await crew.settled()
    const relay = await crew.busiest()
    const { children } = await relay.place()
    after.push(await gaps(() => goes(relay)))
    console.log(
      `${what} ${run}, ${children.length} children: before ${quiet.at(-1)?.join(" ")}, after ${after.at(-1)?.join(" ")} ms`,
    )
    await crew.join()
  }
  const worst = (all: number[][]) => median(all.map((of) => Math.max(...of)))
  console.log(
    `longest gap when a relay ${what === "killed" ? "was killed" : what}: viewers median ${median(after.flat())} ms, ` +
      `worst viewer median ${worst(after)} ms, in ${runs} runs; with nobody gone ${median(quiet.flat())} and ${worst(quiet)} ms`,
  )
}

/** Longest time without a new picture at each of those that are still there. */
async function gaps(happens: () => Promise<void>): Promise<number[]> {
  await Promise.all(crew.viewers.map((viewer) => viewer.mark()))
  await happens()
  await pause(WATCH_MS)
  const sights = await Promise.all(crew.viewers.map((viewer) => viewer.sight()))
  return sights.map(({ longestGapMs }) => Math.round(longestGapMs))
}

async function publisherSends(what: string, { publisher, viewers: watching }: Crew): Promise<(typeof sent)[number]> {
  const look = () => Promise.all([publisher.sent(), Promise.all(watching.map((viewer) => viewer.sight()))])
  const [before, seen] = await look()
  await pause(UPLINK_MS)
  const [after, then] = await look()
  const rendered = then.map(({ frames }, index) => ((frames - (seen[index]?.frames ?? 0)) * 1_000) / (after.at - before.at))
  return [what, (8_000 * (after.bytes - before.bytes)) / (after.at - before.at), median(rendered)]
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN
}
