/** Stream descriptors: what a stream is and which inputs its id commits to (av-mesh D-33). */
import {
  bytesField,
  doubleField,
  type Field,
  intField,
  isJsonObject,
  keyIdField,
  listOf,
  oneOf,
  streamPathField,
  textField,
} from "./json-field.ts"
import { type Decoded, objectOf, optional, readShape, required, writeShape } from "./json-shape.ts"
import { streamIdPreimage } from "./stream-id.ts"
import type { Bytes, ChunkLayer } from "./types.ts"

const u8 = /* @__PURE__ */ intField(0, 0xff)
const pixels = /* @__PURE__ */ intField(1, 65_535)
/** Cells of the three axes that a publisher can name rates for. */
const MAX_BITRATES = 64

const layerShape = { spatial: required("spatial", u8), temporal: required("temporal", u8), quality: required("quality", u8) }
const layerField: Field<ChunkLayer> = /* @__PURE__ */ objectOf(layerShape)

const fountainField = /* @__PURE__ */ objectOf({ mapping: required("mapping", oneOf("fec", "symbol-index")) })
type FountainMapping = "fec" | "symbol-index"
/** Null: the stream is sent as plain chunks. */
const nullableFountain: Field<{ mapping: FountainMapping } | null> = {
  read: (value) => (value === null ? null : fountainField.read(value)),
  write: (value) => (value === null ? null : fountainField.write(value)),
}

const descriptorShape = {
  streamId: required("stream_id", bytesField(32)),
  sealProfile: required("seal_profile", oneOf(0, 1)),
  roomId: required("room_id", bytesField(0, 255)),
  publisherKeyId: required("publisher_key_id", keyIdField),
  /** `cam`, `mic`, `screen`; rungs of a track are `cam~1`, `cam~2` (D-37). */
  trackLabel: required("track_label", textField(64)),
  subStreamPath: required("sub_stream_path", streamPathField),
  instance: required("instance", bytesField(16)),
  codecId: required("codec_id", u8),
  maxLayer: required("max_layer", layerField),
  /** Rate of every cell in Mbit/s; the cells add up. */
  bitrates: required("bitrates", listOf(objectOf({ ...layerShape, mbps: required("mbps", doubleField) }), MAX_BITRATES)),
  fountain: required("fountain", nullableFountain),
  kind: optional("kind", oneOf("audio", "video")),
  /** WebCodecs codec string. */
  codec: optional("codec", textField(64)),
  width: optional("width", pixels),
  height: optional("height", pixels),
  frameRate: optional("frame_rate", doubleField),
  sampleRate: optional("sample_rate", intField(1, 1_000_000)),
  channels: optional("channels", intField(1, 255)),
}
export type StreamDescriptor = Decoded<typeof descriptorShape>

/** A descriptor as an element of a participant state: read gives undefined when it is not one. */
export const descriptorField: Field<StreamDescriptor> = {
  read: (value) => (isJsonObject(value) && value.t === "av.stream" ? readShape(descriptorShape, value) : undefined),
  write: (value) => ({ t: "av.stream", ...writeShape(descriptorShape, value) }),
}

/** The bytes whose SHA-256 the descriptor's `streamId` must be; else `StreamDescriptorMismatch` (D-3.5). */
export function descriptorPreimage(descriptor: StreamDescriptor): Bytes {
  return streamIdPreimage(descriptor)
}
