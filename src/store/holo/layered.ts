/**
 * Storage over an index of small values and a place for large ones. What a batch refers to is safe before the batch is, and what no
 * entry refers to goes when the storage is opened: a crash leaves the old batch or the new one.
 */
import { sha256, sha256Sync } from "../../crypto/index.ts"
import { concatBytes, equalBytes, toHex, utf8Encode } from "../../wire/bytes.ts"
import { AvError, isAvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"
import { changesOf, type HoloStorage, type StorageOp } from "./storage.ts"

/** Larger values are files, bytes. */
const MAX_INLINE = 4_096
const INLINE = 0
const FILE = 1
/** Type, length in 32 bits, SHA-256. */
const REFERENCE_LENGTH = 37

/** Small values by key, in the order of the keys' UTF-8 bytes. */
export interface HoloIndex {
  get(key: string): Promise<Bytes | undefined>
  list(prefix: string, options: { after?: string; limit?: number }): Promise<string[]>
  /** All or nothing, also when the process ends in the middle; safe when it resolves. The last operation on a key wins. */
  commit(ops: readonly StorageOp[]): Promise<void>
  close(): Promise<void>
}

/** Large values by name. */
export interface HoloFiles {
  read(name: string): Promise<Bytes | undefined>
  /** Safe when it resolves. A crash may leave anything under that name. */
  write(name: string, bytes: Bytes): Promise<void>
  /** Nothing happens when it is gone already. */
  remove(name: string): Promise<void>
  names(): Promise<string[]>
  close(): Promise<void>
}

/** Room on the disk, bytes; `usageBytes` may be less than what was stored a moment ago. Told how much this storage holds. */
export type Estimate = (ownBytes: number) => Promise<{ quotaBytes: number; usageBytes: number }>

/** An entry of the index that stands for a file. */
interface Reference {
  name: string
  length: number
  hash: Bytes
}

export class LayeredHoloStorage implements HoloStorage {
  readonly #index: HoloIndex
  readonly #files: HoloFiles
  readonly #estimate: Estimate
  #usage: number
  /** What the system said last when it said something new, and what was stored here at that time: it may be slow to notice. */
  #reported: { usage: number; own: number }
  #open = true
  #tail: Promise<unknown> = Promise.resolve()

  private constructor(index: HoloIndex, files: HoloFiles, estimate: Estimate, usage: number, reported: number) {
    this.#index = index
    this.#files = files
    this.#estimate = estimate
    this.#usage = usage
    this.#reported = { usage: reported, own: usage }
  }

  /** Removes files that no entry refers to. Owns both parts from here on. */
  static async open(index: HoloIndex, files: HoloFiles, estimate: Estimate): Promise<LayeredHoloStorage> {
    try {
      const referred = new Set<string>()
      let usage = 0
      for (const key of await index.list("", {})) {
        const entry = await index.get(key)
        const file = entry && referenceIn(key, entry)
        if (file !== undefined) referred.add(file.name)
        usage += costOf(key, entry)
      }
      for (const name of await files.names()) if (!referred.has(name)) await files.remove(name)
      return new LayeredHoloStorage(index, files, estimate, usage, (await estimate(usage)).usageBytes)
    } catch (cause) {
      await Promise.allSettled([index.close(), files.close()])
      throw asStorageError(cause)
    }
  }

  async get(key: string): Promise<Bytes | undefined> {
    this.#requireOpen()
    return guarded(async () => {
      let entry = await this.#index.get(key)
      for (;;) {
        const file = entry && referenceIn(key, entry)
        if (entry === undefined || file === undefined) return entry && inlineIn(entry)
        const bytes = await this.#files.read(file.name)
        if (bytes !== undefined && (await isIntact(bytes, file))) return bytes
        // A batch may have replaced it meanwhile.
        const now = await this.#index.get(key)
        if (now === undefined || equalBytes(now, entry)) return undefined
        entry = now
      }
    })
  }

  async list(prefix: string, options: { after?: string; limit?: number } = {}): Promise<string[]> {
    this.#requireOpen()
    return guarded(() => this.#index.list(prefix, options))
  }

  async batch(ops: readonly StorageOp[]): Promise<void> {
    this.#requireOpen()
    const changes = changesOf(ops)
    const done = this.#tail.then(() => guarded(() => this.#batch(changes)))
    this.#tail = done.catch(() => {})
    await done
  }

  async estimate(): Promise<{ quotaBytes: number; usageBytes: number }> {
    this.#requireOpen()
    const { quotaBytes, usageBytes } = await guarded(() => this.#estimate(this.#usage))
    if (usageBytes !== this.#reported.usage) this.#reported = { usage: usageBytes, own: this.#usage }
    const { usage, own } = this.#reported
    return { quotaBytes, usageBytes: usage + Math.max(0, this.#usage - own) }
  }

  /** Waits for the batches under way. */
  async close(): Promise<void> {
    if (!this.#open) return
    this.#open = false
    await this.#tail
    await guarded(async () => {
      await this.#files.close()
      await this.#index.close()
    })
  }

  async #batch(changes: ReadonlyMap<string, Bytes | undefined>): Promise<void> {
    const ops: StorageOp[] = []
    const written: string[] = []
    const replaced: string[] = []
    let growth = 0
    let committing = false
    try {
      for (const [key, value] of changes) {
        const before = await this.#index.get(key)
        const old = before && referenceIn(key, before)
        const entry = value && (await this.#entry(key, value, old, written))
        growth += costOf(key, entry) - costOf(key, before)
        if (old !== undefined && (entry === undefined || referenceIn(key, entry)?.name !== old.name)) replaced.push(old.name)
        if (entry !== undefined) ops.push({ put: [key, entry] })
        else if (before !== undefined) ops.push({ del: key })
      }
      committing = true
      if (ops.length > 0) await this.#index.commit(ops)
    } catch (error) {
      // A commit that failed may be on the disk all the same: its files stay until the storage is opened again.
      if (!committing) for (const name of written) await this.#files.remove(name).catch(() => {})
      throw error
    }
    this.#usage += growth
    // What fails here is found again when the storage is opened.
    for (const name of replaced) await this.#files.remove(name).catch(() => {})
  }

  async #entry(key: string, value: Bytes, old: Reference | undefined, written: string[]): Promise<Bytes> {
    if (value.length <= MAX_INLINE) return concatBytes(Uint8Array.of(INLINE), value)
    const hash = await sha256(value)
    const name = fileName(key, hash)
    // Writing over a file that an entry refers to could tear it.
    const present = old?.name === name && (await this.#isPresent(old))
    if (!present) {
      written.push(name)
      await this.#files.write(name, value)
    }
    const entry = new Uint8Array(REFERENCE_LENGTH)
    entry[0] = FILE
    new DataView(entry.buffer).setUint32(1, value.length)
    entry.set(hash, 5)
    return entry
  }

  async #isPresent(file: Reference): Promise<boolean> {
    const bytes = await this.#files.read(file.name)
    return bytes !== undefined && (await isIntact(bytes, file))
  }

  #requireOpen(): void {
    if (!this.#open) throw new AvError("StorageUnavailable", { why: "closed" })
  }
}

/** The key's hash finds the file; the value's keeps a new value from overwriting the old one before its batch is safe. */
function fileName(key: string, hash: Bytes): string {
  return `${toHex(sha256Sync(utf8Encode(key)))}-${toHex(hash.subarray(0, 8))}`
}

function referenceIn(key: string, entry: Bytes): Reference | undefined {
  if (entry[0] !== FILE || entry.length !== REFERENCE_LENGTH) return undefined
  const hash = entry.subarray(5)
  const length = new DataView(entry.buffer, entry.byteOffset, entry.byteLength).getUint32(1)
  return { name: fileName(key, hash), length, hash }
}

/** Undefined for an entry that this code did not write. */
function inlineIn(entry: Bytes): Bytes | undefined {
  return entry[0] === INLINE ? entry.slice(1) : undefined
}

async function isIntact(bytes: Bytes, { length, hash }: Reference): Promise<boolean> {
  return bytes.length === length && equalBytes(await sha256(bytes), hash)
}

function costOf(key: string, entry: Bytes | undefined): number {
  if (entry === undefined) return 0
  const length = entry[0] === FILE ? new DataView(entry.buffer, entry.byteOffset, entry.byteLength).getUint32(1) : 0
  return key.length + entry.length + length
}

async function guarded<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    throw asStorageError(cause)
  }
}

/** What a disk or a browser raises, as one of the three errors of a storage. */
export function asStorageError(cause: unknown): AvError {
  if (isAvError(cause, "StoreError")) {
    if (cause.details.what === "log damaged") return new AvError("StorageCorrupt", { why: "log" }, { cause })
    return cause.cause instanceof Error ? asStorageError(cause.cause) : unavailable(String(cause.details.what), cause)
  }
  if (isAvError(cause)) return cause
  const name = cause instanceof Error ? cause.name : String(cause)
  const code = cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : ""
  if (name === "QuotaExceededError" || code === "ENOSPC" || code === "EDQUOT") {
    return new AvError("QuotaExceeded", { why: "disk full" }, { cause })
  }
  return unavailable(code === "" ? name : code, cause)
}

function unavailable(why: string, cause: unknown): AvError {
  return new AvError("StorageUnavailable", { why }, { cause })
}
