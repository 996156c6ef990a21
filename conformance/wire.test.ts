/** The project's own cases for its byte and JSON formats, made independently by `generate/wire.ts`. */
import { readFile } from "node:fs/promises"
import { expect, test } from "vitest"
import { runVectorFile, type VectorFile } from "./run.ts"
import { runners as avMesh } from "./runners/wire-av-mesh.ts"
import { runners as controlPlane } from "./runners/wire-control-plane.ts"
import { runners as lanes } from "./runners/wire-lanes.ts"
import { runners as room } from "./runners/wire-room.ts"

const tables = Object.entries({ ...avMesh, ...controlPlane, ...lanes, ...room })

test.each(tables)("%s", async (format, table) => {
  const text = await readFile(new URL(`./vectors/wire-${format}.json`, import.meta.url), "utf8")
  const results = await runVectorFile(JSON.parse(text) as VectorFile, table)
  expect(
    results.flatMap((result) => result.failures.map((failure) => `${result.name}[${failure.index}]: ${failure.reason}`)),
  ).toEqual([])
  expect(results.filter((result) => result.passed === 0)).toEqual([])
  expect(results.map((result) => result.name).sort()).toEqual(Object.keys(table).sort())
})

test("a wrong answer is noticed", async () => {
  const sections = { rtt_class: [{ rtt_ms: 2, class: 4 }], link_frame_errors: [{ input: "", result: "ok" }] }
  const table = { ...room.room, ...avMesh["av-mesh"] }
  const results = await runVectorFile({ format: "x", sections }, table)
  expect(results.map((result) => result.failures.length)).toEqual([1, 1])
})
