/** Stream descriptors: written for what this page publishes, checked and read for what others do (av-mesh D-33). */
import { sha256Sync } from "../crypto/index.ts"
import type { AudioEncoding, VideoEncoding } from "../media/types.ts"
import { codecNameOf } from "../media/video-codecs.ts"
import { AvError } from "../wire/errors.ts"
import {
  CODEC_AV1_SVC,
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
  instance: Bytes
}

export function videoDescriptor(inputs: StreamInputs, encoding: VideoEncoding): StreamDescriptor {
  const mbps = encoding.bitrate / 1e6
  const cell = (temporal: number, share: number) => ({ spatial: 0, temporal, quality: 0, mbps: mbps * share })
  const layered = encoding.temporalLayers > 1
  return {
    ...inputs,
    subStreamPath: new Uint8Array(0),
    // Fallback codecs have no number of their own; `codec` names them (D-32).
    codecId: codecNameOf(encoding.codec) === "av1" ? CODEC_AV1_SVC : CODEC_OPAQUE,
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
}

/**
 * Checks a descriptor out of a member's state. Throws `StreamDescriptorMismatch` when it names another publisher or room, or its
 * id does not follow from its inputs: such a stream does not exist for us.
 */
export function readRemoteStream(descriptor: StreamDescriptor, publisher: PeerKeyId, roomId: Bytes): RemoteStream {
  const owned = descriptor.publisherKeyId === publisher && equalBytes(descriptor.roomId, roomId)
  if (!owned || !equalBytes(sha256Sync(descriptorPreimage(descriptor)), descriptor.streamId)) {
    throw new AvError("StreamDescriptorMismatch", { publisher, label: descriptor.trackLabel })
  }
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
  }
}
