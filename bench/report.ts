/** Prints results as tables or markdown, writes them as JSON, and puts them into docs/performance.md. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { cpus, loadavg, totalmem } from "node:os"
import type { BenchRow, Result } from "./subject.ts"

const RESULTS = new URL("results/", import.meta.url)
const DOCUMENT = new URL("../docs/performance.md", import.meta.url)

/** Everything one needs to judge a figure later. */
export interface Machine {
  date: string
  cpu: string
  cores: number
  memoryGb: number
  /** Load average over one minute when the run began: above 0.3 per core the figures are noisy. */
  load: number
  node: string
  chromium?: string
}

export interface Report {
  /** Names the file and the block of the document. */
  kind: "node" | "browser" | "network" | "skew"
  command: string
  machine: Machine
  results: Result[]
}

export function describeMachine(chromium?: string): Machine {
  return {
    date: new Date().toISOString().slice(0, 16).replace("T", " "),
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    load: Number((loadavg()[0] ?? 0).toFixed(1)),
    node: process.version,
    ...(chromium !== undefined && { chromium }),
  }
}

/** The command line as one would type it, without the options that only choose the form of the output. */
export function typedCommand(script: string): string {
  const options = process.argv.slice(2).filter((option) => option !== "--markdown" && option !== "--docs")
  return [`npm run ${script}`, ...(options.length > 0 ? ["--", ...options] : [])].join(" ")
}

export function printResult({ title, note, rows }: Result): void {
  console.log(`\n${title}\n  ${note}\n`)
  const [header, ...lines] = cellsOf(rows)
  if (header === undefined) return
  const widths = header.map((cell, column) =>
    Math.max(...[header, ...lines].map((line) => line[column]?.length ?? 0), cell.length),
  )
  for (const line of [header, ...lines]) {
    console.log(
      `  ${line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join("  ")}`,
    )
  }
}

/** The whole report as markdown, without a heading of its own. */
export function toMarkdown({ command, machine, results }: Report): string {
  const { date, cpu, cores, memoryGb, load, node, chromium } = machine
  const browser = chromium === undefined ? "" : `, Chromium ${chromium}`
  const parts = [
    `\`${command}\`, ${date} UTC: ${cpu}, ${cores} cores, ${memoryGb} GB, Node ${node}${browser}; load average at the start ${load}.`,
  ]
  for (const { title, note, rows } of results) {
    const [header = [], ...lines] = cellsOf(rows)
    const rule = header.map((_, column) => (column === 0 ? "---" : "--:"))
    const table = [header, rule, ...lines].map((cells) => `| ${cells.join(" | ")} |`)
    parts.push(`**${title}.** ${note}`, table.join("\n"))
  }
  return `${parts.join("\n\n")}\n`
}

/** Writes `bench/results/<kind>.json`. */
export function writeJson(report: Report): void {
  mkdirSync(RESULTS, { recursive: true })
  const file = new URL(`${report.kind}.json`, RESULTS)
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`)
  console.log(`\nwritten: ${file.pathname}`)
}

/** Replaces the block of this kind in docs/performance.md. @param after markdown behind the tables */
export function writeDocument(report: Report, after = ""): void {
  const begin = `<!-- bench:${report.kind} -->\n`
  const end = `<!-- /bench:${report.kind} -->`
  const text = readFileSync(DOCUMENT, "utf8")
  const from = text.indexOf(begin)
  const to = text.indexOf(end)
  if (from < 0 || to < from) throw new Error(`docs/performance.md has no block ${begin.trim()} … ${end}`)
  writeFileSync(
    DOCUMENT,
    `${text.slice(0, from + begin.length)}\n${toMarkdown(report)}\n${after === "" ? "" : `${after}\n\n`}${text.slice(to)}`,
  )
  console.log("docs/performance.md is up to date")
}

/** Every column that some row has, in order of first appearance, as text. */
function cellsOf(rows: readonly BenchRow[]): string[][] {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  return [columns.map(heading), ...rows.map((row) => columns.map((column) => String(row[column] ?? "")))]
}

const UNITS: Record<string, string> = { us: "µs", ms: "ms", bytes: "bytes", mbs: "MB/s", kbps: "kbit/s", percent: "%" }

/** `seal_us` becomes `seal, µs`. */
function heading(column: string): string {
  const words = column.split("_")
  const unit = words.length > 1 ? UNITS[words.at(-1) ?? ""] : undefined
  return unit === undefined ? words.join(" ") : `${words.slice(0, -1).join(" ")}, ${unit}`
}
