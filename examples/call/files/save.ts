/** Gets fetched files out of the browser's private storage: as downloads, or into a folder of the person's choice. */
import type { FetchedFiles } from "holomesh"

/** Browsers read a download's link at once; this is for those that do not. */
const KEEP_LINK_MS = 60_000

export async function saveFile(fetched: FetchedFiles, path: string): Promise<void> {
  const url = URL.createObjectURL(await fetched.open(path))
  const link = document.createElement("a")
  link.href = url
  link.download = path.split("/").at(-1) ?? "file"
  link.click()
  setTimeout(() => URL.revokeObjectURL(url), KEEP_LINK_MS)
}

type PickFolder = (options: { mode: "readwrite" }) => Promise<FileSystemDirectoryHandle>

/** Writes everything into a folder; undefined where the browser cannot. The paths were checked when they were fetched. */
export const folderSaver: ((fetched: FetchedFiles) => Promise<void>) | undefined =
  "showDirectoryPicker" in globalThis ? saveFolder : undefined

async function saveFolder(fetched: FetchedFiles): Promise<void> {
  const pick = (globalThis as unknown as { showDirectoryPicker: PickFolder }).showDirectoryPicker
  let top: FileSystemDirectoryHandle
  try {
    top = await pick({ mode: "readwrite" })
  } catch (error) {
    // The person closed the dialogue.
    if (error instanceof DOMException && error.name === "AbortError") return
    throw error
  }
  for (const { path } of fetched.files) {
    const parts = path.split("/")
    const name = parts.pop() ?? ""
    let folder = top
    for (const part of parts) folder = await folder.getDirectoryHandle(part, { create: true })
    const handle = await folder.getFileHandle(name, { create: true })
    await (await fetched.open(path)).stream().pipeTo(await handle.createWritable())
  }
}

export function sizeInWords(bytes: number): string {
  if (bytes < 1_000) return `${bytes} bytes`
  const units = ["kB", "MB", "GB", "TB"]
  let value = bytes
  let unit = -1
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1_000
    unit++
  }
  return `${value.toLocaleString([], { maximumFractionDigits: value < 10 ? 1 : 0 })} ${units[unit]}`
}
