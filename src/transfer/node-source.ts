/** A file or a folder on the disk of a Node program as something to share: read when somebody asks for it. Not for browsers. */
import { constants, type Dirent, type Stats } from "node:fs"
import { lstat, open, readdir, readlink, realpath, stat } from "node:fs/promises"
import { basename, join, resolve } from "node:path"
import { MANIFEST_LIMITS } from "../store/tree/manifest.ts"
import { MAX_PATH_DEPTH } from "../store/tree/paths.ts"
import { compareUtf8 } from "../wire/bytes.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"
import type { ByteSource, SourceEntry } from "./shared-tree.ts"

const PERMISSIONS = 0o777

export interface NodeTree {
  /** Of the file or folder. */
  name: string
  /** Paths below the folder; of a single file its name alone. */
  entries: SourceEntry[]
  /** Paths of what is neither file, folder nor link, and so cannot be shared. */
  skipped: string[]
}

/**
 * Lists what lies at `path`, with permissions and symbolic links as they are; no link below it is followed.
 * @throws AvError `StoreError` for what cannot be read, with its `path`; `TooLarge` for too many entries; `Aborted`
 */
export async function readNodeTree(path: string, { signal }: { signal?: AbortSignal } = {}): Promise<NodeTree> {
  const root = await reading(path, () => realpath(path))
  const tree: NodeTree = { name: basename(resolve(path)), entries: [], skipped: [] }
  const info = await reading(path, () => stat(root))
  if (info.isFile()) tree.entries.push(fileEntry(tree.name, root, info))
  else if (info.isDirectory()) await walk(root, "", tree, signal)
  else throw new AvError("StoreError", { what: "neither file nor folder", path })
  return tree
}

async function walk(folder: string, below: string, tree: NodeTree, signal: AbortSignal | undefined): Promise<void> {
  const items = await reading(below, () => readdir(folder, { withFileTypes: true }))
  for (const item of items.sort((a, b) => compareUtf8(a.name, b.name))) {
    if (signal?.aborted) throw new AvError("Aborted")
    const path = below === "" ? item.name : `${below}/${item.name}`
    await add(join(folder, item.name), path, item, tree, signal)
    const actual = tree.entries.length
    if (actual > MANIFEST_LIMITS.entries)
      throw new AvError("TooLarge", { field: "entries", actual, limit: MANIFEST_LIMITS.entries })
  }
}

async function add(place: string, path: string, item: Dirent, tree: NodeTree, signal: AbortSignal | undefined): Promise<void> {
  const info = await reading(path, () => lstat(place))
  if (item.isSymbolicLink()) {
    tree.entries.push({ path, kind: "symlink", mode: 0, target: await reading(path, () => readlink(place)) })
  } else if (item.isDirectory()) {
    tree.entries.push({ path, kind: "dir", mode: info.mode & PERMISSIONS })
    // Deeper than any receiver takes it: said now, rather than after a walk without end.
    if (path.split("/").length > MAX_PATH_DEPTH) throw new AvError("UnsafePath", { path, why: "limit" })
    await walk(place, path, tree, signal)
  } else if (item.isFile()) tree.entries.push(fileEntry(path, place, info))
  else tree.skipped.push(path)
}

function fileEntry(path: string, place: string, info: Stats): SourceEntry {
  return { path, kind: "file", mode: info.mode & PERMISSIONS, source: new FileSource(place, path, info) }
}

/** A file that stays where it is. Once it has changed it is not given away any more: its hashes are those of before. */
class FileSource implements ByteSource {
  readonly size: number
  readonly #place: string
  readonly #path: string
  readonly #changedMs: number

  constructor(place: string, path: string, { size, mtimeMs }: Stats) {
    this.size = size
    this.#place = place
    this.#path = path
    this.#changedMs = mtimeMs
  }

  read(offset: number, length: number): Promise<Bytes> {
    return reading(this.#path, async () => {
      const { O_RDONLY, O_NOFOLLOW = 0 } = constants
      const file = await open(this.#place, O_RDONLY | O_NOFOLLOW)
      try {
        const { size, mtimeMs } = await file.stat()
        if (size !== this.size || mtimeMs !== this.#changedMs)
          throw new AvError("StoreError", { what: "changed", path: this.#path })
        const buffer = new Uint8Array(length)
        for (let done = 0; done < length; ) {
          const { bytesRead } = await file.read(buffer, done, length - done, offset + done)
          if (bytesRead === 0) throw new AvError("StoreError", { what: "short read", path: this.#path })
          done += bytesRead
        }
        return buffer
      } finally {
        await file.close()
      }
    })
  }
}

async function reading<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    throw isAvError(cause) ? cause : new AvError("StoreError", { what: "read", path }, { cause })
  }
}
