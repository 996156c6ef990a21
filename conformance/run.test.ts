import { readdirSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { vectorFiles } from "./files.ts"
import { loadRunners, TABLES } from "./load.ts"
import { readVectorFile, readVectorFiles, runVectorFile } from "./run.ts"

describe("vector files", () => {
  it("are read in all three shapes", () => {
    expect(readVectorFile({ format: "room-vectors/1", sections: { a: [] } })).toEqual({
      format: "room-vectors/1",
      sections: { a: [] },
    })
    expect(readVectorFile({ format: 1, seed: 7, sections: { a: [] } })).toEqual({ format: "holonomic", sections: { a: [] } })
    expect(readVectorFile({ meta: {}, a: [], b: "text" })).toEqual({ format: "control-plane", sections: { a: [] } })
  })

  it("are refused in any other", () => {
    for (const value of [
      null,
      1,
      "text",
      [],
      {},
      { format: 1 },
      { format: {}, sections: {} },
      { sections: {} },
      { meta: null },
    ]) {
      expect(readVectorFile(value)).toBeUndefined()
    }
  })

  it("may be lists of files, and folders of them", async () => {
    expect(readVectorFiles([{ format: "a", sections: {} }, { meta: {} }])).toHaveLength(2)
    expect(readVectorFiles({ format: "a", sections: {} })).toHaveLength(1)
    for (const value of [[], [null], [{ meta: {} }, {}]]) expect(readVectorFiles(value)).toBeUndefined()
    const ours = new URL("./vectors", import.meta.url).pathname
    expect(await vectorFiles([ours])).toContain(`${ours}/public/holonomic.json`)
    await expect(vectorFiles([new URL("./runners", import.meta.url).pathname])).rejects.toThrow("no vector files")
    await expect(vectorFiles(["./nowhere.json"])).rejects.toThrow()
  })

  it("report what failed and what nothing implements, apart", async () => {
    const file = { format: "room-vectors/1", sections: { known: [1, 2], unknown: [1, 2, 3] } }
    const known = (value: number) => {
      if (value === 2) throw new RangeError("two")
    }
    expect(await runVectorFile(file, { known })).toEqual([
      { name: "known", passed: 1, failures: [{ index: 1, reason: "RangeError: two" }], skipped: 0 },
      { name: "unknown", passed: 0, failures: [], skipped: 3 },
    ])
  })
})

describe("the runners", () => {
  it("are all in the list, each section once", async () => {
    const folder = new URL("./runners/", import.meta.url)
    const files = readdirSync(folder).filter((name) => name.endsWith(".ts"))
    const modules = await Promise.all(files.map((name) => import(new URL(name, folder).href) as Promise<{ runners?: unknown }>))
    expect(modules.flatMap(({ runners }) => runners ?? [])).toEqual(expect.arrayContaining([...TABLES]))
    expect(modules.filter(({ runners }) => runners !== undefined)).toHaveLength(TABLES.length)
    expect(Object.keys(loadRunners())).toContain("control-plane")
    const one = { room: { join: () => {} } }
    expect(() => loadRunners([one, { room: { leave: () => {} } }])).not.toThrow()
    expect(() => loadRunners([one, one])).toThrow("two runners for room join")
  })
})
