/** Our own cases on claims, witnesses and topologies pass, in both shapes of file; a changed answer does not. */
import { readFileSync } from "node:fs"
import { expect, test } from "vitest"
import { readVectorFile, runVectorFile, type VectorFile } from "./run.ts"
import { runners as claims } from "./runners/claims.ts"
import { runners as topology } from "./runners/topology.ts"

const table = { ...claims.holonomic, ...topology.holonomic }
const publicTable = claims["holonomic-public"] ?? {}
const read = (name: string): unknown => JSON.parse(readFileSync(new URL(`./vectors/${name}.json`, import.meta.url), "utf8"))
const load = (): VectorFile => readVectorFile(read("holonomic"))!

test("every section has cases and agrees", async () => {
  const results = await runVectorFile(load(), table)
  expect(
    results.flatMap(({ name, failures }) => failures.map((failure) => `${name}[${failure.index}]: ${failure.reason}`)),
  ).toEqual([])
  expect(results.map(({ name }) => name).sort()).toEqual(Object.keys(table).sort())
  expect(results.filter(({ passed }) => passed === 0)).toEqual([])
})

test("files of a single case are known by what they say, and agree", async () => {
  const seen = new Set<string>()
  for (const file of read("public/holonomic") as unknown[]) {
    const [result] = await runVectorFile(readVectorFile(file)!, publicTable)
    expect(result).toMatchObject({ passed: 1, failures: [], skipped: 0 })
    seen.add(result!.name)
  }
  expect([...seen].sort()).toEqual(Object.keys(publicTable).sort())
})

/** Another answer of the same shape. */
function changed(answer: unknown): unknown {
  if (typeof answer === "string") return `${answer}0`
  if (typeof answer === "boolean") return !answer
  if (answer === null || typeof answer !== "object") return "another"
  if (Array.isArray(answer)) return [...answer, "another"]
  return Object.fromEntries(Object.entries(answer).map(([key, value]) => [key, changed(value)]))
}

test("a changed answer is found in every section", async () => {
  const { format, sections } = load()
  const turned = Object.entries(sections).map(([name, cases]) => {
    const list = cases as { in: unknown; out: unknown }[]
    return [name, list.map((one) => ({ in: one.in, out: changed(one.out) }))]
  })
  const results = await runVectorFile({ format, sections: Object.fromEntries(turned) }, table)
  expect(results.filter(({ passed }) => passed > 0)).toEqual([])
})

test("a changed byte is found in every file of a single case", async () => {
  for (const file of read("public/holonomic") as Record<string, unknown>[]) {
    const member = Object.keys(file).find((key) => /^expected_|_v1_hex$|claim_version/.test(key))!
    const broken = { ...file, [member]: member === "claim_version" ? 2 : "00" }
    const [result] = await runVectorFile(readVectorFile(broken)!, publicTable)
    expect(result?.failures).toHaveLength(1)
  }
})
