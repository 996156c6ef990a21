/** Encoded frame → the plaintexts of its chunks: fountain symbols (D-31, D-36) or plain fragments (D-30). */
import { encodeLiveFrame, type RepairPolicy } from "../../fountain/index.ts"
import type { EncodedFrame } from "../../media/types.ts"
import { AvError } from "../../wire/errors.ts"
import { encodeFountainBody } from "../../wire/fountain-body.ts"
import { CODEC_AV1_SVC, CODEC_FOUNTAIN, CODEC_MDC, CODEC_OPAQUE, CODEC_OPUS, LAYER_BASE } from "../../wire/layers.ts"
import {
  encodeMediaPayload,
  FRAGMENT_LIMIT_LANE,
  type MediaPayload,
  PAYLOAD_KIND_FOUNTAIN,
  PAYLOAD_KIND_MDC,
  PAYLOAD_KIND_OPUS,
  PAYLOAD_KIND_VIDEO,
} from "../../wire/media-payload.ts"
import type { Bytes, ChunkLayer } from "../../wire/types.ts"
import type { MeshStream } from "./types.ts"

/** Larger frames are refused: nothing a camera makes in a call comes near, and each one costs every receiver memory. */
export const MAX_FRAME_BYTES = 1_048_576

/** The kind of a stream's frames in the payload: a packet of Opus, a frame of video, or of one of several descriptions (D-33). */
export function contentKindOf({ kind, codecId }: Pick<MeshStream, "kind" | "codecId">): number {
  if (kind === "audio") return PAYLOAD_KIND_OPUS
  return codecId === CODEC_MDC ? PAYLOAD_KIND_MDC : PAYLOAD_KIND_VIDEO
}

export interface Packet {
  plaintext: Bytes
  codecId: number
  layer: ChunkLayer
  /** Of a fountain symbol: source symbols of its object. */
  nSource?: number
}

/**
 * Cuts a frame into packets that fit a lane, source symbols before repair.
 * @param repair repair symbols for so many source symbols; without it the 30 % of the live profile
 * @throws AvError `PayloadTooLarge` above {@link MAX_FRAME_BYTES}, `PayloadInvalid` for a time or duration that has no wire form.
 */
export function packetize(stream: MeshStream, frameId: number, frame: EncodedFrame, repair?: RepairPolicy): Packet[] {
  const bytes = new Uint8Array(frame.data)
  if (bytes.length > MAX_FRAME_BYTES) throw new AvError("PayloadTooLarge", { len: bytes.length, capacity: MAX_FRAME_BYTES })
  if (!Number.isSafeInteger(frame.ptsUs) || frame.ptsUs < 0) throw new AvError("PayloadInvalid", { why: "time" })
  const about = {
    keyframe: frame.keyframe,
    discontinuity: frame.discontinuity ?? false,
    aux: stream.kind === "audio" ? durationCode(frame.durationMs) : 0,
    ptsUs: BigInt(frame.ptsUs),
    frameId,
  }
  const temporal = frame.keyframe ? 0 : frame.temporalId
  if (stream.fountain && stream.kind === "video" && bytes.length > 0) {
    return fountainPackets(about, contentKindOf(stream), temporal, bytes, repair)
  }
  return plainPackets(stream, about, temporal, bytes)
}

type FrameFacts = Pick<MediaPayload, "keyframe" | "discontinuity" | "aux" | "ptsUs" | "frameId">

function fountainPackets(
  about: FrameFacts,
  contentKind: number,
  temporal: number,
  bytes: Bytes,
  repair?: RepairPolicy,
): Packet[] {
  return encodeLiveFrame(bytes, repair).flatMap(({ symbols, fragIndex, fragCount, ...object }) =>
    symbols.map(({ symbolId, bytes: symbol, quality }) => {
      const body = encodeFountainBody({ symbolId, ...object, contentKind, symbol })
      const lastFragment = fragIndex === fragCount - 1
      return {
        plaintext: encodeMediaPayload({ kind: PAYLOAD_KIND_FOUNTAIN, ...about, fragIndex, fragCount, lastFragment, body }),
        codecId: CODEC_FOUNTAIN,
        layer: { spatial: 0, temporal, quality },
        nSource: object.nSource,
      }
    }),
  )
}

function plainPackets(stream: MeshStream, about: FrameFacts, temporal: number, bytes: Bytes): Packet[] {
  const audio = stream.kind === "audio"
  const layered = !audio && stream.codecId === CODEC_AV1_SVC
  const codecId = audio ? CODEC_OPUS : layered || stream.codecId === CODEC_MDC ? stream.codecId : CODEC_OPAQUE
  const layer = layered ? { spatial: 0, temporal, quality: 0 } : LAYER_BASE
  const fragCount = Math.max(1, Math.ceil(bytes.length / FRAGMENT_LIMIT_LANE))
  return Array.from({ length: fragCount }, (_, fragIndex) => {
    const at = fragIndex * FRAGMENT_LIMIT_LANE
    const body = bytes.subarray(at, at + FRAGMENT_LIMIT_LANE)
    const kind = contentKindOf(stream)
    const lastFragment = fragIndex === fragCount - 1
    return { plaintext: encodeMediaPayload({ kind, ...about, fragIndex, fragCount, lastFragment, body }), codecId, layer }
  })
}

/** `aux` of an Opus packet: whole milliseconds, 0 for 2.5 (D-30). */
function durationCode(durationMs = 20): number {
  const code = durationMs === 2.5 ? 0 : durationMs
  if (!Number.isInteger(code) || code < 0 || code > 255) throw new AvError("PayloadInvalid", { why: "duration", durationMs })
  return code
}
