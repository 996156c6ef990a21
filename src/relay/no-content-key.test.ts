import { readdirSync, readFileSync } from "node:fs"
import { dirname, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { expect, test } from "vitest"

const here = dirname(fileURLToPath(import.meta.url))

/** Every file that `file` imports, directly or not, at run time or for types only. */
function reach(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen
  seen.add(file)
  for (const [, path] of readFileSync(file, "utf8").matchAll(/^(?:import|export)\s[^"]*?from\s"(\.[^"]+)"/gms)) {
    reach(resolve(dirname(file), path!), seen)
  }
  return seen
}

test("a relay does not even know the types of content keys", () => {
  const sources = readdirSync(here).filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
  expect(sources.length).toBeGreaterThan(4)
  const reached = sources.flatMap((name) => [...reach(resolve(here, name))])
  expect(reached.some((file) => file.includes("/seal/outer/"))).toBe(true)
  expect(reached.filter((file) => /\/(seal\/inner|group|fountain|identity|pipeline|link)\//.test(file))).toEqual([])
})
