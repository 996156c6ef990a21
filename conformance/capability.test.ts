/** The project's own cases on certificates, announcements, gates and tokens, made independently by `generators/control_plane.py`. */
import { readFile } from "node:fs/promises"
import { expect, test } from "vitest"
import { readVectorFile, runVectorFile } from "./run.ts"
import { runners as capability } from "./runners/control-plane-capability.ts"
import { runners as token } from "./runners/control-plane-token.ts"

test("own control-plane cases", async () => {
  const text = await readFile(new URL("./vectors/control-plane-capability.json", import.meta.url), "utf8")
  const file = readVectorFile(JSON.parse(text))
  if (file === undefined) throw new Error("vector file")
  const table = { ...capability["control-plane"], ...token["control-plane"] }
  const results = await runVectorFile(file, table)
  const failures = results.flatMap((r) => r.failures.map((f) => `${r.name}[${f.index}]: ${f.reason}`))
  expect(failures).toEqual([])
  expect(results.map((r) => r.name).sort()).toEqual(Object.keys(table).sort())
  expect(results.filter((r) => r.passed === 0 || r.skipped > 0)).toEqual([])
})
