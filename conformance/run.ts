/** Runs the sections of one vector file and reports what agreed. */
import { readPublicVector } from "./public-vector.ts"
import { type CaseRunner, Unanswerable } from "./types.ts"

export interface VectorFile {
  format: string
  sections: Record<string, unknown>
}

export interface SectionResult {
  name: string
  passed: number
  failures: { index: number; reason: string }[]
  /** Cases of a section that nothing here implements, or that leave out what an answer needs. */
  skipped: number
  /** Why the cases that were begun could not be answered. */
  why?: string
}

/**
 * The shapes of vector files: `{ format, sections }` with a named format, the same with a bare number (the holonomic files), the flat
 * one of the control plane, where every array beside `meta` is a section, and the public ones of a single case. Undefined for anything else.
 */
export function readVectorFile(value: unknown): VectorFile | undefined {
  if (typeof value !== "object" || value === null) return undefined
  const file = value as Record<string, unknown>
  if (typeof file.sections === "object" && file.sections !== null && ["string", "number"].includes(typeof file.format)) {
    const format = typeof file.format === "string" ? file.format : "holonomic"
    return { format, sections: file.sections as Record<string, unknown> }
  }
  if (typeof file.meta !== "object" || file.meta === null) return readPublicVector(file)
  const sections = Object.entries(file).filter(([, section]) => Array.isArray(section))
  return { format: "control-plane", sections: Object.fromEntries(sections) }
}

/** The same for a list of files in one. */
export function readVectorFiles(value: unknown): VectorFile[] | undefined {
  const files = (Array.isArray(value) ? value : [value]).map(readVectorFile)
  return files.every((file) => file !== undefined) && files.length > 0 ? files : undefined
}

/** Runs every section of `file` for which `table` has a runner; the others are reported as skipped. */
export async function runVectorFile(file: VectorFile, table: Record<string, CaseRunner>): Promise<SectionResult[]> {
  const results: SectionResult[] = []
  for (const [name, section] of Object.entries(file.sections)) {
    const cases = Array.isArray(section) ? section : [section]
    const runner = Object.hasOwn(table, name) ? table[name] : undefined
    if (runner === undefined) {
      results.push({ name, passed: 0, failures: [], skipped: cases.length })
      continue
    }
    const result: SectionResult = { name, passed: 0, failures: [], skipped: 0 }
    for (const [index, testCase] of cases.entries()) {
      try {
        await runner(testCase)
        result.passed++
      } catch (error) {
        if (error instanceof Unanswerable) {
          result.skipped++
          result.why = error.message
        } else result.failures.push({ index, reason: error instanceof Error ? `${error.name}: ${error.message}` : String(error) })
      }
    }
    results.push(result)
  }
  return results
}
