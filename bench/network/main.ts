/** `npm run bench:network`: holomesh and native RTP over the same impaired path in the same run. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { loadavg } from "node:os"
import { Command, InvalidArgumentError } from "commander"
import { type Stage, setStage } from "../../e2e/browsers.ts"
import { ImpairmentProxy } from "../../e2e/network/proxy.ts"
import { impair } from "../../e2e/network/rig.ts"
import { createRendezvousServer } from "../../server/rendezvous.ts"
import { describeMachine, printResult, toMarkdown, typedCommand } from "../report.ts"
import type { BenchRow } from "../subject.ts"
import { CALLS } from "./calls.ts"
import { type Figures, figuresOf, rowOf } from "./figures.ts"
import { type Run, runCall, type Side } from "./run.ts"
import { type Scenario, SUITES, scenariosOf } from "./scenario.ts"
import { buildSite } from "./site.ts"

const RESULTS = new URL("../results/", import.meta.url)

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
  .parse()
const parsed = program.opts<Omit<Options, "event"> & { event?: string[] }>()
const options: Options = { ...parsed, event: (parsed.event?.[0] ?? "none") as Scenario["event"] }

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
  const rows: BenchRow[] = []
  const details: { scenario: Scenario; call: string; load: number; figures: Figures; rates: ReturnType<typeof ratesOf> }[] = []
  for (const scenario of scenarios) {
    const figures = new Map<string, Figures[]>(calls.map(({ name }) => [name, []]))
    for (let repeat = 0; repeat < options.repeats; repeat++) {
      // In turns, so that noise of the machine meets both alike.
      for (const call of repeat % 2 === 0 ? calls : [...calls].reverse()) {
        console.error(`${scenario.name}: ${call.name}, ${repeat + 1} of ${options.repeats}`)
        const load = Number((loadavg()[0] ?? 0).toFixed(1))
        const run = await runCall(call, scenario, options.duration * 1_000, { proxy, sender, receiver }).catch(complain)
        if (run === undefined) continue
        const seen = figuresOf(run)
        figures.get(call.name)?.push(seen)
        details.push({ scenario, call: call.name, load, figures: seen, rates: ratesOf(run) })
      }
    }
    for (const [call, seen] of figures) if (seen.length > 0) rows.push(rowOf(seen, call, scenario.name))
  }
  report(machine, rows, details)
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

/** For plots: kbit/s and ms per slice of 100 ms, from the begin of the window. */
function ratesOf({ slices, windowAtProxy }: Run) {
  return slices.map(({ at, offeredBytes, passedBytes, queueMs }) => ({
    ms: Math.round(at - windowAtProxy),
    offered: Math.round((offeredBytes * 8) / 100),
    passed: Math.round((passedBytes * 8) / 100),
    queue: Math.round(queueMs),
  }))
}

function report(machine: ReturnType<typeof describeMachine>, rows: BenchRow[], runs: unknown): void {
  const note = `Two browser processes on one machine, every packet through the impairment proxy of e2e/network; 640×360 at 30 frames per second of detailed moving picture and a tone, one way. Windows of ${options.duration} s after 5 s, medians of ${options.repeats}, the calls in turns. Within: frames drawn in the window that came out of the receiver's decoder and jitter buffer so soon after they were drawn, of all that were drawn. Freezes: over 200 ms between two shown frames. Media: video out of the encoder; wire: everything the sender sent, audio and IP headers included; overhead: the difference. RTP is VP8 with WebRTC's defaults.`
  const result = { name: "network", title: "holomesh and native RTP on bad networks", note, rows }
  printResult(result)
  mkdirSync(RESULTS, { recursive: true })
  const [json, markdown] = [new URL("network.json", RESULTS), new URL("network.md", RESULTS)]
  const command = typedCommand("bench:network")
  writeFileSync(json, `${JSON.stringify({ kind: "network", command, machine, results: [result], runs })}\n`)
  writeFileSync(markdown, toMarkdown({ kind: "network", command, machine, results: [result] }))
  console.log(`\nwritten: ${json.pathname} and ${markdown.pathname}`)
}
