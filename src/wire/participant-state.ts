/** The state each member publishes about itself: name, tracks, links (room RM-19). */
import { ByteWriter } from "./byte-writer.ts"
import { utf8Decode, utf8Encode } from "./bytes.ts"
import { descriptorField, type StreamDescriptor } from "./descriptor.ts"
import { AvError } from "./errors.ts"
import {
  boolField,
  bytesField,
  type Field,
  intField,
  isJsonObject,
  type JsonObject,
  type JsonValue,
  nodeIdField,
  oneOf,
  type Plain,
  textField,
  tupleOf,
  u64Field,
} from "./json-field.ts"
import { parseJson } from "./json-text.ts"
import { MAX_CHAIN_LENGTH } from "./room-order.ts"
import type { Bytes, Milliseconds, NodeId, PeerKeyId, U64 } from "./types.ts"

/** Label of the MLS SignWithLabel signature over a state. */
export const STATE_LABEL = "holomesh participant state"
/** Largest state, bytes of its JSON. */
const MAX_STATE_LENGTH = 16_384
/** Streams one member may publish. */
const MAX_STREAMS = 64
const MAX_TRACKS = 64
const MAX_LINKS = 256
/** Kinds of video a member can name; there are not many. */
const MAX_DECODES = 16
const MAX_RTT_CLASS = 4_096

export interface TrackState {
  label: string
  kind: "audio" | "video"
  source: "camera" | "microphone" | "screen" | "other"
  muted: boolean
  streams: StreamDescriptor[]
}

export interface ParticipantState {
  version: U64
  name: string
  tracks: TrackState[]
  /** Direct neighbours with the class of their round trip, see {@link rttClass}. */
  links: [node: NodeId, rttClass: number][]
  /** Willing to forward for others. */
  relay: boolean
  /** When the hand went up, Unix milliseconds. */
  handMs?: U64
  /** Token chain that shows a right, e.g. to publish. */
  chain?: Bytes
  /** Kinds of video this member can show, each by the first part of its WebCodecs string (`av01`, `vp8`); absent: not said. */
  decodes?: string[]
  /** The application's own members. */
  app?: { [member: string]: Plain }
}

const link: Field<[NodeId, number]> = /* @__PURE__ */ tupleOf(nodeIdField, intField(1, MAX_RTT_CLASS))
const name = /* @__PURE__ */ textField(64)
const label = /* @__PURE__ */ textField(64)
const kind = /* @__PURE__ */ oneOf("audio", "video")
const source = /* @__PURE__ */ oneOf("camera", "microphone", "screen", "other")
const chain = /* @__PURE__ */ bytesField(1, MAX_CHAIN_LENGTH)
const decode = /* @__PURE__ */ textField(16)

/**
 * Reads a state. Only its size, its version and the number of its streams can refuse it as a whole; any other part that is
 * not understood is left out, so that a later version of the project can say more.
 * @throws AvError `StateInvalid`.
 */
export function parseParticipantState(bytes: Bytes): ParticipantState {
  if (bytes.length > MAX_STATE_LENGTH) throw new AvError("StateInvalid", { got: bytes.length, max: MAX_STATE_LENGTH })
  const json = parseJson(utf8Decode(bytes, "StateInvalid"), "StateInvalid")
  if (!isJsonObject(json)) throw new AvError("StateInvalid", { why: "no object" })
  const version = json.version === undefined ? undefined : u64Field.read(json.version)
  if (version === undefined) throw new AvError("StateInvalid", { why: "version" })
  const tracks = listed(json.tracks)
  const streams = tracks.reduce<number>((sum, track) => sum + listed(memberOf(track, "streams")).length, 0)
  if (streams > MAX_STREAMS) throw new AvError("StateInvalid", { why: "streams", got: streams, max: MAX_STREAMS })
  const state: ParticipantState = {
    version,
    name: readOr(name, json.name, ""),
    tracks: tracks.slice(0, MAX_TRACKS).flatMap(readTrack),
    links: valid(link, listed(json.links).slice(0, MAX_LINKS)),
    relay: readOr(boolField, json.relay, false),
  }
  addOptional(state, json)
  return state
}

/**
 * The bytes to sign and send.
 * @throws AvError `StateInvalid` above 16 KiB or 64 streams.
 */
export function encodeParticipantState(state: ParticipantState): Bytes {
  const json: { [member: string]: Plain } = {
    version: u64Field.write(state.version),
    name: state.name,
    tracks: state.tracks.map((track) => ({ ...track, streams: track.streams.map(descriptorField.write) })),
    links: state.links.map(link.write),
    relay: state.relay,
  }
  if (state.handMs !== undefined) json.hand = u64Field.write(state.handMs)
  if (state.chain !== undefined) json.chain = chain.write(state.chain)
  if (state.decodes !== undefined) json.decodes = state.decodes
  if (state.app !== undefined) json.app = state.app
  const bytes = utf8Encode(JSON.stringify(json))
  parseParticipantState(bytes)
  return bytes
}

/** The content signed with {@link STATE_LABEL}. */
export function stateSigningBytes(roomId: Bytes, keyId: PeerKeyId, state: Bytes): Bytes {
  return new ByteWriter(128 + state.length).fixed(roomId, 32).lp16(utf8Encode(keyId)).bytes(state).finish()
}

/** The version after `last` (undefined before the first): never lower than the wall clock, so that it survives a reload. */
export function nextStateVersion(last: U64 | undefined, nowMs: Milliseconds): U64 {
  const now = BigInt(Math.max(0, Math.floor(nowMs)))
  return last === undefined || last + 1n < now ? now : last + 1n
}

/** A round trip in milliseconds rounded up to a power of two, 1..4096. */
export function rttClass(rttMs: Milliseconds): number {
  let rounded = 1
  while (rounded < rttMs && rounded < MAX_RTT_CLASS) rounded *= 2
  return rounded
}

function readTrack(value: JsonValue): TrackState[] {
  if (!isJsonObject(value)) return []
  const known = { label: read(label, value.label), kind: read(kind, value.kind), source: readOr(source, value.source, "other") }
  if (known.label === undefined || known.kind === undefined) return []
  const streams = valid(descriptorField, listed(value.streams))
  return [{ ...known, label: known.label, kind: known.kind, muted: readOr(boolField, value.muted, false), streams }]
}

function addOptional(state: ParticipantState, json: JsonObject): void {
  const handMs = read(u64Field, json.hand)
  if (handMs !== undefined) state.handMs = handMs
  const shown = read(chain, json.chain)
  if (shown !== undefined) state.chain = shown
  if (Array.isArray(json.decodes)) state.decodes = valid(decode, json.decodes.slice(0, MAX_DECODES))
  // Checked to be JSON already; a plain copy drops the lossless numbers, which mean nothing to an application.
  if (isJsonObject(json.app)) state.app = toPlain(json.app) as { [member: string]: Plain }
}

function toPlain(value: JsonValue): Plain {
  if (Array.isArray(value)) return value.map(toPlain)
  if (isJsonObject(value)) return Object.fromEntries(Object.entries(value).map(([member, item]) => [member, toPlain(item)]))
  return typeof value === "object" && value !== null ? value.value : value
}

function listed(value: JsonValue | undefined): JsonValue[] {
  return Array.isArray(value) ? value : []
}

function memberOf(value: JsonValue, member: string): JsonValue | undefined {
  return isJsonObject(value) ? value[member] : undefined
}

function read<T>(field: Field<T>, value: JsonValue | undefined): T | undefined {
  return value === undefined ? undefined : field.read(value)
}

function readOr<T>(field: Field<T>, value: JsonValue | undefined, otherwise: T): T {
  return read(field, value) ?? otherwise
}

function valid<T>(field: Field<T>, values: JsonValue[]): T[] {
  return values.flatMap((value) => {
    const item = field.read(value)
    return item === undefined ? [] : [item]
  })
}
