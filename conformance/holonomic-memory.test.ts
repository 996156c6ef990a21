/** Our own cases on what is kept, who is let in and what is folded pass; a changed answer does not. */
import { readFileSync } from "node:fs"
import { expect, test } from "vitest"
import { readVectorFile, runVectorFile, type VectorFile } from "./run.ts"
import { runners } from "./runners/memory.ts"

const table = runners.holonomic!
const load = (): VectorFile =>
  readVectorFile(JSON.parse(readFileSync(new URL("./vectors/holonomic-memory.json", import.meta.url), "utf8")))!

test("every section has cases and agrees", async () => {
  const results = await runVectorFile(load(), table)
  const failures = results.flatMap(({ name, failures }) => failures.map(({ index, reason }) => `${name}[${index}]: ${reason}`))
  expect(failures).toEqual([])
  expect(results.map(({ name }) => name).sort()).toEqual(Object.keys(table).sort())
  expect(results.filter(({ passed }) => passed === 0)).toEqual([])
})

/** Another answer of the same shape. */
function changed(answer: unknown): unknown {
  if (typeof answer === "string") return /^[0-9.]+$/.test(answer) ? "2.5" : `${answer}0`
  if (typeof answer === "number") return answer + 1
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
