import { readdirSync, readFileSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { expect, test } from "vitest"

const here = dirname(fileURLToPath(import.meta.url))

/** Files that `file` pulls in at run time, type-only imports left out. */
function reach(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen
  seen.add(file)
  const text = readFileSync(file, "utf8")
  for (const [, clause, path] of text.matchAll(/^(?:import|export)\s([^"]*?)from\s"(\.[^"]+)"/gms)) {
    const named =
      clause!
        .match(/\{([^}]*)\}/)?.[1]
        ?.split(",")
        .filter((name) => name.trim() !== "") ?? []
    const typesOnly = clause!.startsWith("type ") || (named.length > 0 && named.every((name) => name.trim().startsWith("type ")))
    if (!typesOnly) reach(resolve(dirname(file), path!), seen)
  }
  return seen
}

test("the hop stage cannot reach the content key, so that a relay can use it as it is", () => {
  const sources = readdirSync(here).filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
  expect(sources.length).toBeGreaterThan(4)
  for (const name of sources) {
    const reached = [...reach(resolve(here, name))]
    expect(reached.filter((file) => file.includes("/seal/inner/") || file.includes("/group/"))).toEqual([])
  }
  // The check itself works: the publishing side does reach it.
  expect([...reach(resolve(here, "../published-stream.ts"))].some((file) => file.includes("/seal/inner/"))).toBe(true)
})
