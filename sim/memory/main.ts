/** `npm run sim -- retention` and `npm run sim -- comeback`: the memory of a mesh, on the product's own nodes. */
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { Command, InvalidArgumentError } from "commander"
import { initFountainFromPackage } from "../../src/fountain/node.ts"
import { comeback, inverse } from "./comeback.ts"
import { RETENTION_DEFAULTS, type RetentionReport, type RetentionScenario, simulateRetention } from "./retention.ts"
import { buildWorld } from "./world.ts"

const number = (text: string): number => {
  const value = Number(text)
  if (text.trim() === "" || !Number.isFinite(value) || value < 0) throw new InvalidArgumentError("not a number")
  return value
}

/** @param args the command line after the program's name */
export async function runMemory(args: readonly string[]): Promise<void> {
  const program = new Command("npm run sim --")
  program
    .command("retention")
    .description("peers come and go; who holds what, and is anything lost")
    .option("--peers <n>", "in the mesh at any time", number, RETENTION_DEFAULTS.peers)
    .option("--contents <n>", "published at the beginning", number, RETENTION_DEFAULTS.contents)
    .option("--minutes <n>", "of virtual time with churn", number, RETENTION_DEFAULTS.minutes)
    .option("--churn <percent>", "of the peers leave for good per hour, and as many come", number, 20)
    .option("--publishers <n>", "peers that publish", number, RETENTION_DEFAULTS.publishers)
    .option("--publishers-leave-at <minute>", "all of them, for good; 0: never", number, RETENTION_DEFAULTS.publishersLeaveAt)
    .option("--quiet <n>", "minutes without churn at the end", number, RETENTION_DEFAULTS.quiet)
    .option("--seed <n>", "of everything that is left to chance", number, RETENTION_DEFAULTS.seed)
    .option("--json <file>", "write the report")
    .action(async (options: Omit<RetentionScenario, "churnPerHour"> & { churn: number; json?: string }) => {
      const { churn, json, ...rest } = options
      await initFountainFromPackage()
      const report = await simulateRetention({ ...rest, churnPerHour: churn / 100 }, (minute) => {
        if (process.stderr.isTTY) process.stderr.write(`\r${minute} min `)
      })
      if (process.stderr.isTTY) process.stderr.write("\r")
      process.stdout.write(`${retentionText(report)}\n`)
      if (json !== undefined) {
        mkdirSync(dirname(json), { recursive: true })
        writeFileSync(json, `${JSON.stringify(report, null, 2)}\n`)
      }
    })
  program
    .command("comeback")
    .description("somebody returns after three years, by each live peer, with its store and with its key alone")
    .option("--seed <n>", "", number, 1)
    .option("--contacts <n>", "how many of the seven live peers", number, 7)
    .action(runComeback)
  await program.parseAsync(args, { from: "user" })
}

async function runComeback({ seed, contacts }: { seed: number; contacts: number }): Promise<void> {
  await initFountainFromPackage()
  const world = await buildWorld(seed, (what) => process.stderr.write(`${what}\n`))
  const say = (name: string, failures: readonly string[]) => {
    process.stdout.write(`${name}: ${failures.length === 0 ? "holds" : failures.join("; ")}\n`)
    if (failures.length > 0) process.exitCode = 1
  }
  for (let contact = 0; contact < Math.min(contacts, world.live.length); contact++) {
    for (const variant of ["store", "key"] as const) {
      const backEnd = contact % 2 === 0 ? "memory" : "node"
      const run = { variant, contact, backEnd, seed: seed * 100 + contact } as const
      say(`contact ${contact}, ${variant}, ${backEnd}`, await comeback(world, run))
    }
  }
  say("inverse", await inverse(world, seed))
}

export function retentionText(report: RetentionReport): string {
  const { scenario, settled, samples } = report
  const lines = [
    `${scenario.peers} peers, ${scenario.contents} contents, ${scenario.minutes} min with ${scenario.churnPerHour * 100} % leaving per hour, then ${scenario.quiet} min quiet, seed ${scenario.seed}`,
    `left and came: ${report.left}, ${report.joined}; publishers left at minute ${scenario.publishersLeaveAt || "-"}`,
    "minute  online  holders min/median/max  copies min/mean/max  distinct  lost  dropped  adopted",
  ]
  for (const sample of samples) {
    if (sample.minute % 5 !== 0 && sample.minute !== 1) continue
    const { minute, online, holders, copies, distinct, lost, dropped, adopted } = sample
    const cells = [
      String(minute).padStart(6),
      String(online).padStart(7),
      `${holders.min}/${holders.median}/${holders.max}`.padStart(23),
      `${copies.min}/${copies.mean}/${copies.max}`.padStart(20),
      String(distinct).padStart(9),
      String(lost).padStart(5),
      String(dropped).padStart(8),
      String(adopted).padStart(8),
    ]
    lines.push(cells.join(" "))
  }
  lines.push(
    `least distinct symbols at any time: ${report.leastDistinct} of 26; contents lost: ${report.lost}`,
    `at the end: holders ${settled.holders.min}-${settled.holders.max} beside the heaviest, copies ${settled.copies.min}-${settled.copies.max}`,
    `symbols moved in the last ten quiet minutes: ${report.movedWhileQuiet}; symbols sent in all: ${report.trafficFactor} x the contents`,
    `a revoked content was gone from every live peer after ${report.revocationSeconds} s`,
  )
  return lines.join("\n")
}
