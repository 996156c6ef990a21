/** Storage of a room's memory in a browser: IndexedDB, and files of the origin's private file system for large values. */
import { type IDBPDatabase, openDB } from "idb"
import { utf8Decode, utf8Encode } from "../../wire/bytes.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"
import { asStorageError, type Estimate, type HoloFiles, type HoloIndex, LayeredHoloStorage } from "./layered.ts"
import type { StorageOp } from "./storage.ts"

const STORE = "values"
const FILES = "files"
/** Where browsers say nothing about room, bytes. */
const UNKNOWN_QUOTA = 256 * 1_048_576

interface BrowserHoloOptions {
  /** `never`: everything in IndexedDB. Default: files where there are any. */
  files?: "auto" | "never"
}

/**
 * Opens or makes the storage of a mesh. One user at a time: callers hold a lock of that name.
 * @param mesh as in `holo/meta`
 * @throws AvError `StorageUnavailable`, `QuotaExceeded`
 */
export async function openBrowserHoloStorage(mesh: string, options: BrowserHoloOptions = {}): Promise<LayeredHoloStorage> {
  if (globalThis.indexedDB === undefined) throw new AvError("StorageUnavailable", { why: "no IndexedDB" })
  const name = memoryDatabase(mesh)
  try {
    const database = await openDatabase(name)
    const folder = options.files === "never" ? undefined : await privateFolder(name)
    const files = folder === undefined ? new DatabaseFiles(database) : new OpfsFiles(folder)
    return await LayeredHoloStorage.open(new DatabaseIndex(database), files, browserEstimate)
  } catch (cause) {
    throw asStorageError(cause)
  }
}

/** Name of a mesh's database and folder. @throws AvError `UsageError` */
export function memoryDatabase(mesh: string): string {
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(mesh)) throw new AvError("UsageError", { why: "mesh id" })
  return `holomesh-memory-${mesh}`
}

export function openDatabase(name: string): Promise<IDBPDatabase> {
  return openDB(name, 1, {
    upgrade(db) {
      for (const store of [STORE, FILES]) db.createObjectStore(store)
    },
    // Somebody deletes it: this tab's later calls fail.
    blocking: (_current, _blocked, event) => (event.target as IDBDatabase | null)?.close(),
  })
}

const browserEstimate: Estimate = async () => {
  const { quota, usage } = (await navigator.storage?.estimate()) ?? {}
  return { quotaBytes: quota ?? UNKNOWN_QUOTA, usageBytes: usage ?? 0 }
}

/** Small values. Keys are bytes there: the order of texts in IndexedDB is that of UTF-16. */
export class DatabaseIndex implements HoloIndex {
  readonly #database: IDBPDatabase

  constructor(database: IDBPDatabase) {
    this.#database = database
  }

  get(key: string): Promise<Bytes | undefined> {
    return this.#database.get(STORE, keyBytes(key)) as Promise<Bytes | undefined>
  }

  async list(prefix: string, { after, limit }: { after?: string; limit?: number }): Promise<string[]> {
    if (limit === 0) return []
    const range = rangeOf(keyBytes(prefix), after === undefined ? undefined : keyBytes(after))
    if (range === "nothing") return []
    const keys = await this.#database.getAllKeys(STORE, range, limit)
    return keys.map((key) => utf8Decode(new Uint8Array(key as ArrayBuffer)))
  }

  async commit(ops: readonly StorageOp[]): Promise<void> {
    // Strict: a batch may rest on files that are safe already, and others rest on the batch.
    const transaction = this.#database.transaction(STORE, "readwrite", { durability: "strict" })
    const { store } = transaction
    const requests = ops.map((op) =>
      "put" in op ? store.put(op.put[1].slice(), keyBytes(op.put[0])) : store.delete(keyBytes(op.del)),
    )
    await Promise.all([...requests, transaction.done])
  }

  async close(): Promise<void> {
    this.#database.close()
  }
}

type KeyBytes = Uint8Array<ArrayBuffer>

function keyBytes(key: string): KeyBytes {
  return new Uint8Array(utf8Encode(key))
}

/** From the prefix, or from behind `after`, to the first key that is greater than all that begin so. */
function rangeOf(prefix: KeyBytes, after: KeyBytes | undefined): IDBKeyRange | undefined | "nothing" {
  const end = successor(prefix)
  if (after !== undefined && compare(after, prefix) >= 0) {
    if (end === undefined) return IDBKeyRange.lowerBound(after, true)
    return compare(after, end) >= 0 ? "nothing" : IDBKeyRange.bound(after, end, true, true)
  }
  if (end === undefined) return prefix.length === 0 ? undefined : IDBKeyRange.lowerBound(prefix)
  return IDBKeyRange.bound(prefix, end, false, true)
}

function compare(a: KeyBytes, b: KeyBytes): number {
  return indexedDB.cmp(a, b)
}

/** The least key that is greater than every key with that prefix; UTF-8 has no byte 255. */
function successor(prefix: KeyBytes): KeyBytes | undefined {
  if (prefix.length === 0) return undefined
  const end = prefix.slice()
  end[end.length - 1]! += 1
  return end
}

/** Large values where there are no files. */
export class DatabaseFiles implements HoloFiles {
  readonly #database: IDBPDatabase

  constructor(database: IDBPDatabase) {
    this.#database = database
  }

  read(name: string): Promise<Bytes | undefined> {
    return this.#database.get(FILES, name) as Promise<Bytes | undefined>
  }

  async write(name: string, bytes: Bytes): Promise<void> {
    await this.#database.put(FILES, bytes, name)
  }

  remove(name: string): Promise<void> {
    return this.#database.delete(FILES, name)
  }

  async names(): Promise<string[]> {
    return (await this.#database.getAllKeys(FILES)).map(String)
  }

  /** The index closes the database. */
  async close(): Promise<void> {}
}

/** The part of a FileSystemSyncAccessHandle that is used; the DOM types know it in workers only. */
interface SyncFile {
  write(buffer: Bytes, options: { at: number }): number
  truncate(size: number): void
  flush(): void
  close(): void
}
type SyncFileHandle = FileSystemFileHandle & { createSyncAccessHandle?(): Promise<SyncFile> }

export class OpfsFiles implements HoloFiles {
  readonly #folder: FileSystemDirectoryHandle

  constructor(folder: FileSystemDirectoryHandle) {
    this.#folder = folder
  }

  async read(name: string): Promise<Bytes | undefined> {
    try {
      const file = await (await this.#folder.getFileHandle(name)).getFile()
      return new Uint8Array(await file.arrayBuffer())
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  async write(name: string, bytes: Bytes): Promise<void> {
    const handle: SyncFileHandle = await this.#folder.getFileHandle(name, { create: true })
    if (handle.createSyncAccessHandle === undefined) {
      const stream = await handle.createWritable()
      await stream.write(bytes as Uint8Array<ArrayBuffer>)
      await stream.close()
      return
    }
    const file = await handle.createSyncAccessHandle()
    try {
      file.truncate(0)
      if (file.write(bytes, { at: 0 }) !== bytes.length) throw new DOMException("short write", "QuotaExceededError")
      file.flush()
    } finally {
      file.close()
    }
  }

  async remove(name: string): Promise<void> {
    try {
      await this.#folder.removeEntry(name)
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  }

  async names(): Promise<string[]> {
    const found: string[] = []
    for await (const name of this.#folder.keys()) found.push(name)
    return found
  }

  async close(): Promise<void> {}
}

/** Undefined where files cannot be written: some browsers have none in private windows. */
export async function privateFolder(name: string): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    const top = await navigator.storage.getDirectory()
    const folder = await top.getDirectoryHandle(name, { create: true })
    const probe: Partial<SyncFileHandle> = await folder.getFileHandle("probe", { create: true })
    await folder.removeEntry("probe")
    return probe.createSyncAccessHandle !== undefined || probe.createWritable !== undefined ? folder : undefined
  } catch {
    return undefined
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof DOMException && error.name === "NotFoundError"
}
