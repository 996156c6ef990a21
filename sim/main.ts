/** `npm run sim`: a room of hundreds or thousands of peers on a virtual clock, from one seed. */
import { mkdirSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { Command, InvalidArgumentError } from "commander"
import { DEFAULTS, type Scenario, type UplinkShare } from "./model/scenario.ts"
import { htmlOf } from "./report/html.ts"
import { textOf } from "./report/text.ts"
import { explained } from "./run.ts"

interface Options {
  peers: number
  seconds: number
  ramp: number
  churn: number
  graceful: number
  loss: number
  burst: number
  uplink: UplinkShare[]
  sourceUplink?: number
  queue: number
  kbps: number
  groups: number
  repair: number
  nack: boolean
  nat: boolean
  jitter: number
  capacity: Scenario["capacity"]
  parents: 1 | 2
  planFactor: number
  candidates: number
  seed: number
  explain: number
  json?: string
  html?: string
}

const number = (text: string): number => {
  const value = Number(text)
  if (text.trim() === "" || !Number.isFinite(value) || value < 0) throw new InvalidArgumentError("not a number")
  return value
}
const whole = (text: string): number => {
  const value = number(text)
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError("not a whole number")
  return value
}
const shares = (text: string): UplinkShare[] =>
  text.split(",").map((part) => {
    const [multiple = "", share = "1"] = part.split(":")
    return { multiple: number(multiple), share: number(share) }
  })
const oneOf =
  <T extends string>(...known: T[]) =>
  (text: string): T => {
    const found = known.find((each) => each === text)
    if (found === undefined) throw new InvalidArgumentError(`there are ${known.join(", ")}`)
    return found
  }
const parentCount = (text: string): 1 | 2 => (oneOf("1", "2")(text) === "1" ? 1 : 2)

const [part, ...rest] = process.argv.slice(2)
if (part === "retention" || part === "comeback") {
  const { runMemory } = await import("./memory/main.ts")
  await runMemory([part, ...rest])
  process.exit()
}

const program = new Command("npm run sim --")
  .option("--peers <n>", "receivers", whole, DEFAULTS.peers)
  .option("--seconds <s>", "measured virtual time, after everybody has come and 15 s more", number, DEFAULTS.seconds)
  .option("--ramp <s>", "the receivers come evenly over this time", number, DEFAULTS.rampSeconds)
  .option("--churn <percent>", "of the receivers leave per minute, and as many come", number, 0)
  .option("--graceful <percent>", "of those who leave say goodbye; the others die", number, DEFAULTS.graceful * 100)
  .option("--loss <percent>", "of packets, on every hop and each way", number, 0)
  .option("--burst <packets>", "mean run of losses; 1: independent", number, DEFAULTS.burst)
  .option(
    "--uplink <shares>",
    "copies of the stream that an uplink carries, with shares of the peers: 2:0.3,10:0.7",
    shares,
    DEFAULTS.uplinks,
  )
  .option("--source-uplink <n>", "copies the source can send; default: the largest of --uplink", number)
  .option("--queue <ms>", "what a full uplink holds back before it drops", number, DEFAULTS.queueMs)
  .option("--kbps <n>", "rate of the source symbols", number, DEFAULTS.kbps)
  .option("--groups <n>", "symbol groups (frames) per second", number, DEFAULTS.groups)
  .option("--repair <n>", "repair symbols per group", whole, DEFAULTS.repair)
  .option("--no-nack", "lost packets are not asked for again")
  .option("--nat", "some peers sit behind NATs that cannot reach each other", false)
  .option("--jitter <ms>", "mean extra delay per packet", number, DEFAULTS.jitterMs)
  .option(
    "--capacity <kind>",
    "promises of relays: known, or measured by the estimator",
    oneOf("known", "measured"),
    DEFAULTS.capacity,
  )
  .option("--parents <n>", "each receiver wants", parentCount, DEFAULTS.parents)
  .option(
    "--plan-factor <n>",
    "copies that the plan counts for each child, on top of the places that it leaves by itself",
    number,
    DEFAULTS.planFactor,
  )
  .option("--candidates <n>", "relays that a receiver looks at, of all", whole, DEFAULTS.candidates)
  .option("--seed <n>", "of everything that is left to chance", whole, DEFAULTS.seed)
  .option("--explain <n>", "print what happened to so many of those who waited longest for a lost parent", whole, 0)
  .option("--json <file>", "write the report")
  .option("--html <file>", "write the report with plots, one file")
  .parse()
const options = program.opts<Options>()

const scenario: Scenario = {
  peers: options.peers,
  seconds: options.seconds,
  rampSeconds: options.ramp,
  churnPerMinute: options.churn / 100,
  graceful: options.graceful / 100,
  loss: options.loss / 100,
  burst: options.burst,
  uplinks: options.uplink,
  sourceUplink: options.sourceUplink ?? Math.max(...options.uplink.map(({ multiple }) => multiple)),
  queueMs: options.queue,
  kbps: options.kbps,
  groups: options.groups,
  repair: options.repair,
  nack: options.nack,
  nat: options.nat,
  capacity: options.capacity,
  parents: options.parents,
  planFactor: options.planFactor,
  candidates: options.candidates,
  jitterMs: options.jitter,
  seed: options.seed,
}

const { report, stories } = await explained(scenario, options.explain, (at) => {
  if (process.stderr.isTTY) process.stderr.write(`\r${Math.round(at / 1_000)} s `)
})
if (process.stderr.isTTY) process.stderr.write("\r")
process.stdout.write(`${textOf(report)}\n`)
if (stories !== "") process.stdout.write(`\n${stories}\n`)
if (options.json !== undefined) write(options.json, `${JSON.stringify(report, null, 2)}\n`)
if (options.html !== undefined) write(options.html, htmlOf(report))

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
}
