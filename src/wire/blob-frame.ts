/** Asking for chunks of files and getting them: the payload of control frames of type 0x60 (control-plane 7.6). */
import { ByteReader, ByteWriter } from "./bytes.ts"
import { AvError } from "./errors.ts"
import type { Bytes } from "./types.ts"

/** Largest chunk that may be announced, bytes. */
export const MAX_BLOB_CHUNK = 262_144

const BLOB_ERRORS = { "not-found": 1, refused: 2, busy: 3 } as const
type BlobError = keyof typeof BLOB_ERRORS

export type BlobFrame =
  | { kind: "get"; requestId: number; chunkId: Bytes }
  /** `bytes` begin at `offset` of a chunk of `total` bytes; the parts of a chunk come in order. */
  | { kind: "data"; requestId: number; offset: number; total: number; bytes: Bytes }
  | { kind: "error"; requestId: number; error: BlobError }

/** @throws AvError `UsageError` for a frame that {@link decodeBlobFrame} would refuse. */
export function encodeBlobFrame(frame: BlobFrame): Bytes {
  const writer = new ByteWriter(64)
  if (frame.kind === "get") return writer.u8(1).u8(0).u16le(frame.requestId).fixed(frame.chunkId, 32).finish()
  if (frame.kind === "error") return writer.u8(3).u8(0).u16le(frame.requestId).u16le(BLOB_ERRORS[frame.error]).finish()
  if (!fits(frame)) throw new AvError("UsageError", { why: "blob data" })
  return writer.u8(2).u8(0).u16le(frame.requestId).u32le(frame.offset).u32le(frame.total).bytes(frame.bytes).finish()
}

/** Reads one frame; data is a view of `bytes`. @throws AvError `Malformed` */
export function decodeBlobFrame(bytes: Bytes): BlobFrame {
  const reader = new ByteReader(bytes)
  const kind = reader.u8()
  if (kind < 1 || kind > 3) reader.fail("blob kind", { kind })
  reader.zeros(1)
  const requestId = reader.u16le()
  if (kind === 1) {
    const chunkId = reader.bytes(32)
    reader.end()
    return { kind: "get", requestId, chunkId }
  }
  if (kind === 3) {
    const code = reader.u16le()
    reader.end()
    const found = Object.entries(BLOB_ERRORS).find(([, value]) => value === code)
    if (found === undefined) return reader.fail("blob error", { code })
    return { kind: "error", requestId, error: found[0] as BlobError }
  }
  const [offset, total] = [reader.u32le(), reader.u32le()]
  const data = { offset, total, bytes: reader.rest() }
  if (!fits(data)) reader.fail("blob data", { offset, total })
  return { kind: "data", requestId, ...data }
}

/** Nothing empty, nothing beyond the announced end, nothing larger than a chunk. */
function fits({ offset, total, bytes }: { offset: number; total: number; bytes: Bytes }): boolean {
  return bytes.length > 0 && total <= MAX_BLOB_CHUNK && offset + bytes.length <= total
}
