/** The project's own cases for capacity, planner and heal, made by a second implementation (`generators/alm.py`). */
import { readFileSync } from "node:fs"
import { expect, test } from "vitest"
import { runVectorFile, type VectorFile } from "./run.ts"
import { runners } from "./runners/alm.ts"

const table = runners["av-mesh"] ?? {}
const load = (): VectorFile => JSON.parse(readFileSync(new URL("./vectors/alm.json", import.meta.url), "utf8"))

test("both implementations agree", async () => {
  const results = await runVectorFile(load(), table)
  expect(results.flatMap(({ name, failures }) => failures.map(({ index, reason }) => `${name}[${index}]: ${reason}`))).toEqual([])
  expect(results.map(({ name }) => name).sort()).toEqual(Object.keys(table).sort())
  for (const { passed } of results) expect(passed).toBeGreaterThan(1)
})

test("wrong answers are found", async () => {
  const file = load() as unknown as {
    sections: {
      capacity_canonical: { length: number }[]
      is_stale: { project: boolean }[]
      has_room: { room: boolean }[]
      planner_project: { result: unknown }[]
      heal_project: { steps: { result: unknown }[] }[]
    }
  }
  const { sections } = file
  sections.capacity_canonical[0]!.length++
  sections.is_stale[0]!.project = !sections.is_stale[0]!.project
  sections.has_room[0]!.room = !sections.has_room[0]!.room
  sections.planner_project[0]!.result = { primary: "nobody", backups: [] }
  sections.heal_project[0]!.steps[5]!.result = "?"
  const results = await runVectorFile(file as unknown as VectorFile, table)
  const found = results.filter(({ failures }) => failures.length === 1).map(({ name }) => name)
  expect(found).toEqual(["capacity_canonical", "is_stale", "has_room", "planner_project", "heal_project"])
})
