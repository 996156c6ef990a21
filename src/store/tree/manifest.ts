/** What a directory tree looks like when it travels: content-addressed files and one manifest (control-plane 7.1). */
import { compareUtf8 } from "../../wire/bytes.ts"
import { cborUint, type DcborValue, decodeLargeDcbor, encodeLargeDcbor } from "../../wire/dcbor.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"
import { type PathLimits, requireSafePaths, type TreeKind, type TreePath, type TreePlatform } from "./paths.ts"

/** Bytes of every chunk of a file but the last. */
export const TREE_CHUNK = 262_144

/** A file's content: its size and the SHA-256 of each chunk in order. */
export interface BlobRef {
  size: number
  chunks: Bytes[]
}

export interface TreeEntry extends TreePath {
  /** Permission bits, at most 0o777; special bits never travel (D38). */
  mode: number
  /** Of files only. */
  blob?: BlobRef
}

export interface ManifestLimits {
  manifestBytes: number
  entries: number
  /** Sum of all files, bytes. */
  totalBytes: number
  paths?: PathLimits
}
export const MANIFEST_LIMITS: ManifestLimits = { manifestBytes: 67_108_864, entries: 100_000, totalBytes: 2_147_483_648 }

const VERSION = 1n
const KINDS: TreeKind[] = ["file", "dir", "symlink"]
const [PATH, KIND, MODE, BLOB, TARGET] = [1, 2, 3, 4, 5] as const
/** An entry is a map and at most eight items in it; some slack for the frame around. */
const ITEMS_PER_ENTRY = 12

/** @throws AvError `UsageError` for a chunk list that does not fit the size. */
export function encodeBlobRef({ size, chunks }: BlobRef): Bytes {
  if (chunks.length !== chunkCount(size) || chunks.some((id) => id.length !== 32)) {
    throw new AvError("UsageError", { why: "blob reference" })
  }
  return encodeLargeDcbor([size, chunks], chunks.length + 3)
}

/** @throws AvError `Malformed` or `NonCanonical`; `Malformed` too when the number of chunks does not fit the size. */
export function decodeBlobRef(bytes: Bytes): BlobRef {
  // Each chunk takes 34 bytes, so the bytes bound the items.
  const value = decodeLargeDcbor(bytes, 3 + Math.ceil(bytes.length / 34))
  const [size, chunks] = Array.isArray(value) && value.length === 2 ? value : []
  const valid = typeof size === "number" && Array.isArray(chunks) && chunks.length === chunkCount(size)
  if (!valid || !chunks.every((id): id is Bytes => id instanceof Uint8Array && id.length === 32))
    throw malformed("blob reference")
  return { size, chunks }
}

/** Sorts the entries; special mode bits are dropped. The paths are the caller's to check with {@link requireSafePaths}. */
export function encodeManifest(entries: readonly TreeEntry[]): Bytes {
  const sorted = [...entries].sort((a, b) => compareUtf8(a.path, b.path))
  const list: DcborValue[] = sorted.map(({ path, kind, mode, blob, target }) => {
    const map = new Map<DcborValue, DcborValue>([
      [PATH, path],
      [KIND, KINDS.indexOf(kind) + 1],
    ])
    if ((mode & 0o777) !== 0) map.set(MODE, mode & 0o777)
    if (kind === "file") map.set(BLOB, encodeBlobRef(blob ?? { size: 0, chunks: [] }))
    if (kind === "symlink") map.set(TARGET, target ?? "")
    return map
  })
  const map = new Map<DcborValue, DcborValue>([
    [1, VERSION],
    [2, list],
  ])
  return encodeLargeDcbor(map, ITEMS_PER_ENTRY * (entries.length + 1))
}

/**
 * Reads a manifest and refuses it as a whole for any fault.
 * @throws AvError `TooLarge` for what exceeds a limit, `UnsafePath` for its paths and links, `Malformed` and `NonCanonical` otherwise.
 */
export function decodeManifest(bytes: Bytes, platform: TreePlatform, limits = MANIFEST_LIMITS): TreeEntry[] {
  requireAtMost("manifest", bytes.length, limits.manifestBytes)
  const map = decodeLargeDcbor(bytes, ITEMS_PER_ENTRY * (limits.entries + 2))
  if (!(map instanceof Map) || map.size !== 2 || cborUint(map.get(1)) !== VERSION) throw malformed("version")
  const list = map.get(2)
  if (!Array.isArray(list)) throw malformed("entries")
  requireAtMost("entries", list.length, limits.entries)
  const entries = list.map(readEntry)
  let previous: string | undefined
  let total = 0
  for (const { path, blob } of entries) {
    if (previous !== undefined && compareUtf8(previous, path) >= 0) throw malformed("order of paths")
    previous = path
    total += blob?.size ?? 0
  }
  requireAtMost("files", total, limits.totalBytes)
  requireSafePaths(entries, platform, limits.paths)
  return entries
}

function readEntry(value: DcborValue): TreeEntry {
  if (!(value instanceof Map)) throw malformed("entry")
  const path = value.get(PATH)
  const kind = KINDS[Number(cborUint(value.get(KIND)) ?? 0n) - 1]
  const mode = value.has(MODE) ? value.get(MODE) : 0
  if (typeof path !== "string" || kind === undefined) throw malformed("path or kind")
  // A zero is left out, or one tree would have two manifests.
  if (typeof mode !== "number" || mode > 0o777 || (mode === 0 && value.has(MODE))) throw malformed("mode")
  const expected = 2 + (value.has(MODE) ? 1 : 0) + (kind === "dir" ? 0 : 1)
  if (value.size !== expected) throw malformed("members of an entry")
  if (kind === "dir") return { path, kind, mode }
  if (kind === "symlink") {
    const target = value.get(TARGET)
    if (typeof target !== "string") throw malformed("target")
    return { path, kind, mode, target }
  }
  const blob = value.get(BLOB)
  if (!(blob instanceof Uint8Array)) throw malformed("blob")
  return { path, kind, mode, blob: decodeBlobRef(blob) }
}

/** How many chunks a file of `size` bytes has. */
export function chunkCount(size: number): number {
  return Math.ceil(size / TREE_CHUNK)
}

function requireAtMost(field: string, actual: number, limit: number): void {
  if (actual > limit) throw new AvError("TooLarge", { field, actual, limit })
}

function malformed(why: string): AvError {
  return new AvError("Malformed", { why: `manifest: ${why}` })
}
