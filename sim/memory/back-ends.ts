/** The storages of the peers of a simulation: in memory, in files, or in an IndexedDB that keeps to the standard but lives in this process. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseFiles, DatabaseIndex, openDatabase } from "../../src/store/holo/browser.ts"
import { LayeredHoloStorage } from "../../src/store/holo/layered.ts"
import { MemoryHoloStorage } from "../../src/store/holo/memory.ts"
import { openNodeHoloStorage } from "../../src/store/holo/node.ts"
import type { HoloStorage } from "../../src/store/holo/storage.ts"
import type { Bytes } from "../../src/wire/types.ts"

export type BackEnd = "memory" | "node" | "browser"
export const BACK_ENDS: readonly BackEnd[] = ["memory", "node", "browser"]

const QUOTA = async (usageBytes: number) => ({ quotaBytes: 8 * 1_073_741_824, usageBytes })
let databases = 0

/** Storages that hold what an earlier run left, written, closed and opened again. */
export class Storages {
  readonly #kind: BackEnd
  readonly #open: HoloStorage[] = []
  readonly #folders: string[] = []
  readonly #databases: string[] = []

  constructor(kind: BackEnd) {
    this.#kind = kind
  }

  async with(contents: ReadonlyMap<string, Bytes>): Promise<HoloStorage> {
    if (this.#kind === "memory") return new MemoryHoloStorage({ contents })
    const open = this.#kind === "node" ? await this.#folder() : await this.#database()
    const written = await open()
    await written.batch([...contents].map(([key, value]) => ({ put: [key, value] as const })))
    await written.close()
    const storage = await open()
    this.#open.push(storage)
    return storage
  }

  async cleanUp(): Promise<void> {
    for (const storage of this.#open) await storage.close()
    for (const folder of this.#folders) await rm(folder, { recursive: true, force: true })
    for (const name of this.#databases) indexedDB.deleteDatabase(name)
  }

  async #folder(): Promise<() => Promise<HoloStorage>> {
    const folder = await mkdtemp(join(tmpdir(), "holomesh-comeback-"))
    this.#folders.push(folder)
    return () => openNodeHoloStorage(folder)
  }

  async #database(): Promise<() => Promise<HoloStorage>> {
    await import("fake-indexeddb/auto")
    const name = `holomesh-comeback-${databases++}`
    this.#databases.push(name)
    return async () => {
      const database = await openDatabase(name)
      return LayeredHoloStorage.open(new DatabaseIndex(database), new DatabaseFiles(database), QUOTA)
    }
  }
}
