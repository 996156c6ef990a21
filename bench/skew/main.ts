/** `npm run bench:skew`: how far sound and picture of a long call drift apart while the sender's clocks are wrong. */
import { existsSync } from "node:fs"
import { setTimeout as pause } from "node:timers/promises"
import type { Page } from "@playwright/test"
import { Command, InvalidArgumentError } from "commander"
import { setStage } from "../../e2e/browsers.ts"
import { createRendezvousServer } from "../../server/rendezvous.ts"
import { describeMachine, printResult, typedCommand, writeDocument } from "../report.ts"
import type { BenchRow, Result } from "../subject.ts"
import { matchEvents, type Pair, quantile, skewOf } from "./match.ts"
import type { Sample, Seen } from "./page.ts"
import { buildSite } from "./site.ts"

/** The first seconds of a call belong to the jitter buffer. */
const WARM_UP_MS = 10_000
const SAMPLE_EVERY_MS = 2_000
const MINUTE_MS = 60_000

const number = (text: string): number => {
  const value = Number(text)
  if (text.trim() === "" || !Number.isFinite(value) || value < 0) throw new InvalidArgumentError("not a number")
  return value
}
const program = new Command("npm run bench:skew --")
  .option("--minutes <n>", "how long is measured, after 10 s of warm-up", number, 10)
  .option("--ppm <n>", "so much the sender's system clock is fast", number, 100)
  .option("--sound-ppm <n>", "so much the clock of the sender's sound card is slow", number, 100)
  .option("--docs", "put the report into docs/performance.md", false)
  .parse()
const { minutes, ppm, soundPpm, docs } = program.opts<{ minutes: number; ppm: number; soundPpm: number; docs: boolean }>()
if (
  !["holomesh.js", "workers/mesh.js", "server/rendezvous.js"].every((file) =>
    existsSync(new URL(`../../dist/${file}`, import.meta.url)),
  )
) {
  program.error("dist/ is missing or incomplete: run `npm run build` first")
}

const site = await buildSite({ systemPpm: ppm, soundPpm })
const stage = await setStage()
const server = await createRendezvousServer({ staticDir: site.folder, logLevel: "silent" })
try {
  const sender = await open("sender", 1, "/wrong/")
  const receiver = await open("receiver", 2, "/")
  const machine = describeMachine(sender.context().browser()?.version())
  const url = await sender.evaluate(() => globalThis.skewBench.newRoom())
  await sender.evaluate((room) => globalThis.skewBench.publish(room), url)
  await receiver.evaluate((room) => globalThis.skewBench.receive(room), url)
  await pause(WARM_UP_MS)
  const samples: Sample[] = []
  const beginMs = Date.now()
  const endMs = beginMs + minutes * MINUTE_MS
  while (Date.now() < endMs) {
    samples.push(await receiver.evaluate(() => globalThis.skewBench.sample()))
    await pause(Math.min(SAMPLE_EVERY_MS, Math.max(0, endMs - Date.now())))
  }
  samples.push(await receiver.evaluate(() => globalThis.skewBench.sample()))
  const [made, received] = [await seenBy(sender), await seenBy(receiver)]
  const pairs = matchEvents(made, received).filter(({ atMs }) => atMs >= beginMs && atMs < endMs)
  if (pairs.length === 0) throw new Error("no flash and beep arrived together")
  const results = [summary(pairs, samples, received), course(pairs, samples)]
  for (const result of results) printResult(result)
  if (docs) writeDocument({ kind: "skew", command: typedCommand("bench:skew"), machine, results })
} finally {
  await stage.close()
  await server.close()
  site.remove()
}

async function open(name: string, code: number, path: string): Promise<Page> {
  const { page, errors } = await stage.open(name, code, "/script-tag/")
  await page.goto(`http://localhost:${server.port}${path}`)
  await page.waitForFunction(() => "skewBench" in globalThis)
  // What the stage's own first page reported does not concern us.
  errors.length = 0
  page.on("pageerror", (error) => console.error(`${name} reported: ${error.message}`))
  await page.evaluate(() => globalThis.skewBench.prepare())
  return page
}

function seenBy(page: Page): Promise<Seen> {
  return page.evaluate(() => globalThis.skewBench.seen())
}

function summary(pairs: readonly Pair[], samples: readonly Sample[], received: Seen): Result {
  const skews = pairs.map(skewOf)
  const sizes = skews.map(Math.abs)
  const control = pairs.map(({ madeMs }) => madeMs)
  const concealed = (samples.at(-1)?.audio?.concealedMs ?? 0) - (samples[0]?.audio?.concealedMs ?? 0)
  const driftMs = (rate: number) => (rate / 1e6) * minutes * MINUTE_MS
  const figures: [string, string][] = [
    ["size of the skew, median", `${ms(quantile(sizes, 0.5))} ms`],
    ["size of the skew, 95th percentile", `${ms(quantile(sizes, 0.95))} ms`],
    ["size of the skew, largest", `${ms(Math.max(...sizes))} ms`],
    ["skew with its sign: 5th percentile, median, 95th", `${[0.05, 0.5, 0.95].map((q) => ms(quantile(skews, q))).join(", ")} ms`],
    [
      "sound made up or silent",
      `${ms(concealed)} ms of ${minutes} min (${((100 * concealed) / (minutes * MINUTE_MS)).toFixed(3)} %)`,
    ],
    ["error of the sender's system clock at the end", `${ms(driftMs(ppm))} ms`],
    ["error of the sender's sound card at the end", `${ms(-driftMs(soundPpm))} ms`],
    [
      "sound minus picture as captured: 5th percentile, median, 95th",
      `${[0.05, 0.5, 0.95].map((q) => ms(quantile(control, q))).join(", ")} ms`,
    ],
    [
      "from rendering to loudspeaker at the receiver: measured, as the browser says",
      `${ms(received.outputMs)}, ${ms(received.claimedOutputMs)} ms`,
    ],
    ["moments measured; flashes that the receiver's page looked at too late", `${pairs.length}; ${received.missed}`],
  ]
  return {
    name: "skew",
    title: "Sound and picture",
    note: `One call of ${minutes} min between two browser processes, after ${WARM_UP_MS / 1_000} s of warm-up. The sender's system clock is fast by ${ppm} ppm, its sound card slow by ${soundPpm} ppm. Once a second a flash and a beep leave the sender together. Skew: beep heard minus flash seen at the receiver, with its sound output and 20 ms for the media element, and a refresh of the screen after the picture was composed, less beep minus flash as a page can capture them from the sender's own tracks. Pictures may be 41 ms early on purpose, as the receiver reckons.`,
    rows: figures.map(([figure, value]): BenchRow => ({ figure, value })),
  }
}

/** The same over time: what is not followed shows as a trend. */
function course(pairs: readonly Pair[], samples: readonly Sample[]): Result {
  const parts = Math.max(3, Math.min(10, Math.round(minutes)))
  const beginMs = samples[0]?.atMs ?? 0
  const lengthMs = ((samples.at(-1)?.atMs ?? 0) - beginMs) / parts
  const rows = Array.from({ length: parts }, (_, part): BenchRow => {
    const within = ({ atMs }: { atMs: number }) => Math.min(parts - 1, Math.floor((atMs - beginMs) / lengthMs)) === part
    const [here, stats] = [pairs.filter(within), samples.filter(within)]
    const median = (values: readonly (number | undefined)[]) =>
      ms(
        quantile(
          values.filter((value) => value !== undefined),
          0.5,
        ),
      )
    return {
      from: `${((part * lengthMs) / 1_000).toFixed(0)} s`,
      skew_ms: median(here.map(skewOf)),
      "sound delay_ms": median(here.map(({ soundMs }) => soundMs)),
      "picture delay_ms": median(here.map(({ pictureMs }) => pictureMs)),
      "sound buffer target_ms": median(stats.map(({ audio }) => audio?.bufferMs)),
      "picture buffer target_ms": median(stats.map(({ video }) => video?.bufferMs)),
      "own figure_ms": median(stats.map(({ video }) => (video?.avOffsetMs === undefined ? undefined : -video.avOffsetMs))),
    }
  })
  return {
    name: "course",
    title: "Over time",
    note: "Medians. Delays are from capture to loudspeaker and screen, so a drift that is not followed would show in them. Own figure: what `room.stats()` says (`-avOffsetMs`).",
    rows,
  }
}

function ms(value: number): string {
  return value.toFixed(1)
}
