/** Fetches a tree: manifest, checks, files chunk by chunk, links, and only then the place where it is wanted (control-plane 7.4). */
import { sha256, sha256Sync } from "../crypto/index.ts"
import {
  type BlobRef,
  decodeManifest,
  encodeBlobRef,
  MANIFEST_LIMITS,
  type ManifestLimits,
  TREE_CHUNK,
  type TreeEntry,
} from "../store/tree/manifest.ts"
import { concatBytes, equalBytes, toHex } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"
import { Budget } from "./budget.ts"
import type { TreeFile, TreeSink } from "./sink.ts"

const CONCURRENCY = 16
/** Bytes asked for and not written yet. */
export const BYTES_IN_FLIGHT_NODE = 8_388_608
export const BYTES_IN_FLIGHT_BROWSER = 4_194_304
/** Bytes of a digest that name a content among those of one place. */
const ID_BYTES = 8

interface FetchProgress {
  /** Bytes in place, those of an earlier attempt included. */
  bytes: number
  totalBytes: number
  files: number
  totalFiles: number
}

interface FetchTreeOptions {
  /** Of the manifest. */
  ref: BlobRef
  /** A chunk of exactly `length` bytes whose hash is `chunkId`. */
  get(chunkId: Bytes, length: number, signal: AbortSignal): Promise<Bytes>
  sink: TreeSink
  limits?: Partial<ManifestLimits>
  bytesInFlight: number
  onProgress?(progress: FetchProgress): void
  signal?: AbortSignal | undefined
}

/** What names a content in the place it is built in. */
export function treeId(ref: BlobRef): string {
  return toHex(sha256Sync(encodeBlobRef(ref)).subarray(0, ID_BYTES))
}

/**
 * Fetches a tree into the sink, or leaves everything as it was.
 * @throws AvError `TooLarge`, `UnsafePath`, `Malformed`, `NonCanonical` for a manifest that is refused as a whole, before anything is
 * written; what `get` and the sink throw; `Aborted`
 */
export async function fetchTree({ ref, get, sink, ...options }: FetchTreeOptions): Promise<TreeEntry[]> {
  const limits = { ...MANIFEST_LIMITS, ...options.limits }
  const stop = new AbortController()
  const signal = options.signal === undefined ? stop.signal : AbortSignal.any([stop.signal, options.signal])
  const budget = new Budget(CONCURRENCY, options.bytesInFlight)
  const entries = decodeManifest(await manifestBytes(ref, limits.manifestBytes, get, budget, signal), sink.platform, limits)
  const files = entries.filter(({ kind }) => kind === "file")
  const progress: FetchProgress = {
    bytes: 0,
    totalBytes: files.reduce((sum, { blob }) => sum + (blob?.size ?? 0), 0),
    files: 0,
    totalFiles: files.length,
  }
  const tell = (bytes: number, done: boolean) => {
    progress.bytes += bytes
    if (done) progress.files++
    options.onProgress?.({ ...progress })
  }
  requireGoing(signal)
  try {
    await sink.begin(treeId(ref), entries, progress.totalBytes)
    for (const path of directoriesOf(entries)) await sink.directory(path)
    options.onProgress?.({ ...progress })
    await writeFiles(files, { sink, get, budget, signal, tell, stop: () => stop.abort() })
    for (const { path, kind, target } of entries) if (kind === "symlink") await sink.link(path, target ?? "")
    requireGoing(signal)
    await sink.commit(entries)
  } catch (error) {
    stop.abort()
    await sink.abort()
    throw options.signal?.aborted === true ? new AvError("Aborted", {}, { cause: error }) : error
  }
  return entries
}

async function manifestBytes(
  ref: BlobRef,
  limit: number,
  get: FetchTreeOptions["get"],
  budget: Budget,
  signal: AbortSignal,
): Promise<Bytes> {
  if (ref.size > limit) throw new AvError("TooLarge", { field: "manifest", actual: ref.size, limit })
  // Checks that the list fits the size, also of a reference that was made by hand.
  encodeBlobRef(ref)
  const parts = ref.chunks.map(async (chunkId, index) => {
    const length = lengthOf(ref, index)
    const over = await budget.take(length)
    try {
      requireGoing(signal)
      return await get(chunkId, length, signal)
    } finally {
      over()
    }
  })
  return concatBytes(...(await Promise.all(parts)))
}

interface Writing {
  sink: TreeSink
  get: FetchTreeOptions["get"]
  budget: Budget
  signal: AbortSignal
  tell(bytes: number, done: boolean): void
  stop(): void
}

/** All files, several at a time. The first failure stops the others; this returns when none is under way any more. */
async function writeFiles(files: readonly TreeEntry[], writing: Writing): Promise<void> {
  const queue = [...files]
  let failure: { error: unknown } | undefined
  const worker = async () => {
    for (let file = queue.shift(); file !== undefined && failure === undefined; file = queue.shift()) {
      try {
        await writeFile(file, writing)
      } catch (error) {
        failure ??= { error }
        writing.stop()
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(CONCURRENCY, files.length) }, worker))
  if (failure !== undefined) throw failure.error
}

async function writeFile({ path, mode, blob }: TreeEntry, writing: Writing): Promise<void> {
  requireGoing(writing.signal)
  const ref = blob ?? { size: 0, chunks: [] }
  const file = await writing.sink.open(path, ref.size, mode)
  const chunks = await Promise.allSettled(ref.chunks.map((chunkId, index) => writeChunk(file, ref, index, chunkId, writing)))
  const failed = chunks.find((result) => result.status === "rejected")
  if (failed !== undefined) {
    await file.giveUp()
    throw failed.reason
  }
  await file.close()
  writing.tell(0, true)
}

async function writeChunk(file: TreeFile, ref: BlobRef, index: number, chunkId: Bytes, writing: Writing): Promise<void> {
  const { get, budget, signal, tell } = writing
  const length = lengthOf(ref, index)
  const over = await budget.take(length)
  try {
    requireGoing(signal)
    const offset = index * TREE_CHUNK
    const kept = await file.existing(offset, length)
    if (kept === undefined || !equalBytes(await sha256(kept), chunkId)) {
      await file.write(offset, await get(chunkId, length, signal))
    }
    tell(length, false)
  } catch (error) {
    // The others of this file, and of the rest, need not go on.
    writing.stop()
    throw error
  } finally {
    over()
  }
}

function lengthOf({ size }: BlobRef, index: number): number {
  return Math.min(TREE_CHUNK, size - index * TREE_CHUNK)
}

/** The declared directories and those on the way to something, parents first. */
function directoriesOf(entries: readonly TreeEntry[]): string[] {
  const paths = new Set<string>()
  for (const { path, kind } of entries) {
    const parts = path.split("/")
    const depth = kind === "dir" ? parts.length : parts.length - 1
    for (let i = 1; i <= depth; i++) paths.add(parts.slice(0, i).join("/"))
  }
  return [...paths].sort((a, b) => a.split("/").length - b.split("/").length || (a < b ? -1 : 1))
}

function requireGoing(signal: AbortSignal): void {
  if (signal.aborted) throw new AvError("Aborted")
}
