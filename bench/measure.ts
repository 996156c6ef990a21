/** How times are taken: medians of many samples, comparisons in turns within one run. Runs in Node and in a browser worker. */
import { Bench } from "tinybench"

/** How long to measure. `--quick` is for trying the command out, not for figures. */
export interface Effort {
  /** Least time per measured line, milliseconds. */
  timeMs: number
  /** Turns of a comparison, and samples of what takes long. */
  rounds: number
}

export const FULL: Effort = { timeMs: 600, rounds: 9 }
export const QUICK: Effort = { timeMs: 60, rounds: 3 }

interface Timed {
  /** Does `operations` operations. */
  run(): Promise<unknown>
  operations: number
  /** Makes fresh input before each run; its time does not count. */
  prepare?(): Promise<void>
}

/** Median microseconds per operation. Many operations per sample keep a browser's coarse clock out of the result. */
export async function microseconds(effort: Effort, timed: Timed): Promise<number> {
  const bench = new Bench({
    time: effort.timeMs,
    warmupTime: effort.timeMs / 4,
    iterations: 5,
    warmupIterations: 2,
    throws: true,
  })
  bench.add("timed", () => timed.run(), { async: true, ...(timed.prepare && { beforeEach: () => timed.prepare?.() }) })
  const [task] = await bench.run()
  if (task?.result.state !== "completed") throw new Error(`the measurement ended as ${task?.result.state}`)
  return (task.result.latency.p50 * 1_000) / timed.operations
}

/** Median milliseconds of each step. The steps take turns, so that noise of the machine meets all of them alike. */
export async function takeTurns<Name extends string>(
  rounds: number,
  steps: Record<Name, () => Promise<unknown>>,
): Promise<Record<Name, number>> {
  const names = Object.keys(steps) as Name[]
  const samples = Object.fromEntries(names.map((name) => [name, []])) as unknown as Record<Name, number[]>
  for (const name of names) await steps[name]()
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 === 0 ? names : [...names].reverse()) {
      const start = performance.now()
      await steps[name]()
      samples[name].push(performance.now() - start)
    }
  }
  return Object.fromEntries(names.map((name) => [name, quantile(samples[name], 0.5)])) as Record<Name, number>
}

/** The value below which the share `q` of the samples lies; NaN without samples. */
export function quantile(samples: readonly number[], q: number): number {
  const sorted = [...samples].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

/** Three significant digits, as much as such measurements carry; whole numbers above 1000. */
export function round(value: number): number {
  return value >= 1_000 ? Math.round(value) : Number(value.toPrecision(3))
}
