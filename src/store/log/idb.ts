/** Append logs in IndexedDB, for browsers whose workers have no synchronous files. Who opens one holds its lock (`remote-log.ts`). */
import { type IDBPDatabase, openDB } from "idb"
import { AvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"
import { AppendLog, type AppendLogOptions } from "./append-log.ts"
import type { LogStorage } from "./storage.ts"

/** What was written by one call, under the offset of its first byte. */
const PARTS = "parts"
const META = "meta"
const CHECKPOINT = 0
/** Written by a sync, so that it has something to make safe. */
const SYNCED = 1

/** @throws AvError `StoreError` with what `unsupported` where there is no IndexedDB */
export async function openIndexedDbLog(name: string, options: AppendLogOptions = {}): Promise<AppendLog> {
  if (!/^[0-9a-f]{16}$/.test(name)) throw new AvError("UsageError", { why: "log name" })
  if (globalThis.indexedDB === undefined) throw new AvError("StoreError", { what: "unsupported" })
  try {
    const database = await openDB(`holomesh-log-${name}`, 1, {
      upgrade(db) {
        for (const store of [PARTS, META]) db.createObjectStore(store)
      },
      // Somebody deletes it: later writes fail.
      blocking: (_current, _blocked, event) => (event.target as IDBDatabase | null)?.close(),
    })
    return await AppendLog.open(new IndexedDbLogStorage(database), options)
  } catch (cause) {
    throw cause instanceof AvError ? cause : new AvError("StoreError", { what: "log open" }, { cause })
  }
}

export class IndexedDbLogStorage implements LogStorage {
  readonly #database: IDBPDatabase

  constructor(database: IDBPDatabase) {
    this.#database = database
  }

  async size(): Promise<number> {
    const cursor = await this.#database.transaction(PARTS).store.openCursor(null, "prev")
    return cursor === null ? 0 : (cursor.key as number) + (cursor.value as Bytes).length
  }

  async read(offset: number, length: number): Promise<Bytes> {
    const out = new Uint8Array(length)
    let filled = 0
    const { store } = this.#database.transaction(PARTS)
    // The part that holds the first byte begins at or before it.
    const first = await store.openCursor(IDBKeyRange.upperBound(offset), "prev")
    if (first === null) return out.subarray(0, 0)
    for (let cursor = await store.openCursor(IDBKeyRange.lowerBound(first.key)); cursor !== null && filled < length; ) {
      const [start, part] = [cursor.key as number, cursor.value as Bytes]
      const from = offset + filled - start
      // A gap, or nothing at this place: what follows belongs to no log of ours.
      if (from < 0 || from >= part.length) break
      const piece = part.subarray(from, from + length - filled)
      out.set(piece, filled)
      filled += piece.length
      cursor = await cursor.continue()
    }
    return out.subarray(0, filled)
  }

  async append(bytes: Bytes, offset: number): Promise<void> {
    const transaction = this.#database.transaction(PARTS, "readwrite", { durability: "relaxed" })
    await Promise.all([transaction.store.put(bytes.slice(), offset), transaction.done])
  }

  async truncate(length: number): Promise<void> {
    const { store, done } = this.#database.transaction(PARTS, "readwrite", { durability: "relaxed" })
    const last = length === 0 ? null : await store.openCursor(IDBKeyRange.upperBound(length, true), "prev")
    if (last !== null) await store.put((last.value as Bytes).slice(0, length - (last.key as number)), last.key)
    await store.delete(IDBKeyRange.lowerBound(length))
    await done
  }

  async sync(): Promise<void> {
    const transaction = this.#database.transaction([PARTS, META], "readwrite", { durability: "strict" })
    await Promise.all([transaction.objectStore(META).put(new Uint8Array(), SYNCED), transaction.done])
  }

  async readMeta(): Promise<Bytes | undefined> {
    return (await this.#database.get(META, CHECKPOINT)) as Bytes | undefined
  }

  async writeMeta(bytes: Bytes): Promise<void> {
    await this.#database.put(META, bytes.slice(), CHECKPOINT)
  }

  async close(): Promise<void> {
    this.#database.close()
  }
}
