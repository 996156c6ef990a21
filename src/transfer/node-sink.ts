/** Builds a fetched tree on the disk of a Node program, and installs it by renaming. Not for browsers. */

import { constants } from "node:fs"
import { chmod, type FileHandle, lstat, mkdir, open, readdir, rename, rm, rmdir, symlink } from "node:fs/promises"
import { basename, dirname, join, relative, resolve, sep } from "node:path"
import { secureRandom } from "../crypto/index.ts"
import type { TreeEntry } from "../store/tree/manifest.ts"
import { toHex } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"
import type { TreeFile, TreeSink } from "./sink.ts"

const NEW_DIRECTORY = 0o700
const NEW_FILE = 0o600
const PERMISSIONS = 0o777

export interface NodeSinkOptions {
  /** Keeps what a failed attempt has written, and goes on from it. Default: a failed attempt leaves nothing behind. */
  resume?: boolean
  /** False: what is at the destination is left alone, and the fetch fails unless that is nothing or an empty folder. Default true. */
  replace?: boolean
  platform?: "posix" | "windows"
}

export class NodeTreeSink implements TreeSink {
  readonly platform: "posix" | "windows"
  /** Links that this system would not make (Windows asks for a right that people seldom have). */
  linksFailed = 0
  readonly #destination: string
  readonly #resume: boolean
  readonly #replace: boolean
  #place = ""
  #made = false

  /** @param destination where the tree shall be; what is there is replaced as a whole, unless told otherwise. Its parent must exist. */
  constructor(destination: string, { resume = false, replace = true, platform }: NodeSinkOptions = {}) {
    this.#destination = resolve(destination)
    this.#resume = resume
    this.#replace = replace
    this.platform = platform ?? (process.platform === "win32" ? "windows" : "posix")
  }

  async begin(id: string, entries: readonly TreeEntry[]): Promise<void> {
    this.#place = this.#sibling("fetch", this.#resume ? id : toHex(secureRandom(8)))
    try {
      await mkdir(this.#place, { mode: NEW_DIRECTORY })
    } catch (cause) {
      if (!this.#resume || !isCode(cause, "EEXIST")) throw storeError("create", cause)
      await requireOwnTree(this.#place, new Set(entries.filter(({ kind }) => kind === "file").map(({ path }) => path)))
    }
    this.#made = true
  }

  async directory(path: string): Promise<void> {
    try {
      await mkdir(this.#at(path), { mode: NEW_DIRECTORY })
    } catch (cause) {
      if (!this.#resume || !isCode(cause, "EEXIST")) throw storeError("create", cause)
    }
  }

  async open(path: string, size: number): Promise<TreeFile> {
    // Never through a link: the place holds none while files are written, and the system refuses to follow one.
    const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW = 0 } = constants
    const flags = O_RDWR | O_CREAT | O_NOFOLLOW | (this.#resume ? 0 : O_EXCL)
    let handle: FileHandle
    try {
      handle = await open(this.#at(path), flags, NEW_FILE)
      if ((await handle.stat()).size > size) await handle.truncate(size)
    } catch (cause) {
      throw storeError("create", cause)
    }
    return new NodeFile(handle, size)
  }

  async link(path: string, target: string): Promise<void> {
    try {
      await symlink(target, this.#at(path))
    } catch (cause) {
      if (this.platform !== "windows") throw storeError("link", cause)
      this.linksFailed++
    }
  }

  async commit(entries: readonly TreeEntry[]): Promise<void> {
    // Deepest first: a directory that loses its own permissions could not be entered any more.
    const deepest = entries.filter(({ kind, mode }) => kind !== "symlink" && mode !== 0).toReversed()
    for (const { path, mode } of deepest) await chmod(this.#at(path), mode & PERMISSIONS)
    const replaced = this.#sibling("replaced", toHex(secureRandom(8)))
    const found = await exists(this.#destination)
    if (found && !this.#replace) await removeEmpty(this.#destination)
    const replaces = found && this.#replace
    try {
      if (replaces) await rename(this.#destination, replaced)
      await rename(this.#place, this.#destination)
    } catch (cause) {
      if (replaces && !(await exists(this.#destination))) await rename(replaced, this.#destination)
      throw storeError("install", cause)
    }
    this.#made = false
    if (replaces) await rm(replaced, { recursive: true, force: true })
  }

  async abort(): Promise<void> {
    if (!this.#resume) await this.discard().catch(() => undefined)
  }

  /** Removes what an attempt has left with `resume`. Nothing happens when there is nothing, or when the tree was installed. */
  async discard(): Promise<void> {
    if (!this.#made) return
    this.#made = false
    await rm(this.#place, { recursive: true, force: true })
  }

  #at(path: string): string {
    return join(this.#place, ...path.split("/"))
  }

  #sibling(kind: string, id: string): string {
    return join(dirname(this.#destination), `.${basename(this.#destination)}.${kind}_${id}`)
  }
}

class NodeFile implements TreeFile {
  readonly #handle: FileHandle
  readonly #size: number

  constructor(handle: FileHandle, size: number) {
    this.#handle = handle
    this.#size = size
  }

  async existing(offset: number, length: number): Promise<Bytes | undefined> {
    const buffer = new Uint8Array(length)
    const { bytesRead } = await this.#handle.read(buffer, 0, length, offset)
    return bytesRead === length ? buffer : undefined
  }

  async write(offset: number, bytes: Bytes): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, offset + done)
      done += bytesWritten
    }
  }

  async close(): Promise<void> {
    const { size } = await this.#handle.stat()
    await this.#handle.sync()
    await this.#handle.close()
    if (size !== this.#size) throw new AvError("StoreError", { what: "size", got: size, expected: this.#size })
  }

  async giveUp(): Promise<void> {
    await this.#handle.close().catch(() => undefined)
  }
}

/** What an earlier attempt left: directories, and plain files of the manifest. Links in it, or more, would be somebody else's. */
async function requireOwnTree(place: string, files: ReadonlySet<string>): Promise<void> {
  const own = await lstat(place)
  const foreign = process.getuid !== undefined && own.uid !== process.getuid()
  if (!own.isDirectory() || foreign) throw new AvError("StoreError", { what: "not our directory" })
  for (const item of await readdir(place, { withFileTypes: true, recursive: true })) {
    const path = relative(place, join(item.parentPath, item.name)).split(sep).join("/")
    if (!item.isDirectory() && !(item.isFile() && files.has(path))) throw new AvError("StoreError", { what: "not our file" })
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (isCode(error, "ENOENT")) return false
    throw storeError("look", error)
  }
}

/** Nobody's files are in an empty folder; the system itself refuses any other. */
async function removeEmpty(path: string): Promise<void> {
  try {
    await rmdir(path)
  } catch (cause) {
    throw storeError("destination exists", cause)
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code
}

function storeError(what: string, cause: unknown): AvError {
  if (isCode(cause, "ENOSPC") || isCode(cause, "EDQUOT")) return new AvError("QuotaExceeded", {}, { cause })
  return new AvError("StoreError", { what }, { cause })
}
