/** The sealed chunk on the wire: 52 clear header bytes, then the outer ciphertext (av-mesh 1). */
import { AvError } from "./errors.ts"
import type { Bytes, ChunkHeader, SealedAvChunk } from "./types.ts"

/** Length of the clear header. */
export const CHUNK_HEADER_LENGTH = 52
/** Header plus two AEAD tags: nothing shorter can be a chunk, and the receive path drops it before any AEAD work (D-1). */
export const MIN_CHUNK_LENGTH = 84
/** Largest plaintext that is sealed, in bytes (D-2). */
export const MAX_PLAINTEXT = 1_048_576
/** Largest chunk that is accepted, in bytes (D-2). */
export const MAX_CHUNK_LENGTH = MAX_PLAINTEXT + MIN_CHUNK_LENGTH

const LEGACY_HEADER_LENGTH = 48

interface DecodeChunkOptions {
  /** Accept the 48-byte header of the reference, for conformance tests only (D-1). */
  allowHeaderOnly?: boolean
}

/** The 52 header bytes of a chunk; also the associated data of profile 1. */
export function encodeChunkHeader(header: ChunkHeader): Bytes {
  const out = new Uint8Array(CHUNK_HEADER_LENGTH)
  writeChunkHeader(out, header)
  return out
}

/** Writes the 52 header bytes at the start of `target`, for callers that own a larger buffer. */
export function writeChunkHeader(target: Bytes, header: ChunkHeader): void {
  if (header.streamId.length !== 32) throw new AvError("UsageError", { why: "stream id length", got: header.streamId.length })
  target.set(header.streamId, 0)
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength)
  view.setBigUint64(32, header.epoch)
  view.setBigUint64(40, header.chunkSeq)
  target[48] = header.codecId
  target[49] = header.layer.spatial
  target[50] = header.layer.temporal
  target[51] = header.layer.quality
}

/** Header and ciphertext as one message. */
export function encodeChunk(chunk: SealedAvChunk): Bytes {
  const out = new Uint8Array(CHUNK_HEADER_LENGTH + chunk.ciphertext.length)
  writeChunkHeader(out, chunk)
  out.set(chunk.ciphertext, CHUNK_HEADER_LENGTH)
  return out
}

/**
 * Reads a chunk. Nothing is authenticated here and any codec id or layer is accepted. `streamId` and `ciphertext` are
 * views into the input.
 * @throws AvError `WireTooShort` with `got` and `need`; `WireTooLong` above {@link MAX_CHUNK_LENGTH}.
 */
export function decodeChunk(bytes: Bytes, options: DecodeChunkOptions = {}): SealedAvChunk {
  const need = options.allowHeaderOnly ? LEGACY_HEADER_LENGTH : CHUNK_HEADER_LENGTH
  if (bytes.length < need) throw new AvError("WireTooShort", { got: bytes.length, need })
  if (bytes.length > MAX_CHUNK_LENGTH) throw new AvError("WireTooLong", { got: bytes.length, max: MAX_CHUNK_LENGTH })
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const streamId = bytes.subarray(0, 32)
  const epoch = view.getBigUint64(32)
  const chunkSeq = view.getBigUint64(40)
  if (bytes.length < CHUNK_HEADER_LENGTH) {
    const layer = { spatial: 0, temporal: 0, quality: 0 }
    return { streamId, epoch, chunkSeq, codecId: 0xff, layer, ciphertext: bytes.subarray(LEGACY_HEADER_LENGTH) }
  }
  const layer = { spatial: view.getUint8(49), temporal: view.getUint8(50), quality: view.getUint8(51) }
  return { streamId, epoch, chunkSeq, codecId: view.getUint8(48), layer, ciphertext: bytes.subarray(CHUNK_HEADER_LENGTH) }
}
