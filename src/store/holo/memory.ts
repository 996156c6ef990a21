/** Storage that lives as long as the object: for tests, and for tabs without persistent storage. */
import { AvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"
import { SortedKeys } from "./sorted-keys.ts"
import { changesOf, type HoloStorage, type StorageOp } from "./storage.ts"

const DEFAULT_QUOTA = 256 * 1_048_576

export class MemoryHoloStorage implements HoloStorage {
  #values: Map<string, Bytes>
  readonly #keys: SortedKeys
  #usage = 0
  #quotaBytes: number
  #open = true

  /** @param contents what another one had; see {@link contents} */
  constructor(options: { quotaBytes?: number; contents?: ReadonlyMap<string, Bytes> } = {}) {
    this.#quotaBytes = options.quotaBytes ?? DEFAULT_QUOTA
    this.#values = new Map(options.contents ?? [])
    this.#keys = new SortedKeys(this.#values.keys())
    for (const [key, value] of this.#values) this.#usage += cost(key, value)
  }

  /** What a process that starts now would find. */
  get contents(): ReadonlyMap<string, Bytes> {
    return new Map(this.#values)
  }

  /** Bytes; less than what is used refuses every batch that needs more. */
  set quotaBytes(bytes: number) {
    this.#quotaBytes = bytes
  }

  async get(key: string): Promise<Bytes | undefined> {
    this.#requireOpen()
    return this.#values.get(key)?.slice()
  }

  async list(prefix: string, options?: { after?: string; limit?: number }): Promise<string[]> {
    this.#requireOpen()
    return this.#keys.list(prefix, options)
  }

  async batch(ops: readonly StorageOp[]): Promise<void> {
    this.#requireOpen()
    const changes = changesOf(ops)
    let growth = 0
    for (const [key, value] of changes) {
      growth += (value === undefined ? 0 : cost(key, value)) - this.#costOf(key)
    }
    if (growth > 0 && this.#usage + growth > this.#quotaBytes) {
      throw new AvError("QuotaExceeded", { usage: this.#usage, need: growth, quota: this.#quotaBytes })
    }
    for (const [key, value] of changes) {
      if (value === undefined) {
        this.#values.delete(key)
        this.#keys.delete(key)
      } else {
        if (!this.#values.has(key)) this.#keys.add(key)
        this.#values.set(key, value)
      }
    }
    this.#usage += growth
  }

  async estimate(): Promise<{ quotaBytes: number; usageBytes: number }> {
    this.#requireOpen()
    return { quotaBytes: this.#quotaBytes, usageBytes: this.#usage }
  }

  async close(): Promise<void> {
    this.#open = false
  }

  #costOf(key: string): number {
    const value = this.#values.get(key)
    return value === undefined ? 0 : cost(key, value)
  }

  #requireOpen(): void {
    if (!this.#open) throw new AvError("StorageUnavailable", { why: "closed" })
  }
}

function cost(key: string, value: Bytes): number {
  return key.length + value.length
}
