/** Answers vector files by the product's own functions and counts what agrees: what `npm run conformance` and the package's command do. */
import { readFile } from "node:fs/promises"
import { loadRunners } from "./load.ts"
import { readVectorFiles, runVectorFile, type SectionResult, type VectorFile } from "./run.ts"

/** A section of a file, and what came of it. */
export interface Answered extends SectionResult {
  file: string
  /** Nothing here implements it. */
  unknown: boolean
}

export interface Totals {
  passed: number
  failed: number
  skipped: number
  /** Sections that nothing implements. */
  withoutRunner: string[]
}

/** A file that cannot be read, or is none. */
export class VectorFileError extends Error {}

/**
 * Answers the files one after the other.
 * @param tell called for each section when it is answered
 * @throws VectorFileError before anything is answered
 */
export async function answerFiles(files: readonly string[], tell: (section: Answered) => void): Promise<Totals> {
  const runners = loadRunners()
  const totals: Totals = { passed: 0, failed: 0, skipped: 0, withoutRunner: [] }
  const contents: [file: string, content: VectorFile][] = []
  for (const file of files) for (const content of await read(file)) contents.push([file, content])
  for (const [file, content] of contents) {
    const table = runners[content.format.replace(/-vectors\/\d+$/, "")] ?? {}
    for (const section of await runVectorFile(content, table)) {
      const unknown = section.skipped > 0 && section.why === undefined
      totals.passed += section.passed
      totals.failed += section.failures.length
      totals.skipped += section.skipped
      if (unknown) totals.withoutRunner.push(section.name)
      tell({ ...section, file, unknown })
    }
  }
  return totals
}

async function read(file: string): Promise<VectorFile[]> {
  const text = await readFile(file, "utf8").catch((error: Error) => {
    throw new VectorFileError(`${file}: ${error.message}`)
  })
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new VectorFileError(`${file}: not JSON (${(error as Error).message})`)
  }
  const files = readVectorFiles(value)
  if (files === undefined) throw new VectorFileError(`${file}: no vector file (it needs the members "format" and "sections")`)
  return files
}

/** The failures to show of a section: a few, unless all are wanted. */
export function linesOf(section: Answered, verbose: boolean): { out: string[]; error: string[] } {
  const { name, passed, failures, skipped, why, unknown } = section
  if (unknown) return { out: [], error: [] }
  const shown = verbose ? failures : failures.slice(0, SHOWN)
  return {
    out: [
      ...(why === undefined ? [] : [`${name}: ${skipped} can not be answered: ${why}`]),
      `${name}: ${passed}/${passed + failures.length}`,
    ],
    error: shown.map(({ index, reason }) => `  ${name}[${index}]: ${reason}`),
  }
}

const SHOWN = 3

/** The last lines. */
export function summary({ passed, failed, skipped, withoutRunner }: Totals): string[] {
  const counts = `${passed} passed, ${failed} failed, ${skipped} skipped`
  return withoutRunner.length > 0 ? [`no runner: ${withoutRunner.join(", ")}`, counts] : [counts]
}

/** Nothing disagreed, and nothing was left without an answer for want of a runner. */
export function agreed({ failed, withoutRunner }: Totals): boolean {
  return failed === 0 && withoutRunner.length === 0
}
