/**
 * The relay worker is built as it ships, and what went into it is looked at: neither the inner seal nor the group is there. A lint
 * rule says the same about imports (`biome.json`); this says it about the result, dependencies of dependencies included.
 */
import { fileURLToPath } from "node:url"
import { build, type Rollup } from "vite"
import { describe, expect, test } from "vitest"

const root = fileURLToPath(new URL("..", import.meta.url))

/** What can open or make content, and labels that only such code knows. */
const CONTENT_MODULES = [
  /\/src\/seal\/inner\//,
  /\/src\/group\//,
  /\/src\/fountain\//,
  /\/src\/pipeline\/keys\//,
  /ts-mls/,
  /raptorq/,
]
const CONTENT_LABELS = ["CIRIS-AV-INNER-V1", "AVMESH-IN-AAD-V1", "AVMESH-STRMDEK-1", "ciris-realtime-av-epoch-dek-seed-v1"]
const HOP_LABEL = "CIRIS-AV-OUTER-V1"

async function bundle(worker: string): Promise<{ code: string; modules: string[] }> {
  const result = await build({
    configFile: false,
    root,
    logLevel: "error",
    build: {
      write: false,
      minify: false,
      target: "es2022",
      assetsInlineLimit: 10_000_000,
      lib: { entry: `${root}/workers/${worker}.ts`, formats: ["es"] },
      rollupOptions: { output: { codeSplitting: false } },
    },
  })
  const outputs = (Array.isArray(result) ? result : [result]) as Rollup.RollupOutput[]
  const chunks = outputs.flatMap(({ output }) => output.filter((file) => file.type === "chunk"))
  expect(chunks).toHaveLength(1)
  const modules = Object.entries(chunks[0]!.modules).flatMap(([id, { renderedLength }]) => (renderedLength > 0 ? [id] : []))
  return { code: chunks[0]!.code, modules }
}

describe("the built relay worker", () => {
  test("contains nothing that can open or make content", async () => {
    const { code, modules } = await bundle("relay")
    expect(modules.some((id) => id.includes("/src/pipeline/relay/core.ts"))).toBe(true)
    expect(modules.filter((id) => CONTENT_MODULES.some((pattern) => pattern.test(id)))).toEqual([])
    expect(CONTENT_LABELS.filter((label) => code.includes(label))).toEqual([])
    expect(code).toContain(HOP_LABEL)
  })

  test("and the check finds such things where they are", async () => {
    const { code, modules } = await bundle("mesh")
    expect(modules.some((id) => /\/src\/seal\/inner\//.test(id))).toBe(true)
    expect(CONTENT_LABELS.filter((label) => code.includes(label)).length).toBeGreaterThan(1)
  })
})
