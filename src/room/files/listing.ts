/** The files that a page hands over, as a tree to share, and what it is called. */
import { type SourceEntry, sourceOfBlob } from "../../transfer/index.ts"
import type { SharedFile } from "./types.ts"

const FILE_MODE = 0o644
const DIRECTORY_MODE = 0o755

export function sharedFile(item: File | SharedFile): SharedFile {
  if (!(item instanceof File)) return item
  return { path: item.webkitRelativePath || item.name, file: item }
}

/** The files, and the directories on the way to them. */
export function entriesOf(files: readonly SharedFile[]): SourceEntry[] {
  const directories = new Set<string>()
  for (const { path } of files) {
    const parts = path.split("/")
    for (let i = 1; i < parts.length; i++) directories.add(parts.slice(0, i).join("/"))
  }
  return [
    ...[...directories].map((path): SourceEntry => ({ path, kind: "dir", mode: DIRECTORY_MODE })),
    ...files.map(({ path, file }): SourceEntry => ({ path, kind: "file", mode: FILE_MODE, source: sourceOfBlob(file) })),
  ]
}

/** The one file, the folder that holds all of them, or how many there are. */
export function nameOf(files: readonly SharedFile[]): string {
  const [first] = files
  const folder = first?.path.split("/")[0] ?? ""
  if (files.length > 1 || first?.path.includes("/") === true) {
    return files.every(({ path }) => path.startsWith(`${folder}/`)) ? folder : `${files.length} files`
  }
  return first?.path ?? ""
}
