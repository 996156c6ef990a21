/** The link frame of one hop: type, link_seq and a chunk or a keep-alive (av-mesh D-6). */
import { AvError } from "./errors.ts"
import type { Bytes, U64 } from "./types.ts"

export const LINK_FRAME_CHUNK = 0x01
export const LINK_FRAME_KEEP_ALIVE = 0x02
/** Type byte and link_seq in front of the chunk. */
export const LINK_FRAME_HEADER_LENGTH = 9
/** Exact length of a keep-alive frame. */
export const KEEP_ALIVE_FRAME_LENGTH = 57

interface LinkChunkFrame {
  type: "chunk"
  linkSeq: U64
  /** The chunk's bytes, not yet decoded; a view into the frame. */
  chunk: Bytes
}
interface LinkKeepAliveFrame {
  type: "keep-alive"
  linkSeq: U64
  streamId: Bytes
  /** AEAD output of an empty plaintext under the stream's transit key. */
  tag: Bytes
}
export type LinkFrame = LinkChunkFrame | LinkKeepAliveFrame

/** Writes the 9 bytes in front of a chunk at the start of `target`, so that sealing can happen in place behind them. */
export function writeLinkFrameHeader(target: Bytes, type: number, linkSeq: U64): void {
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength)
  view.setUint8(0, type)
  view.setBigUint64(1, linkSeq)
}

/** A frame of type 1. */
export function encodeLinkFrame(linkSeq: U64, chunk: Bytes): Bytes {
  const out = new Uint8Array(LINK_FRAME_HEADER_LENGTH + chunk.length)
  writeLinkFrameHeader(out, LINK_FRAME_CHUNK, linkSeq)
  out.set(chunk, LINK_FRAME_HEADER_LENGTH)
  return out
}

/** A frame of type 2 around a tag that was already computed. */
export function encodeKeepAliveFrame(linkSeq: U64, streamId: Bytes, tag: Bytes): Bytes {
  if (streamId.length !== 32 || tag.length !== 16) throw new AvError("UsageError", { why: "keep-alive field length" })
  const out = new Uint8Array(KEEP_ALIVE_FRAME_LENGTH)
  writeLinkFrameHeader(out, LINK_FRAME_KEEP_ALIVE, linkSeq)
  out.set(streamId, LINK_FRAME_HEADER_LENGTH)
  out.set(tag, LINK_FRAME_HEADER_LENGTH + 32)
  return out
}

/**
 * Reads a link frame; the chunk inside is not looked at.
 * @throws AvError `WireTooShort` below 9 bytes, `LinkFrameInvalid` on another type or a keep-alive of another length.
 */
export function decodeLinkFrame(bytes: Bytes): LinkFrame {
  if (bytes.length < LINK_FRAME_HEADER_LENGTH) {
    throw new AvError("WireTooShort", { got: bytes.length, need: LINK_FRAME_HEADER_LENGTH })
  }
  const linkSeq = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(1)
  if (bytes[0] === LINK_FRAME_CHUNK) return { type: "chunk", linkSeq, chunk: bytes.subarray(LINK_FRAME_HEADER_LENGTH) }
  if (bytes[0] !== LINK_FRAME_KEEP_ALIVE || bytes.length !== KEEP_ALIVE_FRAME_LENGTH) {
    throw new AvError("LinkFrameInvalid", { type: bytes[0], got: bytes.length })
  }
  return { type: "keep-alive", linkSeq, streamId: bytes.subarray(9, 41), tag: bytes.subarray(41) }
}
