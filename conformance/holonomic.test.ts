/** Our own cases on everything a room computes alike pass, in both shapes of file; a changed answer does not. The public ones, too. */
import { existsSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { describe, expect, test } from "vitest"
import { vectorFiles } from "./files.ts"
import { readVectorFiles, runVectorFile, type SectionResult, type VectorFile } from "./run.ts"
import { runners as claims } from "./runners/claims.ts"
import { runners as memory } from "./runners/memory.ts"
import { runners as topology } from "./runners/topology.ts"
import type { CaseRunner } from "./types.ts"

const publicTable = claims["holonomic-public"] ?? {}
const at = (name: string) => new URL(name, import.meta.url).pathname
const read = async (path: string): Promise<VectorFile[]> => readVectorFiles(JSON.parse(await readFile(path, "utf8")))!

const failuresOf = (results: readonly SectionResult[]) =>
  results.flatMap(({ name, failures }) => failures.map((failure) => `${name}[${failure.index}]: ${failure.reason}`))

/** Another answer of the same shape. */
function changed(answer: unknown): unknown {
  if (typeof answer === "string") return /^[0-9.]+$/.test(answer) ? "2.5" : `${answer}0`
  if (typeof answer === "number") return answer + 1
  if (typeof answer === "boolean") return !answer
  if (answer === null || typeof answer !== "object") return "another"
  if (Array.isArray(answer)) return [...answer, "another"]
  return Object.fromEntries(Object.entries(answer).map(([key, value]) => [key, changed(value)]))
}

const tables: [name: string, table: Record<string, CaseRunner>][] = [
  ["holonomic", { ...claims.holonomic, ...topology.holonomic }],
  ["holonomic-memory", memory.holonomic!],
]

describe.each(tables)("%s.json", (name, table) => {
  test("every section has cases and agrees", async () => {
    const [file] = await read(at(`./vectors/${name}.json`))
    const results = await runVectorFile(file!, table)
    expect(failuresOf(results)).toEqual([])
    expect(results.map((result) => result.name).sort()).toEqual(Object.keys(table).sort())
    expect(results.filter(({ passed }) => passed === 0)).toEqual([])
  })

  test("a changed answer is found in every section", async () => {
    const [{ format, sections }] = (await read(at(`./vectors/${name}.json`))) as [VectorFile]
    const turned = Object.entries(sections).map(([section, cases]) => {
      const list = cases as { in: unknown; out: unknown }[]
      return [section, list.map((one) => ({ in: one.in, out: changed(one.out) }))]
    })
    const results = await runVectorFile({ format, sections: Object.fromEntries(turned) }, table)
    expect(results.filter(({ passed }) => passed > 0)).toEqual([])
  })
})

describe("files of a single case", () => {
  test("are known by what they say, and agree", async () => {
    const seen = new Set<string>()
    for (const file of await read(at("./vectors/public/holonomic.json"))) {
      const [result] = await runVectorFile(file, publicTable)
      expect(result).toMatchObject({ passed: 1, failures: [], skipped: 0 })
      seen.add(result!.name)
    }
    expect([...seen].sort()).toEqual(Object.keys(publicTable).sort())
  })

  test("are refused with a changed byte", async () => {
    for (const { format, sections } of await read(at("./vectors/public/holonomic.json"))) {
      const [[section, [file]]] = Object.entries(sections) as [[string, [Record<string, unknown>]]]
      const member = Object.keys(file).find((key) => /^expected_|_v1_hex$|claim_version/.test(key))!
      const broken = { ...file, [member]: member === "claim_version" ? 2 : "00" }
      const [result] = await runVectorFile({ format, sections: { [section]: [broken] } }, publicTable)
      expect(result?.failures).toHaveLength(1)
    }
  })

  // Of the reference, beside the repository. Theirs, so not in it.
  const folders = ["19", "19_7"].map((folder) => at(`../../shared/vectors/${folder}`))
  test.skipIf(!folders.every((folder) => existsSync(folder)))("that the reference publishes agree, all of them", async () => {
    const seen = new Set<string>()
    for (const path of await vectorFiles(folders)) {
      for (const file of await read(path)) {
        const results = await runVectorFile(file, publicTable)
        expect(failuresOf(results)).toEqual([])
        for (const { name, passed, skipped } of results) {
          expect({ path, passed, skipped }).toEqual({ path, passed: 1, skipped: 0 })
          seen.add(name)
        }
      }
    }
    expect([...seen].sort()).toEqual(Object.keys(publicTable).sort())
  })
})
