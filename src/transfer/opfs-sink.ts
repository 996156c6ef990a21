/** Builds a fetched tree in the browser's private file system, which knows neither links nor permissions (control-plane 7.5). */
import type { TreeEntry } from "../store/tree/manifest.ts"
import { encodeLargeDcbor } from "../wire/dcbor.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"
import { type CurrentTree, readCurrent, writeCurrent } from "./opfs-current.ts"
import type { TreeFile, TreeSink } from "./sink.ts"

/** Of the room that the browser says is left. */
const QUOTA_SHARE = 0.8
/** A large file is saved so often while it grows, so that a page that dies does not lose all of it. Bytes. */
const SAVE_EVERY = 134_217_728
const ITEMS_PER_ENTRY = 3

interface OpfsSinkOptions {
  /** `record` keeps links in a list beside the tree; none is ever followed. Default `record`. */
  symlinks?: "reject" | "skip" | "record"
  /** Bytes left in the browser's storage; default: what it says. */
  bytesLeft?(): Promise<number>
}

/**
 * One destination is one directory: `CURRENT` names the tree that counts, `trees/` holds it and what is being built. An attempt that
 * failed stays there, and the next one for the same content goes on from it.
 */
export class OpfsTreeSink implements TreeSink {
  readonly platform = "opfs"
  readonly #destination: FileSystemDirectoryHandle
  readonly #options: OpfsSinkOptions
  #id = ""
  #tree: FileSystemDirectoryHandle | undefined

  constructor(destination: FileSystemDirectoryHandle, options: OpfsSinkOptions = {}) {
    this.#destination = destination
    this.#options = options
  }

  async begin(id: string, entries: readonly TreeEntry[], totalBytes: number): Promise<void> {
    const { symlinks = "record", bytesLeft = estimate } = this.#options
    const link = entries.find(({ kind }) => kind === "symlink")
    if (link !== undefined && symlinks === "reject") throw new AvError("UnsafePath", { why: "a link" })
    const left = await bytesLeft()
    if (totalBytes > left * QUOTA_SHARE) throw new AvError("QuotaExceeded", { bytes: totalBytes, left: Math.floor(left) })
    this.#id = id
    await guarded("create", async () => {
      const current = await readCurrent(this.#destination)
      const trees = await this.#destination.getDirectoryHandle("trees", { create: true })
      // Another attempt and what was replaced: nobody will ask for them again.
      await collect(trees, [id, ...(current === undefined ? [] : [current.id])])
      this.#tree = await trees.getDirectoryHandle(id, { create: true })
    })
  }

  async directory(path: string): Promise<void> {
    await guarded("create", () => this.#directory(path.split("/")))
  }

  async open(path: string, size: number): Promise<TreeFile> {
    const parts = path.split("/")
    const name = parts.pop() ?? ""
    return guarded("create", async () => {
      const folder = await this.#directory(parts)
      const handle = await folder.getFileHandle(name, { create: true })
      if (typeof handle.createWritable !== "function") throw new AvError("StoreError", { what: "unsupported" })
      return new OpfsFile(handle, size)
    })
  }

  /** Kept in the side file that {@link commit} writes. */
  async link(): Promise<void> {}

  async commit(entries: readonly TreeEntry[]): Promise<void> {
    const { symlinks = "record" } = this.#options
    const kept = symlinks === "record" ? entries : entries.filter(({ kind }) => kind !== "symlink")
    await guarded("install", async () => {
      const trees = await this.#destination.getDirectoryHandle("trees")
      await writeFile(await trees.getFileHandle(`${this.#id}.links.cbor`, { create: true }), sideFile(kept))
      await writeCurrent(this.#destination, this.#id)
      await collect(trees, [this.#id])
    })
  }

  /** What was written stays for the next attempt; the destination is as it was. */
  async abort(): Promise<void> {}

  async #directory(parts: readonly string[]): Promise<FileSystemDirectoryHandle> {
    let folder = this.#tree
    if (folder === undefined) throw new AvError("UsageError", { why: "begin comes first" })
    for (const part of parts) folder = await folder.getDirectoryHandle(part, { create: true })
    return folder
  }
}

/** The tree that is installed at a destination; undefined when there is none. */
export function openOpfsTree(destination: FileSystemDirectoryHandle): Promise<CurrentTree | undefined> {
  return guarded("open", () => readCurrent(destination))
}

/** Links and permissions, which the file system cannot hold: two lists of pairs. */
function sideFile(entries: readonly TreeEntry[]): Bytes {
  const links = entries.flatMap(({ kind, path, target }) => (kind === "symlink" ? [[path, target ?? ""]] : []))
  const modes = entries.flatMap(({ path, mode }) => (mode === 0 ? [] : [[path, mode]]))
  return encodeLargeDcbor([links, modes], 3 + ITEMS_PER_ENTRY * (links.length + modes.length))
}

class OpfsFile implements TreeFile {
  readonly #handle: FileSystemFileHandle
  readonly #size: number
  #line: Promise<unknown> = Promise.resolve()
  #writable: FileSystemWritableFileStream | undefined
  #unsaved = 0

  constructor(handle: FileSystemFileHandle, size: number) {
    this.#handle = handle
    this.#size = size
  }

  async existing(offset: number, length: number): Promise<Bytes | undefined> {
    return guarded("read", async () => {
      const file = await this.#handle.getFile()
      if (file.size < offset + length) return undefined
      return new Uint8Array(await file.slice(offset, offset + length).arrayBuffer())
    })
  }

  write(offset: number, bytes: Bytes): Promise<void> {
    return this.#inLine(async () => {
      this.#writable ??= await this.#handle.createWritable({ keepExistingData: true })
      await this.#writable.write({ type: "write", position: offset, data: bytes as Uint8Array<ArrayBuffer> })
      this.#unsaved += bytes.length
      if (this.#unsaved >= SAVE_EVERY) await this.#save()
    })
  }

  close(): Promise<void> {
    return this.#inLine(async () => {
      await this.#save()
      const { size } = await this.#handle.getFile()
      if (size < this.#size) throw new AvError("StoreError", { what: "size", got: size, expected: this.#size })
      if (size === this.#size) return
      // A longer file of another attempt.
      const writable = await this.#handle.createWritable({ keepExistingData: true })
      await writable.truncate(this.#size)
      await writable.close()
    })
  }

  async giveUp(): Promise<void> {
    // What is verified so far is kept for the next attempt.
    await this.#inLine(() => this.#save()).catch(() => undefined)
  }

  async #save(): Promise<void> {
    const writable = this.#writable
    this.#writable = undefined
    this.#unsaved = 0
    await writable?.close()
  }

  /** One stream writes a file: its writes follow each other. */
  #inLine(work: () => Promise<void>): Promise<void> {
    const done = this.#line.then(() => guarded("write", work))
    this.#line = done.catch(() => undefined)
    return done
  }
}

async function collect(trees: FileSystemDirectoryHandle, keep: readonly string[]): Promise<void> {
  const names: string[] = []
  for await (const name of trees.keys()) names.push(name)
  for (const name of names) {
    if (!keep.some((id) => name === id || name === `${id}.links.cbor`)) await trees.removeEntry(name, { recursive: true })
  }
}

async function writeFile(handle: FileSystemFileHandle, bytes: Bytes): Promise<void> {
  const writable = await handle.createWritable()
  await writable.write(bytes as Uint8Array<ArrayBuffer>)
  await writable.close()
}

async function estimate(): Promise<number> {
  const { quota = 0, usage = 0 } = await navigator.storage.estimate()
  return Math.max(0, quota - usage)
}

async function guarded<T>(what: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    if (isAvError(cause)) throw cause
    const full = cause instanceof DOMException && cause.name === "QuotaExceededError"
    throw full ? new AvError("QuotaExceeded", {}, { cause }) : new AvError("StoreError", { what }, { cause })
  }
}
