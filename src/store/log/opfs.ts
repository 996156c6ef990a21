/** Append logs in the browser's private file system. Only in a dedicated worker: elsewhere there are no synchronous files. */
import { AvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"
import { AppendLog, type AppendLogOptions } from "./append-log.ts"
import type { LogStorage } from "./storage.ts"

/** The part of a FileSystemSyncAccessHandle that is used; the DOM types know it in workers only. */
interface SyncFile {
  getSize(): number
  read(buffer: Bytes, options: { at: number }): number
  write(buffer: Bytes, options: { at: number }): number
  truncate(size: number): void
  flush(): void
  close(): void
}
interface SyncFileHandle {
  createSyncAccessHandle?(): Promise<SyncFile>
}

/**
 * Opens the log `name` (16 hex digits) in `root`, by default the origin's own directory. The system lets one writer open it at a time.
 * @throws AvError `StoreError` with what `locked` when another tab writes to it, `unsupported` where there are no such files.
 */
export async function openOpfsLog(
  name: string,
  options: AppendLogOptions = {},
  root?: FileSystemDirectoryHandle,
): Promise<AppendLog> {
  if (!/^[0-9a-f]{16}$/.test(name)) throw new AvError("UsageError", { why: "log name" })
  const top = root ?? (await guarded(() => navigator.storage.getDirectory()))
  const folder = await guarded(() => top.getDirectoryHandle(name, { create: true }))
  const data = await openFile(folder, "log.dat")
  let meta: SyncFile
  try {
    meta = await openFile(folder, "log.meta")
  } catch (error) {
    data.close()
    throw error
  }
  return AppendLog.open(new OpfsLogStorage(data, meta), options)
}

async function openFile(folder: FileSystemDirectoryHandle, name: string): Promise<SyncFile> {
  const handle = (await guarded(() => folder.getFileHandle(name, { create: true }))) as SyncFileHandle
  if (handle.createSyncAccessHandle === undefined) throw new AvError("StoreError", { what: "unsupported" })
  return guarded(() => handle.createSyncAccessHandle!())
}

async function guarded<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    const locked = cause instanceof DOMException && cause.name === "NoModificationAllowedError"
    throw new AvError("StoreError", { what: locked ? "locked" : "unsupported" }, { cause })
  }
}

/** Its calls block the worker, which is why nothing else should live there; whoever appends posts batches to it. */
class OpfsLogStorage implements LogStorage {
  readonly #data: SyncFile
  readonly #meta: SyncFile

  constructor(data: SyncFile, meta: SyncFile) {
    this.#data = data
    this.#meta = meta
  }

  async size(): Promise<number> {
    return this.#data.getSize()
  }

  async read(offset: number, length: number): Promise<Bytes> {
    const buffer = new Uint8Array(length)
    return buffer.subarray(0, this.#data.read(buffer, { at: offset }))
  }

  async append(bytes: Bytes, offset: number): Promise<void> {
    const written = this.#data.write(bytes, { at: offset })
    if (written !== bytes.length) throw new AvError("StoreError", { what: "short write", got: written })
  }

  async truncate(length: number): Promise<void> {
    this.#data.truncate(length)
  }

  async sync(): Promise<void> {
    this.#data.flush()
  }

  async readMeta(): Promise<Bytes | undefined> {
    const buffer = new Uint8Array(64)
    return buffer.subarray(0, this.#meta.read(buffer, { at: 0 }))
  }

  async writeMeta(bytes: Bytes): Promise<void> {
    this.#meta.write(bytes, { at: 0 })
  }

  async close(): Promise<void> {
    this.#data.close()
    this.#meta.close()
  }
}
