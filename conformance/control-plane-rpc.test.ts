/** The project's own cases for calls, NAT, candidates and paths, made independently by `generate/control-plane-rpc.ts`. */
import { readFile } from "node:fs/promises"
import { expect, test } from "vitest"
import { readVectorFile, runVectorFile } from "./run.ts"
import { runners } from "./runners/control-plane-rpc.ts"

test("calls, NAT, candidates and paths", async () => {
  const text = await readFile(new URL("./vectors/control-plane-rpc.json", import.meta.url), "utf8")
  const file = readVectorFile(JSON.parse(text))
  if (file === undefined) throw new Error("no vector file")
  const table = runners["control-plane"] ?? {}
  const results = await runVectorFile(file, table)
  expect(results.flatMap(({ name, failures }) => failures.map(({ index, reason }) => `${name}[${index}]: ${reason}`))).toEqual([])
  expect(results.map(({ name }) => name).sort()).toEqual(Object.keys(table).sort())
  expect(results.filter(({ passed }) => passed === 0)).toEqual([])
})
