/** `npm run bench:network`: holomesh and native RTP over the same impaired path in the same run. */
import { existsSync } from "node:fs"
import { loadavg } from "node:os"
import { Command, InvalidArgumentError } from "commander"
import { type Stage, setStage } from "../../e2e/browsers.ts"
import { SLICE_MS } from "../../e2e/network/path.ts"
import { ImpairmentProxy } from "../../e2e/network/proxy.ts"
import { impair } from "../../e2e/network/rig.ts"
import { createRendezvousServer } from "../../server/rendezvous.ts"
import { describeMachine, printResult, typedCommand, writeDocument } from "../report.ts"
import type { Result } from "../subject.ts"
import { CALLS } from "./calls.ts"
import { figuresOf } from "./figures.ts"
import { drawPlots, plotsOf } from "./plots.ts"
import { type Kept, keepRuns, keptRuns, type RunRecord, tableOf } from "./results.ts"
import { type Run, runCall, type Side } from "./run.ts"
import { type Scenario, SUITES, scenariosOf } from "./scenario.ts"
import { buildSite } from "./site.ts"

interface Options {
  suite?: string[]
  loss: number[]
  burst: number[]
  rtt: number[]
  jitter: number
  capacity: number[]
  queue: number
  bitrate?: number
  event: Scenario["event"]
  duration: number
  repeats: number
  calls: string[]
  seed: number
  docs: boolean
  redraw: boolean
}

const number = (text: string): number => {
  const value = Number(text)
  if (text.trim() === "" || !Number.isFinite(value) || value < 0) throw new InvalidArgumentError("not a number")
  return value
}
const numbers = (text: string): number[] => text.split(",").map(number)
const names = (known: readonly string[]) => (text: string) => {
  const chosen = text.split(",")
  const unknown = chosen.filter((name) => !known.includes(name))
  if (unknown.length > 0) throw new InvalidArgumentError(`there are ${known.join(", ")}`)
  return chosen
}
const callNames = CALLS.map(({ name }) => name)

const program = new Command("npm run bench:network --")
  .option("--suite <names>", `instead of single paths: ${Object.keys(SUITES).join(",")}`, names(Object.keys(SUITES)))
  .option("--loss <percents>", "packet loss, one or more", numbers, [0, 2, 5])
  .option("--burst <packets>", "mean runs of losses; 1: independent", numbers, [1])
  .option("--rtt <ms>", "round-trip times", numbers, [50])
  .option("--jitter <ms>", "up to so much more each way, order kept", number, 0)
  .option("--capacity <mbits>", "bottlenecks of the sender's uplink in Mbit/s; 0: none", numbers, [0])
  .option("--queue <ms>", "what the bottleneck's queue holds", number, 200)
  .option("--bitrate <kbits>", "upper bound of the video encoder; default 1200, or 1.5 times the capacity", number)
  .option("--event <kind>", "none, halve (capacity) or bulk (transfer) in the middle third", names(["none", "halve", "bulk"]))
  .option("--duration <s>", "measured window, after 5 s of warm-up", number, 30)
  .option("--repeats <n>", "runs per path and call; medians are reported", number, 3)
  .option("--calls <names>", `of ${callNames.join(",")}`, names(callNames), callNames)
  .option("--seed <n>", "of losses and jitter", number, 1)
  .option("--redraw", "measure nothing, show what is kept", false)
  .option("--docs", "put tables and plots of everything measured so far into docs/performance.md", false)
  .parse()
const parsed = program.opts<Omit<Options, "event"> & { event?: string[] }>()
const options: Options = { ...parsed, event: (parsed.event?.[0] ?? "none") as Scenario["event"] }

if (options.redraw) {
  const kept = keptRuns()
  if (kept !== undefined) await report(kept)
  else console.error("Nothing has been measured yet.")
  process.exit(kept === undefined ? 1 : 0)
}

if (
  !["holomesh.js", "workers/mesh.js", "server/rendezvous.js"].every((file) =>
    existsSync(new URL(`../../dist/${file}`, import.meta.url)),
  )
) {
  program.error("dist/ is missing or incomplete: run `npm run build` first")
}

const scenarios =
  options.suite === undefined
    ? scenariosOf({ ...options, bitrate: options.bitrate })
    : options.suite.flatMap((name) => (SUITES[name] ?? []).flatMap(scenariosOf))
const calls = CALLS.filter(({ name }) => options.calls.includes(name))
const site = await buildSite()
const stage = await setStage()
const server = await createRendezvousServer({ staticDir: site.folder, logLevel: "silent" })
const proxy = new ImpairmentProxy()

try {
  const [sender, receiver] = [await openSide(stage, "sender", 1), await openSide(stage, "receiver", 2)]
  const machine = describeMachine(sender.page.context().browser()?.version())
  const runs: RunRecord[] = []
  for (const scenario of scenarios) {
    for (let repeat = 0; repeat < options.repeats; repeat++) {
      // In turns, so that noise of the machine meets both alike.
      for (const call of repeat % 2 === 0 ? calls : [...calls].reverse()) {
        console.error(`${scenario.name}: ${call.name}, ${repeat + 1} of ${options.repeats}`)
        const load = Number((loadavg()[0] ?? 0).toFixed(1))
        const run = await runCall(call, scenario, options.duration * 1_000, { proxy, sender, receiver }).catch(complain)
        if (run === undefined) continue
        const { name, capacity, ...path } = scenario
        runs.push({
          name,
          scenario: { name, ...path, capacity: Number.isFinite(capacity) ? capacity : null },
          call: call.name,
          command: typedCommand("bench:network"),
          date: machine.date,
          seconds: options.duration,
          load,
          figures: figuresOf(run),
          rates: ratesOf(run),
        })
      }
    }
  }
  await report(keepRuns(machine, runs))
} finally {
  await stage.close()
  await server.close()
  await proxy.close()
  site.remove()
}

/** A browser process of its own whose connections all go through the proxy. */
async function openSide(on: Stage, name: string, index: number): Promise<Side> {
  const { page, errors } = await on.open(name, index, "/script-tag/")
  const peer = await proxy.addPeer(options.seed * 1_000 + index)
  await impair(page, peer)
  return {
    page,
    peer,
    async refresh() {
      for (const error of errors.splice(0)) console.error(`${name} reported: ${error}`)
      await page.goto(`http://localhost:${server.port}/`)
      await page.waitForFunction(() => "networkBench" in globalThis)
      await page.evaluate(() => globalThis.networkBench.prepare())
    },
  }
}

/** One call that fails is a finding and does not end the others. */
function complain(error: unknown): undefined {
  console.error(`FAILED: ${error instanceof Error ? error.message : String(error)}`)
}

/** For plots: kbit/s and ms per slice of 100 ms, from the begin of the window; only where there is a bottleneck to look at. */
function ratesOf({ slices, windowAtProxy, windowMs, scenario }: Run): RunRecord["rates"] {
  if (!Number.isFinite(scenario.capacity)) return []
  return slices
    .filter(({ at }) => at >= windowAtProxy && at < windowAtProxy + windowMs)
    .map(({ at, passedBytes, queueMs }) => [
      Math.round(at - windowAtProxy),
      Math.round((passedBytes * 8) / SLICE_MS),
      Math.round(queueMs),
    ])
}

async function report({ machine, runs }: Kept): Promise<void> {
  const note = (runs: string) =>
    `Two browser processes on one machine, every packet through the impairment proxy of e2e/network; 640×360 at 30 frames per second of detailed moving picture and a tone, one way. Medians of ${runs} after 5 s, the two calls in turns.`
  const lossy = tableOf(runs, "lossy")
  const narrow = tableOf(runs, "narrow")
  const results: Result[] = []
  if (lossy.rows.length > 0) {
    results.push({
      name: "lossy",
      title: "Lossy paths",
      note: `${note(lossy.runs)} Decodable: all parts needed were there so soon after capture, of all frames that came, were lost or were drawn. Within: out of decoder and jitter buffer so soon after drawing. Freezes: over 200 ms between two shown frames. Media: video out of the encoder; wire: everything the sender sent, audio and IP headers included; overhead: the difference. RTP is VP8 with WebRTC's defaults; its picture and sound are one stream.`,
      rows: lossy.rows,
    })
  }
  if (narrow.rows.length > 0) {
    results.push({
      name: "narrow",
      title: "Bottlenecks",
      note: `${note(narrow.runs)} The encoder may use 1.5 times the capacity; the queue holds 200 ms. Ramp up: from the first picture until 80 % of the capacity is used. Down: until what is sent is at most 1.05 of the new capacity, over 300 ms. Back: until 85 % of the old one is used again, over 1 s.`,
      rows: narrow.rows,
    })
  }
  for (const result of results) printResult(result)
  if (!options.docs) return
  const plots = await drawPlots(plotsOf(runs))
  const commands = [...new Set(runs.map(({ command, date }) => `\`${command}\` (${date} UTC)`))].join(", ")
  writeDocument({ kind: "network", command: "npm run bench:network", machine, results }, `Measured with ${commands}.\n\n${plots}`)
}
