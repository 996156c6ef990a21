/** Append logs in a directory of a Node program. Not for browsers. */
import { type FileHandle, mkdir, open, readFile, rm, writeFile } from "node:fs/promises"
import { join, resolve } from "node:path"
import { crc32 as nativeCrc32 } from "node:zlib"
import { AvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"
import { AppendLog, type AppendLogOptions } from "./append-log.ts"
import { crc32 } from "./crc32.ts"
import type { LogStorage } from "./storage.ts"

/** Logs this process writes to: a lock file of our own process says nothing about which part of it holds the log. */
const held = new Set<string>()

/**
 * Opens the log `name` (16 hex digits: the hash of a channel) below `root`.
 * @throws AvError `StoreError` with what `locked` when somebody else writes to it.
 */
export async function openNodeLog(root: string, name: string, options: AppendLogOptions = {}): Promise<AppendLog> {
  if (!/^[0-9a-f]{16}$/.test(name)) throw new AvError("UsageError", { why: "log name" })
  const folder = resolve(root, name)
  await mkdir(folder, { recursive: true })
  const release = await lock(folder)
  const files: FileHandle[] = []
  try {
    // Append mode: the system itself puts every write at the end. It also creates the file, which "r+" does not.
    for (const [file, flags] of [
      ["log.dat", "a+"],
      ["log.meta", "a+"],
      ["log.meta", "r+"],
    ] as const) {
      files.push(await open(join(folder, file), flags))
    }
    const [data, created, meta] = files as [FileHandle, FileHandle, FileHandle]
    await created.close()
    return await AppendLog.open(new NodeLogStorage(data, meta, release), { crc32: nativeCrc32 ?? crc32, ...options })
  } catch (cause) {
    await Promise.allSettled(files.map((file) => file.close()))
    await release()
    throw cause instanceof AvError ? cause : new AvError("StoreError", { what: "log open" }, { cause })
  }
}

class NodeLogStorage implements LogStorage {
  readonly #data: FileHandle
  readonly #meta: FileHandle
  readonly #release: () => Promise<void>

  constructor(data: FileHandle, meta: FileHandle, release: () => Promise<void>) {
    this.#data = data
    this.#meta = meta
    this.#release = release
  }

  async size(): Promise<number> {
    return (await this.#data.stat()).size
  }

  async read(offset: number, length: number): Promise<Bytes> {
    const buffer = new Uint8Array(length)
    const { bytesRead } = await this.#data.read(buffer, 0, length, offset)
    return buffer.subarray(0, bytesRead)
  }

  async append(bytes: Bytes): Promise<void> {
    const { bytesWritten } = await this.#data.write(bytes)
    if (bytesWritten !== bytes.length) throw new AvError("StoreError", { what: "short write", got: bytesWritten })
  }

  truncate(length: number): Promise<void> {
    return this.#data.truncate(length)
  }

  sync(): Promise<void> {
    return this.#data.datasync()
  }

  async readMeta(): Promise<Bytes | undefined> {
    const buffer = new Uint8Array(64)
    const { bytesRead } = await this.#meta.read(buffer, 0, buffer.length, 0)
    return buffer.subarray(0, bytesRead)
  }

  async writeMeta(bytes: Bytes): Promise<void> {
    await this.#meta.write(bytes, 0, bytes.length, 0)
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#data.close(), this.#meta.close()])
    await this.#release()
  }
}

/** Node has no advisory locks: a file with our process id, taken over when that process is gone. */
async function lock(folder: string): Promise<() => Promise<void>> {
  const path = join(folder, "log.lock")
  if (held.has(folder)) throw new AvError("StoreError", { what: "locked" })
  held.add(folder)
  for (let attempt = 0; ; attempt++) {
    try {
      await writeFile(path, `${process.pid}`, { flag: "wx" })
      // Once only: afterwards the place may be somebody else's.
      return async () => {
        if (held.delete(folder)) await rm(path, { force: true })
      }
    } catch (cause) {
      const owner = Number(await readFile(path, "utf8").catch(() => ""))
      if (attempt > 2 || (owner > 0 && owner !== process.pid && isAlive(owner))) {
        held.delete(folder)
        throw new AvError("StoreError", { what: attempt > 2 ? "lock" : "locked" }, { cause })
      }
      await rm(path, { force: true })
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // EPERM: it lives and belongs to somebody else.
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}
