/** The server's shelf of published KeyPackageRecords (av-mesh 6.6 D-18, room RM-9). It reads no keys out of them. */
import type { Bytes, Milliseconds, PeerKeyId } from "../wire/types.ts"
import type { ServerLimits } from "./limits.ts"

/** The facts of a record that decide where it lies on the shelf. */
export interface ShelvedRecord {
  bytes: Bytes
  /** Hex of `key_package_ref`: the same package is shelved once. */
  ref: string
  lastResort: boolean
  notBefore: Milliseconds
  notAfter: Milliseconds
}

interface Shelf {
  oneTime: Map<string, ShelvedRecord>
  lastResort: ShelvedRecord | undefined
  bytes: number
}

export class Directory {
  readonly #limits: ServerLimits
  /** Oldest put first. */
  readonly #shelves = new Map<PeerKeyId, Shelf>()
  #bytes = 0

  constructor(limits: ServerLimits) {
    this.#limits = limits
  }

  get owners(): number {
    return this.#shelves.size
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Shelves a record that was checked. `false`: its owner's shelf is full, or it is not valid now. */
  put(owner: PeerKeyId, record: ShelvedRecord, now: Milliseconds): boolean {
    if (now >= record.notAfter || record.bytes.length > this.#limits.recordBytes) return false
    const shelf = this.#shelves.get(owner) ?? { oneTime: new Map(), lastResort: undefined, bytes: 0 }
    this.#sweep(shelf, now)
    const replaced = record.lastResort ? shelf.lastResort : shelf.oneTime.get(record.ref)
    if (!record.lastResort && replaced === undefined && shelf.oneTime.size >= this.#limits.oneTimePerKey) return false
    if (record.lastResort) shelf.lastResort = record
    else shelf.oneTime.set(record.ref, record)
    this.#account(shelf, record.bytes.length - (replaced?.bytes.length ?? 0))
    this.#shelves.delete(owner)
    this.#shelves.set(owner, shelf)
    this.#makeRoom(owner)
    return true
  }

  /** A one-time record, which is gone from the shelf then, or the last resort, which stays. */
  take(owner: PeerKeyId, now: Milliseconds): Bytes | undefined {
    const shelf = this.#shelves.get(owner)
    if (shelf === undefined) return undefined
    this.#sweep(shelf, now)
    let taken: Bytes | undefined
    for (const [ref, record] of shelf.oneTime) {
      if (now < record.notBefore) continue
      shelf.oneTime.delete(ref)
      this.#account(shelf, -record.bytes.length)
      taken = record.bytes
      break
    }
    const last = shelf.lastResort
    if (taken === undefined && last !== undefined && now >= last.notBefore) taken = last.bytes
    if (shelf.bytes === 0) this.#shelves.delete(owner)
    return taken
  }

  #sweep(shelf: Shelf, now: Milliseconds): void {
    for (const [ref, record] of shelf.oneTime) {
      if (now < record.notAfter) continue
      shelf.oneTime.delete(ref)
      this.#account(shelf, -record.bytes.length)
    }
    if (shelf.lastResort !== undefined && now >= shelf.lastResort.notAfter) {
      this.#account(shelf, -shelf.lastResort.bytes.length)
      shelf.lastResort = undefined
    }
  }

  #makeRoom(keep: PeerKeyId): void {
    for (const [owner, shelf] of this.#shelves) {
      if (this.#shelves.size <= this.#limits.directoryKeys && this.#bytes <= this.#limits.directoryBytes) return
      if (owner === keep) continue
      this.#shelves.delete(owner)
      this.#bytes -= shelf.bytes
    }
  }

  #account(shelf: Shelf, bytes: number): void {
    shelf.bytes += bytes
    this.#bytes += bytes
  }
}
