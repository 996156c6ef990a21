/** A log of records that survives crashes: appended in batches, synced as its policy says (control-plane 8). */
import { AvError } from "../../wire/errors.ts"
import type { Bytes, U64 } from "../../wire/types.ts"
import { type Crc32, crc32 } from "./crc32.ts"
import { type Checkpoint, decodeMeta, encodeMeta, encodeRecords } from "./record.ts"
import { type LogRecord, scanRecords } from "./scan.ts"
import type { LogStorage } from "./storage.ts"
import { type Durability, SyncPolicy } from "./sync-policy.ts"

export interface AppendLogOptions {
  /** Default `never`. */
  durability?: Durability
  crc32?: Crc32
  /** A sync that the policy started has failed. It is tried again at the policy's next occasion. */
  onSyncFailure?: (error: unknown) => void
}

interface AppendOptions {
  /** Resolve only when the records are safe from a loss of power. */
  durable?: boolean
}

/** The part of a sync's life that others wait for. */
interface Sync {
  done: Promise<void>
}

export class AppendLog {
  readonly #storage: LogStorage
  readonly #policy: SyncPolicy
  readonly #crc: Crc32
  readonly #onSyncFailure: ((error: unknown) => void) | undefined
  /** Where the next record goes. */
  #end: Checkpoint
  /** The last write of those asked for; each waits for the one before. */
  #writes: Promise<unknown> = Promise.resolve()
  #running: Sync | undefined
  #queued: Sync | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #state: "open" | "broken" | "closed" = "open"
  #closing: Promise<void> | undefined
  #syncFailures = 0

  private constructor(storage: LogStorage, end: Checkpoint, options: AppendLogOptions) {
    this.#storage = storage
    this.#end = end
    this.#policy = new SyncPolicy(options.durability ?? "never")
    this.#crc = options.crc32 ?? crc32
    this.#onSyncFailure = options.onSyncFailure
  }

  /** Finds the end of what is intact, cuts off a torn tail, and goes on from there. Owns `storage` from here on. */
  static async open(storage: LogStorage, options: AppendLogOptions = {}): Promise<AppendLog> {
    const crc = options.crc32 ?? crc32
    try {
      const size = await storage.size()
      const meta = decodeMeta((await storage.readMeta()) ?? new Uint8Array(), crc)
      const start = meta !== undefined && meta.offset <= size ? meta : { seq: 0n, offset: 0 }
      const records = scanRecords(storage, start, size, crc)
      let step = await records.next()
      while (step.done !== true) step = await records.next()
      if (step.value.offset < size) await storage.truncate(step.value.offset)
      return new AppendLog(storage, step.value, options)
    } catch (error) {
      await storage.close().catch(() => {})
      throw error
    }
  }

  /** The number the next record gets. */
  get nextSeq(): U64 {
    return this.#end.seq
  }

  /** `log_sync_failures_total`: syncs of the policy that failed. */
  get syncFailures(): number {
    return this.#syncFailures
  }

  /** Appends one record and gives its number. Resolves when the bytes are handed to the system. */
  async append(payload: Bytes, options?: AppendOptions): Promise<U64> {
    return (await this.appendBatch([payload], options)) ?? 0n
  }

  /** Appends all or nothing, by one write. Gives the number of the first record; null for an empty batch. */
  async appendBatch(payloads: readonly Bytes[], options: AppendOptions = {}): Promise<U64 | null> {
    if (payloads.length === 0) return null
    this.#requireOpen()
    const written = this.#writes.then(() => this.#write(payloads))
    this.#writes = written.catch(() => {})
    const first = await written
    if (options.durable === true) await this.sync()
    return first
  }

  /** Resolves when everything appended before the call is safe from a loss of power. */
  async sync(): Promise<void> {
    this.#requireOpen()
    await this.#barrier()
  }

  /** Syncs and gives the files free. Fails when the sync fails, and gives them free all the same. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** The records from the start, up to what was appended when the reading began. */
  async *records(): AsyncGenerator<LogRecord, void> {
    this.#requireOpen()
    await this.#writes
    const { seq, offset } = this.#end
    const reached = yield* scanRecords(this.#storage, { seq: 0n, offset: 0 }, offset, this.#crc)
    if (reached.seq !== seq) throw new AvError("StoreError", { what: "log damaged", seq: reached.seq })
  }

  async #write(payloads: readonly Bytes[]): Promise<U64> {
    if (this.#state === "broken") throw brokenError()
    const { seq, offset } = this.#end
    const bytes = encodeRecords(payloads, seq, this.#crc)
    try {
      await this.#storage.append(bytes, offset)
    } catch (cause) {
      await this.#restore(offset)
      throw new AvError("StoreError", { what: "log write" }, { cause })
    }
    this.#end = { seq: seq + BigInt(payloads.length), offset: offset + bytes.length }
    if (this.#policy.appended(payloads.length, bytes.length)) this.#background()
    else this.#armTimer()
    return seq
  }

  /** After a failed write. If that fails as well, nobody knows what is in the file: nothing more is written to it. */
  async #restore(length: number): Promise<void> {
    try {
      await this.#storage.truncate(length)
    } catch {
      this.#state = "broken"
    }
  }

  #armTimer(): void {
    const ms = this.#policy.timerMs
    if (ms === undefined || this.#timer !== undefined || this.#state !== "open") return
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        this.#policy.syncing()
        this.#background()
      },
      Math.min(ms, 2 ** 31 - 1),
    )
  }

  /** Nobody waits for it: appending goes on meanwhile. */
  #background(): void {
    this.#request().catch((error: unknown) => {
      this.#syncFailures += 1
      this.#onSyncFailure?.(error)
    })
  }

  async #barrier(): Promise<void> {
    await this.#writes
    this.#policy.syncing()
    this.#disarm()
    await this.#request()
  }

  /** A sync that starts after this call: one may run, one may wait, and everybody who asks shares the one that waits. */
  #request(): Promise<void> {
    const running = this.#running
    if (running === undefined) return this.#start()
    if (this.#queued === undefined) {
      const done = running.done.then(
        () => this.#startQueued(),
        () => this.#startQueued(),
      )
      this.#queued = { done }
    }
    return this.#queued.done
  }

  #startQueued(): Promise<void> {
    this.#queued = undefined
    return this.#start()
  }

  #start(): Promise<void> {
    const sync: Sync = {
      done: this.#syncNow().finally(() => {
        if (this.#running === sync) this.#running = undefined
      }),
    }
    this.#running = sync
    return sync.done
  }

  async #syncNow(): Promise<void> {
    const covered = this.#end
    try {
      await this.#storage.sync()
    } catch (cause) {
      throw new AvError("StoreError", { what: "log sync" }, { cause })
    }
    // Only now, so that the checkpoint never promises more than the disk has. Losing it costs a longer scan.
    await this.#storage.writeMeta(encodeMeta(covered, this.#crc)).catch(() => {})
  }

  async #close(): Promise<void> {
    const sound = this.#state === "open"
    this.#state = "closed"
    try {
      if (sound) await this.#barrier()
    } finally {
      this.#disarm()
      await this.#storage.close()
    }
  }

  #disarm(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #requireOpen(): void {
    if (this.#state === "broken") throw brokenError()
    if (this.#state === "closed") throw new AvError("StoreError", { what: "log closed" })
  }
}

function brokenError(): AvError {
  return new AvError("StoreError", { what: "log broken" })
}
