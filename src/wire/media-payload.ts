/** The plaintext of a chunk: 20 bytes about the frame, then the media bytes (av-mesh D-30). */
import { AvError } from "./errors.ts"
import type { Bytes, U64 } from "./types.ts"

const MEDIA_PAYLOAD_HEADER_LENGTH = 20
/** Largest body in a chunk that travels on a lane or in a datagram, in bytes. */
export const FRAGMENT_LIMIT_LANE = 1_000

export const PAYLOAD_KIND_VIDEO = 1
export const PAYLOAD_KIND_OPUS = 2
export const PAYLOAD_KIND_FOUNTAIN = 3
export const PAYLOAD_KIND_MDC = 4
const PAYLOAD_KIND_APPLICATION = 127

const VERSION = 1
const FLAG_KEYFRAME = 1
const FLAG_LAST_FRAGMENT = 2
const FLAG_DISCONTINUITY = 4

export interface MediaPayload {
  /** One of the `PAYLOAD_KIND_*` values. */
  kind: number
  keyframe: boolean
  lastFragment: boolean
  discontinuity: boolean
  /** Opus: frame duration in milliseconds, 0 meaning 2.5. Otherwise 0 when sent, not judged when received. */
  aux: number
  /** Presentation time on the publisher's clock, microseconds. */
  ptsUs: U64
  /** Counts the frames of a stream; wraps at 2^32. */
  frameId: number
  fragIndex: number
  /** At least 1; for fountain objects the number of objects of the frame (D-36.3). */
  fragCount: number
  body: Bytes
}

/** Header and body as one plaintext. */
export function encodeMediaPayload(payload: MediaPayload): Bytes {
  const out = new Uint8Array(MEDIA_PAYLOAD_HEADER_LENGTH + payload.body.length)
  const view = new DataView(out.buffer)
  view.setUint8(0, VERSION)
  view.setUint8(1, payload.kind)
  view.setUint8(
    2,
    (payload.keyframe ? FLAG_KEYFRAME : 0) |
      (payload.lastFragment ? FLAG_LAST_FRAGMENT : 0) |
      (payload.discontinuity ? FLAG_DISCONTINUITY : 0),
  )
  view.setUint8(3, payload.aux)
  view.setBigUint64(4, payload.ptsUs)
  view.setUint32(12, payload.frameId)
  view.setUint16(16, payload.fragIndex)
  view.setUint16(18, payload.fragCount)
  out.set(payload.body, MEDIA_PAYLOAD_HEADER_LENGTH)
  return out
}

/**
 * Reads a plaintext; `body` is a view into it.
 * @throws AvError `PayloadVersion` on another version byte; `PayloadInvalid` when it is cut, of an unknown kind, has
 * reserved flags, or an index that is not below its count.
 */
export function decodeMediaPayload(bytes: Bytes): MediaPayload {
  const version = bytes[0]
  if (version === undefined) throw new AvError("PayloadInvalid", { why: "too short", got: 0, need: MEDIA_PAYLOAD_HEADER_LENGTH })
  if (version !== VERSION) throw new AvError("PayloadVersion", { version })
  if (bytes.length < MEDIA_PAYLOAD_HEADER_LENGTH) {
    throw new AvError("PayloadInvalid", { why: "too short", got: bytes.length, need: MEDIA_PAYLOAD_HEADER_LENGTH })
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const kind = view.getUint8(1)
  if ((kind < PAYLOAD_KIND_VIDEO || kind > PAYLOAD_KIND_MDC) && kind !== PAYLOAD_KIND_APPLICATION) {
    throw new AvError("PayloadInvalid", { why: "kind", kind })
  }
  const flags = view.getUint8(2)
  if (flags > 7) throw new AvError("PayloadInvalid", { why: "flags", flags })
  const fragIndex = view.getUint16(16)
  const fragCount = view.getUint16(18)
  if (fragIndex >= fragCount) throw new AvError("PayloadInvalid", { why: "fragment index", fragIndex, fragCount })
  return {
    kind,
    keyframe: (flags & FLAG_KEYFRAME) !== 0,
    lastFragment: (flags & FLAG_LAST_FRAGMENT) !== 0,
    discontinuity: (flags & FLAG_DISCONTINUITY) !== 0,
    aux: view.getUint8(3),
    ptsUs: view.getBigUint64(4),
    frameId: view.getUint32(12),
    fragIndex,
    fragCount,
    body: bytes.subarray(MEDIA_PAYLOAD_HEADER_LENGTH),
  }
}
