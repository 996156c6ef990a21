/** The small storage interface behind identities and key packages: named values in named collections. */

/** A collection of values by string key. Values are structured-cloneable; a browser store keeps `CryptoKey`s without exporting them. */
export interface Store<Value> {
  get(key: string): Promise<Value | undefined>
  put(key: string, value: Value): Promise<void>
  /** Stores only when the key is free; says whether it did. Atomic, also against other tabs. */
  add(key: string, value: Value): Promise<boolean>
  delete(key: string): Promise<void>
  keys(): Promise<string[]>
  close(): void
}

/** A store that lives as long as the object: for tests, for Node and for tabs without persistent storage. */
export class MemoryStore<Value> implements Store<Value> {
  readonly #values = new Map<string, Value>()

  async get(key: string): Promise<Value | undefined> {
    return this.#values.get(key)
  }

  async put(key: string, value: Value): Promise<void> {
    this.#values.set(key, value)
  }

  async add(key: string, value: Value): Promise<boolean> {
    if (this.#values.has(key)) return false
    this.#values.set(key, value)
    return true
  }

  async delete(key: string): Promise<void> {
    this.#values.delete(key)
  }

  async keys(): Promise<string[]> {
    return [...this.#values.keys()]
  }

  close(): void {
    this.#values.clear()
  }
}
