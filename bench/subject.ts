/** What a benchmark is: a name, and rows of figures. */
import type { Effort } from "./measure.ts"

/** A line of a table, by column name. The unit is the end of the name: `seal_us`, `size_bytes`. */
export interface BenchRow {
  [column: string]: string | number
}

export interface Subject {
  /** For `--only`. */
  name: string
  title: string
  /** What exactly was measured, in a sentence or two. */
  note: string
  run(effort: Effort): Promise<BenchRow[]>
}

export interface Result extends Omit<Subject, "run"> {
  rows: BenchRow[]
}

/** Runs the chosen subjects one after the other. */
export async function runSubjects(
  subjects: readonly Subject[],
  effort: Effort,
  done: (result: Result) => void,
): Promise<Result[]> {
  const results: Result[] = []
  for (const { run, name, title, note } of subjects) {
    const result = { name, title, note, rows: await run(effort) }
    results.push(result)
    done(result)
  }
  return results
}

/** The subjects named in `only`, or all. Throws for a name that does not exist. */
export function choose<T extends { name: string }>(subjects: readonly T[], only: readonly string[] | undefined): T[] {
  if (only === undefined) return [...subjects]
  const unknown = only.filter((name) => !subjects.some((subject) => subject.name === name))
  if (unknown.length > 0)
    throw new Error(`no benchmark ${unknown.join(", ")}; there are ${subjects.map((s) => s.name).join(", ")}`)
  return subjects.filter((subject) => only.includes(subject.name))
}
