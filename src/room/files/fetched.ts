/** A fetched tree in the browser's private storage, as the application reads it. */
import type { TreeEntry } from "../../store/tree/manifest.ts"
import { openOpfsTree } from "../../transfer/index.ts"
import { AvError, isAvError } from "../../wire/errors.ts"
import type { FetchedFiles } from "./types.ts"

const FOLDER = "holomesh-files"

/** The directory that keeps one content. @throws AvError `StoreError` where the browser has no such storage */
export async function contentFolder(id: string): Promise<FileSystemDirectoryHandle> {
  return stored(async () => (await top()).getDirectoryHandle(id, { create: true }))
}

/** Forgets a content, or what was fetched of it. Nothing happens when there is none. */
export async function forgetContent(id: string): Promise<void> {
  await stored(async () => {
    const folder = await top()
    await folder.removeEntry(id, { recursive: true }).catch((error: unknown) => {
      if (!(error instanceof DOMException && error.name === "NotFoundError")) throw error
    })
  })
}

export function fetchedFiles(id: string, name: string, entries: readonly TreeEntry[]): FetchedFiles {
  const files = entries.filter(({ kind }) => kind === "file").map(({ path, blob }) => ({ path, size: blob?.size ?? 0 }))
  const links = entries.flatMap(({ kind, path, target = "" }) => (kind === "symlink" ? [{ path, target }] : []))
  return {
    id,
    name,
    files,
    links,
    async open(path) {
      if (!files.some((file) => file.path === path)) throw new AvError("UsageError", { why: "no such file" })
      return stored(async () => {
        const parts = path.split("/")
        const last = parts.pop() ?? ""
        let folder = (await openOpfsTree(await contentFolder(id)))?.folder
        for (const part of parts) folder = await folder?.getDirectoryHandle(part)
        if (folder === undefined) throw new AvError("StoreError", { what: "removed" })
        return (await folder.getFileHandle(last)).getFile()
      })
    },
    remove: () => forgetContent(id),
  }
}

async function top(): Promise<FileSystemDirectoryHandle> {
  return (await navigator.storage.getDirectory()).getDirectoryHandle(FOLDER, { create: true })
}

async function stored<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    throw isAvError(cause) ? cause : new AvError("StoreError", { what: "private storage" }, { cause })
  }
}
