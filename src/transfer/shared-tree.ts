/** What somebody shares: files cut into chunks, named by their hashes, and a manifest. Nothing is copied: chunks are read when asked for. */
import { sha256 } from "../crypto/index.ts"
import {
  type BlobRef,
  encodeManifest,
  MANIFEST_LIMITS,
  type ManifestLimits,
  TREE_CHUNK,
  type TreeEntry,
} from "../store/tree/manifest.ts"
import { requireSafePaths } from "../store/tree/paths.ts"
import { toHex } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"

/** Bytes that can be read again and again. */
export interface ByteSource {
  readonly size: number
  read(offset: number, length: number): Promise<Bytes>
}

export type SourceEntry = Omit<TreeEntry, "blob"> & { source?: ByteSource }

interface Place {
  source: ByteSource
  offset: number
  length: number
}

interface ShareOptions {
  limits?: Partial<ManifestLimits>
  /** Bytes hashed so far. */
  onProgress?(bytes: number, totalBytes: number): void
  signal?: AbortSignal | undefined
}

export class SharedTree {
  readonly ref: BlobRef
  readonly entries: readonly TreeEntry[]
  readonly totalBytes: number
  readonly #places: ReadonlyMap<string, Place>

  private constructor(ref: BlobRef, entries: readonly TreeEntry[], totalBytes: number, places: ReadonlyMap<string, Place>) {
    this.ref = ref
    this.entries = entries
    this.totalBytes = totalBytes
    this.#places = places
  }

  /**
   * Hashes everything.
   * @throws AvError `UnsafePath` for names that some receivers could not write, `TooLarge`, `Aborted`
   */
  static async of(entries: readonly SourceEntry[], { limits, onProgress, signal }: ShareOptions = {}): Promise<SharedTree> {
    const { entries: most, totalBytes: largest, paths, manifestBytes } = { ...MANIFEST_LIMITS, ...limits }
    const total = entries.reduce((sum, { source }) => sum + (source?.size ?? 0), 0)
    requireAtMost("entries", entries.length, most)
    requireAtMost("files", total, largest)
    requireSafePaths(entries, "opfs", paths)
    const places = new Map<string, Place>()
    let hashed = 0
    const step = (bytes: number) => {
      if (signal?.aborted === true) throw new AvError("Aborted")
      hashed += bytes
      onProgress?.(hashed, total)
    }
    const described: TreeEntry[] = []
    for (const { source, ...entry } of entries) {
      if (entry.kind !== "file") described.push(entry)
      else described.push({ ...entry, blob: await cut(source ?? EMPTY, places, step) })
    }
    const manifest = encodeManifest(described)
    requireAtMost("manifest", manifest.length, manifestBytes)
    return new SharedTree(await cut(sourceOf(manifest), places, () => {}), described, total, places)
  }

  has(chunkId: Bytes): boolean {
    return this.#places.has(toHex(chunkId))
  }

  /** Undefined for a chunk that is not of this tree. Rejects when the source cannot be read any more. */
  async read(chunkId: Bytes): Promise<Bytes | undefined> {
    const place = this.#places.get(toHex(chunkId))
    return place?.source.read(place.offset, place.length)
  }
}

const EMPTY = sourceOf(new Uint8Array())

export function sourceOf(bytes: Bytes): ByteSource {
  return { size: bytes.length, read: async (offset, length) => bytes.subarray(offset, offset + length) }
}

/** A file the person chose; the browser reads it when it is asked for. */
export function sourceOfBlob(blob: Blob): ByteSource {
  return {
    size: blob.size,
    read: async (offset, length) => new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer()),
  }
}

async function cut(source: ByteSource, places: Map<string, Place>, step: (bytes: number) => void): Promise<BlobRef> {
  const chunks: Bytes[] = []
  for (let offset = 0; offset < source.size; offset += TREE_CHUNK) {
    const length = Math.min(TREE_CHUNK, source.size - offset)
    const bytes = await source.read(offset, length)
    if (bytes.length !== length) throw new AvError("StoreError", { what: "short read" })
    const id = await sha256(bytes)
    chunks.push(id)
    places.set(toHex(id), { source, offset, length })
    step(length)
  }
  return { size: source.size, chunks }
}

function requireAtMost(field: string, actual: number, limit: number): void {
  if (actual > limit) throw new AvError("TooLarge", { field, actual, limit })
}
