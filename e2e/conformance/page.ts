/** Answers vector files in a page, by the runners that answer them in Node. */
import { readVectorFiles, runVectorFile, type SectionResult } from "../../conformance/run.ts"
import { runners as claims } from "../../conformance/runners/claims.ts"
import { runners as memory } from "../../conformance/runners/memory.ts"
import { runners as topology } from "../../conformance/runners/topology.ts"
import type { CaseRunner } from "../../conformance/types.ts"

const tables: Record<string, Record<string, CaseRunner>> = {
  holonomic: { ...claims.holonomic, ...memory.holonomic, ...topology.holonomic },
  "holonomic-public": claims["holonomic-public"] ?? {},
}

async function answer(text: string): Promise<SectionResult[]> {
  const files = readVectorFiles(JSON.parse(text))
  if (files === undefined) throw new Error("no vector file")
  const results: SectionResult[] = []
  for (const file of files) results.push(...(await runVectorFile(file, tables[file.format] ?? {})))
  return results
}

declare global {
  var answerVectors: typeof answer
}
globalThis.answerVectors = answer
