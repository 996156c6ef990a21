/** Storage of a room's memory in a directory of a Node program: a file per large value, a log for everything else. Not for browsers. */
import { mkdir, open, readdir, readFile, rename, rm, statfs } from "node:fs/promises"
import { join, resolve } from "node:path"
import { utf8Encode } from "../../wire/bytes.ts"
import type { Bytes } from "../../wire/types.ts"
import type { AppendLog } from "../log/append-log.ts"
import { openNodeLog } from "../log/node.ts"
import { asStorageError, type HoloFiles, LayeredHoloStorage } from "./layered.ts"
import { type LogGenerations, LogIndex } from "./log-index.ts"

const CURRENT = "current"
/** What was not renamed yet when the process ended. */
const TEMPORARY = ".tmp"

/**
 * Opens or makes the storage in `directory`. One process at a time.
 * @throws AvError `StorageUnavailable`, `StorageCorrupt`, `QuotaExceeded`
 */
export async function openNodeHoloStorage(directory: string): Promise<LayeredHoloStorage> {
  const root = resolve(directory)
  try {
    const folder = join(root, "values")
    await mkdir(folder, { recursive: true })
    const index = await LogIndex.open(await NodeGenerations.open(root))
    return await LayeredHoloStorage.open(index, new NodeFiles(folder), async (own) => {
      const { bavail, bsize } = await statfs(root)
      return { quotaBytes: own + bavail * bsize, usageBytes: own }
    })
  } catch (cause) {
    throw asStorageError(cause)
  }
}

export class NodeFiles implements HoloFiles {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  async read(name: string): Promise<Bytes | undefined> {
    try {
      const bytes = await readFile(join(this.#folder, name))
      return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  write(name: string, bytes: Bytes): Promise<void> {
    return writeSafely(this.#folder, name, bytes)
  }

  remove(name: string): Promise<void> {
    return rm(join(this.#folder, name), { force: true })
  }

  names(): Promise<string[]> {
    return readdir(this.#folder)
  }

  async close(): Promise<void> {}
}

/** Logs in folders of their own; a small file says which one is in use. */
export class NodeGenerations implements LogGenerations {
  readonly #root: string
  #number: number
  #log: AppendLog | undefined
  #made: AppendLog | undefined

  private constructor(root: string, number: number) {
    this.#root = root
    this.#number = number
  }

  static async open(root: string): Promise<NodeGenerations> {
    let number = 0
    try {
      number = Number.parseInt(await readFile(join(root, CURRENT), "utf8"), 16)
    } catch (error) {
      if (!isMissing(error)) throw error
    }
    return new NodeGenerations(root, number)
  }

  async current(): Promise<AppendLog> {
    this.#log = await openNodeLog(this.#root, logName(this.#number))
    return this.#log
  }

  async next(): Promise<AppendLog> {
    // What an earlier attempt left.
    await rm(join(this.#root, logName(this.#number + 1)), { recursive: true, force: true })
    this.#made = await openNodeLog(this.#root, logName(this.#number + 1))
    return this.#made
  }

  async switch(): Promise<void> {
    const before = this.#log
    await syncFolder(join(this.#root, logName(this.#number + 1)))
    await writeSafely(this.#root, CURRENT, utf8Encode(logName(this.#number + 1)))
    this.#log = this.#made
    this.#made = undefined
    await before?.close()
    await rm(join(this.#root, logName(this.#number)), { recursive: true, force: true })
    this.#number += 1
  }

  async close(): Promise<void> {
    await this.#made?.close()
    await this.#log?.close()
  }
}

/** Under a temporary name first: under its own name a file is whole or not there. */
async function writeSafely(folder: string, name: string, bytes: Bytes): Promise<void> {
  const temporary = join(folder, `${name}${TEMPORARY}`)
  const file = await open(temporary, "w")
  try {
    await file.writeFile(bytes)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, join(folder, name))
  await syncFolder(folder)
}

/** A name is safe only when its folder is. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r")
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function logName(number: number): string {
  return number.toString(16).padStart(16, "0")
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT"
}
