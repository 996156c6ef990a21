/** Keeps the runs of the network benchmark: a new run of a path replaces the old ones of that path, others stay. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import type { Machine } from "../report.ts"
import type { BenchRow } from "../subject.ts"
import { type Figures, rowOf } from "./figures.ts"
import type { Scenario } from "./scenario.ts"

const FOLDER = new URL("../results/", import.meta.url)
const FILE = new URL("network.json", FOLDER)

/** One call over one path. */
export interface RunRecord {
  name: string
  /** As measured; without a bottleneck the capacity is null. */
  scenario: Omit<Scenario, "capacity"> & { capacity: number | null }
  call: string
  command: string
  date: string
  seconds: number
  /** Load average when the run began. */
  load: number
  figures: Figures
  /** ms from the begin of the window, kbit/s through the bottleneck, ms in its queue; only with a bottleneck. */
  rates: [ms: number, kbps: number, queueMs: number][]
}

export interface Kept {
  machine: Machine
  runs: RunRecord[]
}

/** Everything measured so far; undefined before the first run. */
export function keptRuns(): Kept | undefined {
  return existsSync(FILE) ? (JSON.parse(readFileSync(FILE, "utf8")) as Kept) : undefined
}

/** Adds `runs` to what is kept and returns everything. */
export function keepRuns(machine: Machine, runs: readonly RunRecord[]): Kept {
  const measured = new Set(runs.map(({ name, call }) => `${name}/${call}`))
  const before = keptRuns()?.runs ?? []
  const kept = { machine, runs: [...before.filter(({ name, call }) => !measured.has(`${name}/${call}`)), ...runs] }
  mkdirSync(FOLDER, { recursive: true })
  writeFileSync(FILE, `${JSON.stringify(kept)}\n`)
  return kept
}

const LOSSY = [
  "decodable_150_percent",
  "within_150_percent",
  "delay_p50_ms",
  "delay_p99_ms",
  "shown_fps",
  "freezes",
  "longest_gap_ms",
  "concealed_percent",
  "media_kbps",
  "wire_kbps",
  "overhead_percent",
  "psnr_db",
]
const NARROW = [
  "wire_kbps",
  "ramp_up_ms",
  "queue_p50_ms",
  "queue_p95_ms",
  "target_down_ms",
  "down_ms",
  "queue_p95_while_halved_ms",
  "target_back_ms",
  "back_ms",
  "own_beside_bulk_kbps",
  "bulk_kbps",
  "shown_fps",
  "freezes",
  "delay_p50_ms",
  "psnr_db",
]

interface Table {
  rows: BenchRow[]
  /** Runs per path and call, seconds per run: as different as they are. */
  runs: string
}

/** Medians by path and call, with the columns that matter for lossy paths or for bottlenecks. */
export function tableOf(runs: readonly RunRecord[], what: "lossy" | "narrow"): Table {
  const chosen = runs
    .filter(({ scenario }) => (scenario.capacity === null) === (what === "lossy"))
    .sort((a, b) => order(a) - order(b) || a.name.localeCompare(b.name) || a.call.localeCompare(b.call))
  const groups = new Map<string, RunRecord[]>()
  for (const run of chosen) {
    const key = `${run.name}\n${run.call}`
    groups.set(key, [...(groups.get(key) ?? []), run])
  }
  const rows = [...groups.values()].map((group) => {
    const { name, call } = group[0] as RunRecord
    const row = rowOf(
      group.map(({ figures }) => figures),
      call,
      name,
    )
    const columns = what === "lossy" ? LOSSY : NARROW
    return Object.fromEntries(
      ["path", "call", ...columns].flatMap((column) => (column in row ? [[column, row[column] ?? ""]] : [])),
    )
  })
  const lengths = [...groups.values()].map((group) => `${group.length} × ${group[0]?.seconds ?? 0} s`)
  return { rows, runs: [...new Set(lengths)].join(", ") }
}

function order({ scenario }: RunRecord): number {
  const { capacity, rttMs, burst, loss, event } = scenario
  return (capacity ?? 0) + (event === "none" ? 0 : 1e12) + (rttMs === 50 ? 0 : rttMs * 1e3) + burst * 100 + loss
}
