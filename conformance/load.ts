/** Collects the runner tables of `conformance/runners/`. */
import { readdir } from "node:fs/promises"
import type { RunnerTable } from "./types.ts"

/** All runners by format and section. Two runners for one section are a mistake and refused. */
export async function loadRunners(): Promise<RunnerTable> {
  const folder = new URL("./runners/", import.meta.url)
  const merged: RunnerTable = {}
  for (const name of (await readdir(folder)).filter((file) => file.endsWith(".ts")).sort()) {
    const module = (await import(new URL(name, folder).href)) as { runners?: RunnerTable }
    for (const [format, sections] of Object.entries(module.runners ?? {})) {
      const table = merged[format] ?? {}
      merged[format] = table
      for (const [section, runner] of Object.entries(sections)) {
        if (Object.hasOwn(table, section)) throw new Error(`two runners for ${format} ${section} (second in ${name})`)
        table[section] = runner
      }
    }
  }
  return merged
}
