/** `npm run bench:browser`: the benchmarks of bench/subjects in a Chromium worker, and real calls between two browsers. */
import { existsSync } from "node:fs"
import type { Page } from "@playwright/test"
import { Command } from "commander"
import { setStage } from "../../e2e/browsers.ts"
import { createRendezvousServer } from "../../server/rendezvous.ts"
import { FULL, QUICK } from "../measure.ts"
import { describeMachine, printResult, type Report, toMarkdown, typedCommand, writeDocument, writeJson } from "../report.ts"
import { choose, type Result } from "../subject.ts"
import { subjects as everywhere } from "../subjects/index.ts"
import { measureFirstFrame } from "./first-frame.ts"
import { runInWorker } from "./in-worker.ts"
import { measureLatency } from "./latency.ts"
import { opfsLog } from "./opfs-log.ts"
import { measureRpc } from "./rpc.ts"
import { buildSite } from "./site.ts"

const subjects = [...everywhere, opfsLog]
const names = [...subjects.map(({ name }) => name), "first-frame", "latency", "rpc-tabs"]
const program = new Command("npm run bench:browser --")
  .option("--quick", "short measurements, to try the command out")
  .option("--only <names...>", `of ${names.join(", ")}`)
  .option("--markdown", "print the report as markdown instead of tables")
  .option("--docs", "put the report into docs/performance.md")
  .parse()
const { quick, only, markdown, docs } = program.opts<{ quick?: true; only?: string[]; markdown?: true; docs?: true }>()

const chosen = choose(
  names.map((name) => ({ name })),
  only,
).map(({ name }) => name)
const built = (file: string) => existsSync(new URL(`../../dist/${file}`, import.meta.url))
if (!["holomesh.js", "workers/mesh.js", "server/rendezvous.js", "site/index.html"].every(built)) {
  program.error("dist/ is missing or incomplete: run `npm run build` first")
}

const site = await buildSite()
const stage = await setStage()
const server = await createRendezvousServer({ staticDir: site.folder, logLevel: "silent" })
let opened = 0

/** A browser process of its own with the benchmark's page. */
async function openPage(): Promise<{ page: Page; close(): Promise<void> }> {
  opened++
  const { browser, page, errors } = await stage.open(`bench-${opened}`, opened % 200, "/script-tag/")
  await page.goto(`http://localhost:${server.port}/`)
  await page.waitForFunction(() => "bench" in globalThis)
  await page.evaluate(() => globalThis.bench.prepare())
  // What the stage's own first page reported does not concern us.
  errors.length = 0
  return {
    page,
    async close() {
      for (const error of errors) console.error(`a page reported: ${error}`)
      await browser.close()
    },
  }
}

const results: Result[] = []
const show = (result: Result) => {
  results.push(result)
  if (!markdown) printResult(result)
}
try {
  const machine = describeMachine(await chromiumVersion())
  const inWorker = subjects.map(({ name }) => name).filter((name) => chosen.includes(name))
  if (chosen.includes("first-frame")) show(await measureFirstFrame(openPage, quick ? 2 : 7))
  if (chosen.includes("latency")) show(await measureLatency(openPage, quick ? 2 : 4, quick ? 2_000 : 6_000))
  if (chosen.includes("rpc-tabs")) show(await measureRpc(openPage, quick ? 240 : 2_400))
  if (inWorker.length > 0) await runInWorker(stage, site.folder, quick ? QUICK : FULL, inWorker, show)
  const report: Report = { kind: "browser", command: typedCommand("bench:browser"), machine, results }
  if (markdown) console.log(toMarkdown(report))
  writeJson(report)
  if (docs) writeDocument(report)
} finally {
  await server.close()
  await stage.close()
  site.remove()
}

async function chromiumVersion(): Promise<string> {
  const { browser } = await stage.open("version", 1, "/script-tag/")
  const version = browser.version()
  await browser.close()
  return version
}
