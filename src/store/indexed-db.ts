/** The browser's store: one IndexedDB database, one object store per collection. Works on pages and in workers. */
import { type IDBPDatabase, openDB } from "idb"
import { AvError } from "../wire/errors.ts"
import type { Store } from "./store.ts"

const DATABASE = "holomesh"
const VERSION = 1

/** Every collection of the database. They are created together, so that tabs never wait for each other's upgrade. */
const COLLECTIONS = ["identity", "key-packages"] as const
type Collection = (typeof COLLECTIONS)[number]

/** Opens a collection. `StoreError` where IndexedDB is missing or refused (private windows of some browsers). */
export async function openIndexedDbStore<Value>(collection: Collection): Promise<Store<Value>> {
  if (globalThis.indexedDB === undefined) throw new AvError("StoreError", { what: "no IndexedDB" })
  const database = await guarded("open", () =>
    openDB(DATABASE, VERSION, {
      upgrade(db) {
        for (const name of COLLECTIONS) if (!db.objectStoreNames.contains(name)) db.createObjectStore(name)
      },
      // A newer version of the page wants to upgrade: let it, this tab's later calls fail as StoreError.
      blocking: (_current, _blocked, event) => (event.target as IDBDatabase | null)?.close(),
    }),
  )
  return new IndexedDbStore<Value>(database, collection)
}

class IndexedDbStore<Value> implements Store<Value> {
  readonly #database: IDBPDatabase
  readonly #collection: Collection

  constructor(database: IDBPDatabase, collection: Collection) {
    this.#database = database
    this.#collection = collection
  }

  get(key: string): Promise<Value | undefined> {
    return guarded("get", () => this.#database.get(this.#collection, key) as Promise<Value | undefined>)
  }

  async put(key: string, value: Value): Promise<void> {
    await guarded("put", () => this.#database.put(this.#collection, value, key))
  }

  async add(key: string, value: Value): Promise<boolean> {
    try {
      await this.#database.add(this.#collection, value, key)
      return true
    } catch (cause) {
      if (cause instanceof DOMException && cause.name === "ConstraintError") return false
      throw new AvError("StoreError", { what: "add" }, { cause })
    }
  }

  async delete(key: string): Promise<void> {
    await guarded("delete", () => this.#database.delete(this.#collection, key))
  }

  keys(): Promise<string[]> {
    return guarded("keys", async () => (await this.#database.getAllKeys(this.#collection)).map(String))
  }

  close(): void {
    this.#database.close()
  }
}

async function guarded<T>(what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    throw new AvError("StoreError", { what }, { cause })
  }
}
