/** Which tree of a destination counts: a small file with a checksum, written twice where it cannot be moved into place (control-plane 7.5). */
import { sha256Sync } from "../crypto/index.ts"
import { toHex, utf8Encode } from "../wire/bytes.ts"
import type { Bytes } from "../wire/types.ts"

const MAGIC = "MTC1"
const CURRENT = "CURRENT"
const NEXT = "CURRENT.next"
/** Longest file that is worth reading, bytes. */
const MAX_LENGTH = 64
const CHECK_BYTES = 8

/** The tree that counts. */
export interface CurrentTree {
  /** 16 hex digits. */
  id: string
  folder: FileSystemDirectoryHandle
}

/** `MTC1 <id> <first 8 bytes of the SHA-256 of what comes before, in hex>`. */
function currentText(id: string): Bytes {
  const said = `${MAGIC} ${id}`
  return utf8Encode(`${said} ${checksum(said)}`)
}

/** The id in such a file; undefined for one that is torn or something else. */
export function parseCurrent(bytes: Bytes): string | undefined {
  if (bytes.length > MAX_LENGTH) return undefined
  const match = /^(MTC1 ([0-9a-f]{16})) ([0-9a-f]{16})$/.exec(String.fromCharCode(...bytes))
  const [, said = "", id, check] = match ?? []
  return id !== undefined && check === checksum(said) ? id : undefined
}

/** A torn file says nothing; then the other one does, and what neither names does not count. */
export async function readCurrent(destination: FileSystemDirectoryHandle): Promise<CurrentTree | undefined> {
  for (const name of [CURRENT, NEXT]) {
    const bytes = await readSmall(destination, name)
    const id = bytes && parseCurrent(bytes)
    const folder = id === undefined ? undefined : await treeFolder(destination, id)
    if (id !== undefined && folder !== undefined) return { id, folder }
  }
  return undefined
}

/** After this the tree counts. Until the very end the former one does, or the new one; never none. */
export async function writeCurrent(destination: FileSystemDirectoryHandle, id: string): Promise<void> {
  const text = currentText(id)
  const next = await destination.getFileHandle(NEXT, { create: true })
  await write(next, text)
  if (canMove(next)) {
    await next.move(CURRENT)
    return
  }
  await write(await destination.getFileHandle(CURRENT, { create: true }), text)
  await destination.removeEntry(NEXT)
}

interface MovableFile extends FileSystemFileHandle {
  move(name: string): Promise<void>
}

/** Not all browsers can, and the DOM types do not know it. */
function canMove(handle: FileSystemFileHandle): handle is MovableFile {
  return "move" in handle && typeof handle.move === "function"
}

async function write(handle: FileSystemFileHandle, bytes: Bytes): Promise<void> {
  const writable = await handle.createWritable()
  await writable.write(bytes as Uint8Array<ArrayBuffer>)
  await writable.close()
}

async function readSmall(folder: FileSystemDirectoryHandle, name: string): Promise<Bytes | undefined> {
  try {
    const file = await (await folder.getFileHandle(name)).getFile()
    return file.size > MAX_LENGTH ? undefined : new Uint8Array(await file.arrayBuffer())
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

async function treeFolder(destination: FileSystemDirectoryHandle, id: string): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    return await (await destination.getDirectoryHandle("trees")).getDirectoryHandle(id)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof DOMException && error.name === "NotFoundError"
}

function checksum(said: string): string {
  return toHex(sha256Sync(utf8Encode(said)).subarray(0, CHECK_BYTES))
}
