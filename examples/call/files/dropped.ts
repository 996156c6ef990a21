/** What somebody dropped: files, and folders with everything in them. */
import type { SharedFile } from "holomesh"

/** More than the SDK takes need not be collected. */
const MAX_FILES = 100_000

/** Must be called while the event is handled: afterwards the browser shows nothing of it any more. */
export function droppedFiles(transfer: DataTransfer): Promise<SharedFile[]> {
  const entries = [...transfer.items].flatMap((item) => item.webkitGetAsEntry() ?? [])
  const found: SharedFile[] = []
  return (async () => {
    for (const entry of entries) await collect(entry, found)
    return found
  })()
}

async function collect(entry: FileSystemEntry, found: SharedFile[]): Promise<void> {
  if (found.length >= MAX_FILES) return
  if (isFile(entry)) {
    const file = await new Promise<File>((resolve, reject) => entry.file(resolve, reject))
    found.push({ path: entry.fullPath.replace(/^\//, ""), file })
    return
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader()
  for (;;) {
    // Browsers give a folder in portions; an empty one is the last.
    const portion = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject))
    if (portion.length === 0) return
    for (const child of portion) await collect(child, found)
  }
}

function isFile(entry: FileSystemEntry): entry is FileSystemFileEntry {
  return entry.isFile
}
