import { sha256Sync } from "../crypto/index.ts"
import { type BlobRef, TREE_CHUNK } from "../store/tree/manifest.ts"
import { decodeBlobFrame } from "../wire/blob-frame.ts"
import { toHex, utf8Encode } from "../wire/bytes.ts"
import { isAvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"
import { BlobClient } from "./blob-client.ts"
import { BlobServer } from "./blob-server.ts"
import { type SourceEntry, sourceOf } from "./shared-tree.ts"

export const file = (path: string, content: string | Bytes, mode = 0o644): SourceEntry => {
  return { path, kind: "file", mode, source: sourceOf(typeof content === "string" ? utf8Encode(content) : content) }
}
export const pattern = (length: number, seed = 1) => Uint8Array.from({ length }, (_, i) => (i * seed + (i >> 8)) & 0xff)
export const HOME: SourceEntry[] = [
  { path: "docs", kind: "dir", mode: 0o755 },
  file("docs/a.txt", "hello"),
  file("docs/empty", ""),
  file("docs/deep/er/b.bin", pattern(3 * TREE_CHUNK + 7)),
  { path: "docs/link", kind: "symlink", mode: 0, target: "deep/er/b.bin" },
  file("run.sh", "#!/bin/sh\n", 0o755),
]

/** A client and a server with a wire in between that a test may bend. */
export function wired(
  tree: { read(id: Bytes): Promise<Bytes | undefined> },
  bend: (payload: Bytes) => Bytes | undefined = (p) => p,
) {
  let asked = 0
  const after = (ms: number, action: () => void) => {
    const timer = setTimeout(action, ms)
    return () => clearTimeout(timer)
  }
  const server = new BlobServer({
    admits: () => true,
    read: (id) => tree.read(id),
    room: async () => true,
    send(_peer, payload) {
      const bent = bend(payload)
      const frame = bent && decodeBlobFrame(bent)
      if (frame !== undefined && frame.kind !== "get") queueMicrotask(() => client.receive("server", frame))
    },
  })
  const client: BlobClient = new BlobClient({
    after,
    send(_peer, payload) {
      asked++
      const frame = decodeBlobFrame(payload)
      if (frame.kind === "get") server.get("client", frame)
    },
  })
  const get = (id: Bytes, length: number, signal: AbortSignal) => client.fetch("server", id, length, signal)
  return { client, server, get, asked: () => asked }
}

export async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work
    return undefined
  } catch (error) {
    if (isAvError(error)) return error.code
    throw error
  }
}

/** A source that offers a manifest no honest one would make. */
export function offering(manifest: Bytes, files: ReadonlyMap<string, Bytes> = new Map()) {
  const chunks: Bytes[] = []
  const known = new Map(files)
  for (let offset = 0; offset < manifest.length; offset += TREE_CHUNK) {
    const chunk = manifest.subarray(offset, offset + TREE_CHUNK)
    chunks.push(sha256Sync(chunk))
    known.set(toHex(sha256Sync(chunk)), chunk)
  }
  const ref: BlobRef = { size: manifest.length, chunks }
  return { ref, read: async (id: Bytes) => known.get(toHex(id)) }
}
export const bytesInFlight = 8 * TREE_CHUNK
