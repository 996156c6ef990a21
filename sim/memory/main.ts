/** `npm run sim -- retention` and `npm run sim -- comeback`: the memory of a mesh, on the product's own nodes. */
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { Command, InvalidArgumentError } from "commander"
import { initFountainFromPackage } from "../../src/fountain/node.ts"
import { comeback, inverse, runsOf } from "./comeback.ts"
import { negatives } from "./negatives.ts"
import {
  RETENTION_DEFAULTS,
  type RetentionReport,
  type RetentionScenario,
  SPREADING_MINUTES,
  simulateRetention,
} from "./retention.ts"
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
    .option("--seeds <n>", "so many runs, with this seed and those after it", number, 1)
    .option("--json <file>", "write the reports")
    .action(runRetention)
  program
    .command("comeback")
    .description("somebody returns after three years, by each live peer, with its store and with its key alone")
    .option("--seed <n>", "", number, 1)
    .option("--contacts <n>", "how many of the seven live peers", number, 7)
    .action(runComeback)
  await program.parseAsync(args, { from: "user" })
}

interface RetentionOptions extends Omit<RetentionScenario, "churnPerHour"> {
  churn: number
  seeds: number
  json?: string
}

async function runRetention({ churn, json, seeds, ...rest }: RetentionOptions): Promise<void> {
  await initFountainFromPackage()
  const tell = (text: string) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${text}`)
  }
  const reports: RetentionReport[] = []
  for (let seed = rest.seed; seed < rest.seed + seeds; seed++) {
    const report = await simulateRetention({ ...rest, seed, churnPerHour: churn / 100 }, (minute) => tell(`${minute} min `))
    tell("")
    process.stdout.write(`${retentionText(report)}\n`)
    reports.push(report)
  }
  if (seeds > 1) process.stdout.write(`${seedsText(reports)}\n`)
  if (json === undefined) return
  mkdirSync(dirname(json), { recursive: true })
  writeFileSync(json, `${JSON.stringify(reports, null, 2)}\n`)
}

async function runComeback({ seed, contacts }: { seed: number; contacts: number }): Promise<void> {
  await initFountainFromPackage()
  const world = await buildWorld(seed, (what) => process.stderr.write(`${what}\n`))
  const say = (name: string, failures: readonly string[]) => {
    process.stdout.write(`${name}: ${failures.length === 0 ? "holds" : failures.join("; ")}\n`)
    if (failures.length > 0) process.exitCode = 1
  }
  for (const run of runsOf(world, seed)) {
    if (run.contact >= contacts) continue
    say(`contact ${run.contact}, ${run.variant}, ${run.backEnd}`, await comeback(world, run))
  }
  say("inverse", await inverse(world, seed))
  say("who must not get in", await negatives(world, seed))
}

export function retentionText(report: RetentionReport): string {
  const { scenario, settled, samples } = report
  const { peers, contents, minutes, quiet, seed, churnPerHour } = scenario
  const lines = [
    `${peers} peers, ${contents} contents, ${minutes} min with ${churnPerHour * 100} % leaving per hour, then ${quiet} min quiet, seed ${seed}`,
    `left and came: ${report.left}; publishers left at minute ${scenario.publishersLeaveAt || "-"}`,
    "minute  online  holders min/median/max  copies min/mean/max  of one symbol  distinct  lost  dropped  adopted",
  ]
  for (const { minute, online, holders, copies, copiesOfOne, distinct, lost, dropped, adopted } of samples) {
    if (minute % 5 !== 0 && minute !== 1) continue
    const cells = [
      String(minute).padStart(6),
      String(online).padStart(7),
      `${holders.min}/${holders.median}/${holders.max}`.padStart(23),
      `${copies.min}/${copies.mean}/${copies.max}`.padStart(20),
      `${copiesOfOne.min}-${copiesOfOne.max}`.padStart(14),
      String(distinct).padStart(9),
      String(lost).padStart(5),
      String(dropped).padStart(8),
      String(adopted).padStart(8),
    ]
    lines.push(cells.join(" "))
  }
  const after = (seconds: number | undefined) => (seconds === undefined ? "not in time" : `after ${seconds} s`)
  lines.push(
    `least distinct symbols at any time: ${report.leastDistinct} of ${settled.total}; contents lost: ${report.lost}`,
    `spread as planned ${after(report.spreadSeconds)}, and again after the publishers had left ${after(report.settleSeconds)}`,
    `at the end, beside the heaviest: ${settled.holders.min}-${settled.holders.max} holders, ${settled.copies.min}-${settled.copies.max} copies, ${settled.copiesOfOne.min}-${settled.copiesOfOne.max} of one symbol`,
    `symbols moved per peer: ${report.movesPerPeer} in ${minutes - SPREADING_MINUTES} minutes with churn, ${report.quietMovesPerPeer} in the last ten without`,
    `symbols sent in all: ${report.trafficFactor} x the contents; a revoked content was gone from every live peer after ${report.revocationSeconds} s`,
  )
  return lines.join("\n")
}

/** One line per seed. */
export function seedsText(reports: readonly RetentionReport[]): string {
  const lines = ["seed  holders  copies  of one  lost  least distinct  settled again, s  moves per peer  quiet  revoked, s"]
  for (const report of reports) {
    const { settled } = report
    const cells = [
      String(report.scenario.seed).padStart(4),
      `${settled.holders.min}-${settled.holders.max}`.padStart(8),
      `${settled.copies.min}-${settled.copies.max}`.padStart(7),
      `${settled.copiesOfOne.min}-${settled.copiesOfOne.max}`.padStart(7),
      String(report.lost).padStart(5),
      String(report.leastDistinct).padStart(15),
      String(report.settleSeconds ?? "-").padStart(17),
      String(report.movesPerPeer).padStart(15),
      String(report.quietMovesPerPeer).padStart(6),
      String(report.revocationSeconds).padStart(11),
    ]
    lines.push(cells.join(" "))
  }
  return lines.join("\n")
}
