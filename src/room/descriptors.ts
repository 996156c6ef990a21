/** Stream descriptors: written for what this page publishes, checked and read for what others do (av-mesh D-33). */
import { sha256Sync } from "../crypto/index.ts"
import type { AudioEncoding, VideoEncoding } from "../media/types.ts"
import { codecNameOf } from "../media/video-codecs.ts"
import { AvError } from "../wire/errors.ts"
import {
  CODEC_AV1_SVC,
  CODEC_MDC,
  CODEC_OPAQUE,
  CODEC_OPUS,
  descriptorPreimage,
  equalBytes,
  type StreamDescriptor,
  toHex,
} from "../wire/index.ts"
import type { Bytes, PeerKeyId, SealProfile } from "../wire/types.ts"

/** Share of an L1T2 stream's bytes that is the base layer, measured with AV1. */
const BASE_SHARE = 0.65

export interface StreamInputs {
  streamId: Bytes
  sealProfile: SealProfile
  roomId: Bytes
  publisherKeyId: PeerKeyId
  trackLabel: string
  /** Number of the description (D-33); absent for a whole stream. */
  description?: number
  instance: Bytes
}

/** Label of a rung: the smallest has the label of its track (D-37). */
export function rungLabel(track: string, spatial: number): string {
  return spatial === 0 ? track : `${track}~${spatial}`
}

/** Number of the rung that a stream label names; undefined when it is none of this track. */
function rungOf(track: string, label: string): number | undefined {
  if (label === track) return 0
  const number = label.startsWith(`${track}~`) ? label.slice(track.length + 1) : ""
  return /^[1-9]$/.test(number) ? Number(number) : undefined
}

/** Path of a stream: one binary step for one of two descriptions, none for a whole stream. */
export function streamPath(description: number | undefined): Bytes {
  return description === undefined ? new Uint8Array(0) : Uint8Array.of(description)
}

/** The dyadic path as a number, the first step lowest. */
function descriptionOf(path: Bytes): number {
  return path.reduce((number, step, index) => number + step * 2 ** index, 0)
}

/** Fallback codecs have no number of their own; `codec` of the descriptor names them (D-32). */
function videoCodecId(codec: string, description: number | undefined): number {
  if (description !== undefined) return CODEC_MDC
  return codecNameOf(codec) === "av1" ? CODEC_AV1_SVC : CODEC_OPAQUE
}

export function videoDescriptor({ description, ...inputs }: StreamInputs, encoding: VideoEncoding): StreamDescriptor {
  const mbps = encoding.bitrate / 1e6
  const cell = (temporal: number, share: number) => ({ spatial: 0, temporal, quality: 0, mbps: mbps * share })
  const layered = encoding.temporalLayers > 1
  return {
    ...inputs,
    subStreamPath: streamPath(description),
    codecId: videoCodecId(encoding.codec, description),
    maxLayer: { spatial: 0, temporal: encoding.temporalLayers - 1, quality: 255 },
    bitrates: layered ? [cell(0, BASE_SHARE), cell(1, 1 - BASE_SHARE)] : [cell(0, 1)],
    fountain: { mapping: "fec" },
    kind: "video",
    codec: encoding.codec,
    width: encoding.width,
    height: encoding.height,
    frameRate: encoding.frameRate,
  }
}

export function audioDescriptor(inputs: StreamInputs, encoding: AudioEncoding): StreamDescriptor {
  return {
    ...inputs,
    subStreamPath: new Uint8Array(0),
    codecId: CODEC_OPUS,
    maxLayer: { spatial: 0, temporal: 0, quality: 0 },
    bitrates: [{ spatial: 0, temporal: 0, quality: 0, mbps: encoding.bitrate / 1e6 }],
    fountain: null,
    kind: "audio",
    codec: encoding.codec,
    sampleRate: encoding.sampleRate,
    channels: encoding.channels,
  }
}

/** What this page needs of a remote stream. */
export interface RemoteStream {
  streamId: Bytes
  streamKey: string
  label: string
  kind: "audio" | "video"
  codec: string
  codecId: number
  sealProfile: SealProfile
  fountain: boolean
  temporalLayers: number
  channels: number
  /** Pictures a second as announced. */
  frameRate?: number
  /** Number of the rung (D-37), 0 the smallest; and of the description (D-33), where there are several. */
  spatial: number
  description?: number
  /** What all its layers take together as announced, Mbit/s; absent where nothing was. */
  mbps?: number
  /** Pixels as announced; 0: not said. */
  width: number
  height: number
}

/**
 * Checks a descriptor out of a member's state, of the track with that label. Throws `StreamDescriptorMismatch` when it names another publisher or room, or its
 * id does not follow from its inputs: such a stream does not exist for us.
 */
export function readRemoteStream(
  descriptor: StreamDescriptor,
  publisher: PeerKeyId,
  roomId: Bytes,
  track = descriptor.trackLabel,
): RemoteStream {
  const owned = descriptor.publisherKeyId === publisher && equalBytes(descriptor.roomId, roomId)
  const spatial = rungOf(track, descriptor.trackLabel)
  if (!owned || spatial === undefined || !equalBytes(sha256Sync(descriptorPreimage(descriptor)), descriptor.streamId)) {
    throw new AvError("StreamDescriptorMismatch", { publisher, label: descriptor.trackLabel })
  }
  const mbps = descriptor.bitrates.reduce((sum, cell) => sum + cell.mbps, 0)
  const kind = descriptor.kind ?? (descriptor.codecId === CODEC_OPUS ? "audio" : "video")
  return {
    streamId: descriptor.streamId,
    streamKey: toHex(descriptor.streamId),
    label: descriptor.trackLabel,
    kind,
    codec: descriptor.codec ?? (kind === "audio" ? "opus" : "av01.0.08M.08"),
    codecId: descriptor.codecId,
    sealProfile: descriptor.sealProfile,
    fountain: descriptor.fountain !== null,
    temporalLayers: descriptor.maxLayer.temporal + 1,
    channels: descriptor.channels ?? 1,
    spatial,
    ...(mbps > 0 ? { mbps } : {}),
    ...(descriptor.subStreamPath.length === 0 ? {} : { description: descriptionOf(descriptor.subStreamPath) }),
    width: descriptor.width ?? 0,
    height: descriptor.height ?? 0,
    ...(descriptor.frameRate === undefined ? {} : { frameRate: descriptor.frameRate }),
  }
}
