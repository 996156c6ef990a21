/** One control frame: version, type, flags, payload (control-plane 0.5). Splitting and joining live in fragment.ts. */
import { ByteWriter } from "./byte-writer.ts"
import { ByteReader, utf8Decode, utf8Encode } from "./bytes.ts"
import { AvError } from "./errors.ts"
import type { Bytes } from "./types.ts"

export const FRAME_HELLO = 0x01
export const FRAME_HELLO_AUTH = 0x02
export const FRAME_PING = 0x03
export const FRAME_PONG = 0x04
export const FRAME_GOAWAY = 0x0f
export const FRAME_ANNOUNCE = 0x10
export const FRAME_FLOOR = 0x11
export const FRAME_RPC = 0x20
export const FRAME_MEMBERSHIP = 0x30
export const FRAME_CHANNEL_DATA = 0x31
export const FRAME_RENDEZVOUS = 0x40
export const FRAME_ROUTED = 0x50
export const FRAME_ROUTED_HELLO = 0x51
export const FRAME_BLOB = 0x60
export const FRAME_JSON = 0x70
export const FRAME_BINARY = 0x71

const FRAME_HEADER_LENGTH = 4
/** Largest frame in bytes, header included: every WebRTC implementation carries that much in one message. */
export const MAX_FRAME_LENGTH = 16_384
/** Largest payload of an unfragmented frame. */
export const MAX_FRAME_PAYLOAD = MAX_FRAME_LENGTH - FRAME_HEADER_LENGTH

const FRAME_VERSION = 1
const FLAG_FRAGMENT = 1

interface ControlFrame {
  /** One of the `FRAME_*` values, or an unknown type, which the receiver counts and ignores. */
  type: number
  /** True when the payload starts with a fragment header instead of the message. */
  fragment: boolean
  payload: Bytes
}

/**
 * One frame. A payload above {@link MAX_FRAME_PAYLOAD} needs a `FrameSplitter`.
 * @throws AvError `UsageError` when the payload does not fit.
 */
export function encodeFrame(type: number, payload: Bytes, fragment = false): Bytes {
  if (payload.length > MAX_FRAME_PAYLOAD) {
    throw new AvError("UsageError", { why: "frame too long", got: payload.length, max: MAX_FRAME_PAYLOAD })
  }
  const out = new Uint8Array(FRAME_HEADER_LENGTH + payload.length)
  out[0] = FRAME_VERSION
  out[1] = type
  out[2] = fragment ? FLAG_FRAGMENT : 0
  out.set(payload, FRAME_HEADER_LENGTH)
  return out
}

/**
 * Reads one frame; `payload` is a view. Unknown types are returned like known ones.
 * @throws AvError `FrameInvalid` when it is too short or too long, of another version, or has reserved flags.
 */
export function decodeFrame(bytes: Bytes): ControlFrame {
  if (bytes.length > MAX_FRAME_LENGTH)
    throw new AvError("FrameInvalid", { why: "too long", got: bytes.length, max: MAX_FRAME_LENGTH })
  const reader = new ByteReader(bytes, "FrameInvalid")
  const version = reader.u8()
  if (version !== FRAME_VERSION) reader.fail("version", { version })
  const type = reader.u8()
  const flags = reader.u16le()
  if (flags > FLAG_FRAGMENT) reader.fail("flags", { flags })
  return { type, fragment: flags === FLAG_FRAGMENT, payload: reader.rest() }
}

/** Payload of a BINARY frame: the name of the part it belongs to, then that part's bytes. */
interface BinaryPayload {
  name: string
  bytes: Bytes
}

/** @throws AvError `UsageError` when the name is longer than 255 bytes. */
export function encodeBinaryPayload(name: string, bytes: Bytes): Bytes {
  const label = utf8Encode(name)
  return new ByteWriter(1 + label.length + bytes.length).u8(label.length).bytes(label).bytes(bytes).finish()
}

/** @throws AvError `FrameInvalid` when the name is cut or not UTF-8. */
export function decodeBinaryPayload(payload: Bytes): BinaryPayload {
  const reader = new ByteReader(payload, "FrameInvalid")
  const name = utf8Decode(reader.bytes(reader.u8()), "FrameInvalid")
  return { name, bytes: reader.rest() }
}

/** A PING or PONG payload must be exactly this long; its bytes are opaque to the receiver. */
export const PING_LENGTH = 8

/** @throws AvError `FrameInvalid` on another length. */
export function decodePing(payload: Bytes): Bytes {
  if (payload.length !== PING_LENGTH)
    throw new AvError("FrameInvalid", { why: "ping length", got: payload.length, need: PING_LENGTH })
  return payload
}
