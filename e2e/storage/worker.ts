/** The cases of every storage against what this browser has, in a worker, where the product opens it. */
import {
  DatabaseFiles,
  DatabaseIndex,
  OpfsFiles,
  openBrowserHoloStorage,
  openDatabase,
  privateFolder,
} from "../../src/store/holo/browser.ts"
import { crashCase } from "../../src/store/holo/crash-suite.ts"
import { bytes, expectSame, filled, storageCases } from "../../src/store/holo/storage-suite.ts"

export interface Outcome {
  name: string
  error?: string
}

let places = 0
const freshName = () => `test-${++places}-${Date.now()}`

async function outcome(name: string, run: () => Promise<unknown>): Promise<Outcome> {
  try {
    await run()
    return { name }
  } catch (error) {
    return { name, error: String(error instanceof Error ? (error.stack ?? error.message) : error) }
  }
}

async function crashPlace(files: "auto" | "never") {
  const name = freshName()
  return {
    async parts() {
      const database = await openDatabase(name)
      const folder = files === "auto" ? await privateFolder(name) : undefined
      if (files === "auto" && folder === undefined) throw new Error("no files here")
      return {
        index: new DatabaseIndex(database),
        files: folder === undefined ? new DatabaseFiles(database) : new OpfsFiles(folder),
      }
    },
    async tear(file: string, value: Uint8Array) {
      const { index, files: torn } = await this.parts()
      await torn.write(file, value.subarray(0, value.length >> 1))
      await index.close()
    },
  }
}

async function all(): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (const files of ["auto", "never"] as const) {
    for (const { name, run } of storageCases) {
      const mesh = freshName()
      outcomes.push(await outcome(`${files}: ${name}`, () => run({ open: () => openBrowserHoloStorage(mesh, { files }) })))
    }
    const crash = crashCase(() => crashPlace(files))
    outcomes.push(await outcome(`${files}: ${crash.name}`, async () => expectSame((await crash.run()) > 15, true, "deaths")))
  }
  outcomes.push(
    await outcome("a torn file counts as missing and can be written again", async () => {
      const mesh = freshName()
      const storage = await openBrowserHoloStorage(mesh)
      await storage.batch([{ put: ["a", filled(9_000, 1)] }, { put: ["b", bytes(1)] }])
      const folder = await privateFolder(`holomesh-memory-${mesh}`)
      const files = new OpfsFiles(folder!)
      const [name] = await files.names()
      await files.write(name!, filled(4_500, 1))
      expectSame(await storage.get("a"), undefined)
      await storage.batch([{ put: ["a", filled(9_000, 1)] }])
      expectSame(await storage.get("a"), filled(9_000, 1))
      await storage.close()
    }),
  )
  return outcomes
}

all().then((outcomes) => postMessage(outcomes))
