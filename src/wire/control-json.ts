/** Control messages between two peers, JSON frames 0x70 (av-mesh 4.4, room 2). */

import { policyField, signedCapacityShape } from "./capacity-json.ts"
import { AvError } from "./errors.ts"
import {
  bytesField,
  type Field,
  intField,
  keyIdField,
  listOf,
  nodeIdField,
  oneOf,
  streamPathField,
  textField,
  tupleOf,
  u64Field,
} from "./json-field.ts"
import { objectOf, optional, required, type Shape } from "./json-shape.ts"
import { decodeMessage, encodeMessage, type MessageOf, type UnknownMessage } from "./message-table.ts"
import { headShape, MAX_ROOM_SIZE } from "./room-head.ts"
import type { Bytes, PeerKeyId, U64 } from "./types.ts"

/** Limit of messages without MLS bytes, bytes of JSON (D-35). */
const MAX_CONTROL_MESSAGE = 48 * 1024
/** Limit of messages that carry MLS bytes or signed records. */
const MAX_MLS_MESSAGE = 4 * 1024 * 1024
/** `room.sync?` may name 10 000 members (RM-27), which 48 KiB cannot hold. */
const MAX_SYNC_MESSAGE = 1024 * 1024

const MAX_RECORDS = 256
const MAX_LEAVES = 64
/** A record with both signatures is about 6 KB. */
const MAX_RECORD = 128 * 1024

const id32 = /* @__PURE__ */ bytesField(32)
const nonce16 = /* @__PURE__ */ bytesField(16)
const mlDsaKey = /* @__PURE__ */ bytesField(1952)
const record = /* @__PURE__ */ bytesField(1, MAX_RECORD)
const mlsBytes = /* @__PURE__ */ bytesField(1, MAX_MLS_MESSAGE)
const version = /* @__PURE__ */ intField(1, 0xffffffff)
/** Name of an error or a reason. */
const reason = /* @__PURE__ */ textField(32)
const subscription = { streamId: required("stream_id", id32), subNonce: required("sub_nonce", nonce16) }
const have: Field<[PeerKeyId, U64]> = /* @__PURE__ */ tupleOf(keyIdField, u64Field)

/** `[from, to)` of symbol ids, not empty. */
const symbolRange: Field<[from: number, to: number]> = {
  read(value) {
    const pair = tupleOf(intField(0, 0xffff), intField(1, 0x10000)).read(value)
    return pair !== undefined && pair[0] < pair[1] ? pair : undefined
  },
  write: (value) => [...value],
}

const streamShapes = {
  "av.keys": { entityId: required("entity_id", id32), mlDsa65: required("ml_dsa_65", mlDsaKey) },
  /** Bodies are at most 1137 bytes and two signatures. */
  "av.kex": { step: required("step", oneOf(1, 2, 3)), body: required("body", bytesField(1, 8192)) },
  "av.subscribe": {
    ...subscription,
    policy: required("policy", policyField),
    subStreamPath: optional("sub_stream_path", streamPathField),
    symbolRange: optional("symbol_range", symbolRange),
    via: optional("via", listOf(keyIdField, 4)),
  },
  "av.subscribed": subscription,
  "av.refused": { ...subscription, error: required("error", textField(64)) },
  "av.policy": { ...subscription, policy: required("policy", policyField) },
  "av.unsubscribe": subscription,
  "av.keyframe": { streamId: required("stream_id", id32) },
  "av.leaving": { inMs: required("in_ms", intField(0, 2_000)) },
  "av.capacity": signedCapacityShape,
}

const groupShapes = {
  "av.leaf?": { keyIds: required("key_ids", listOf(keyIdField, MAX_LEAVES)) },
  "av.leaf": {
    leaves: required(
      "leaves",
      listOf(
        objectOf({
          entityId: required("entity_id", id32),
          mlDsa65: required("ml_dsa_65", mlDsaKey),
          binding: required("binding", record),
        }),
        MAX_LEAVES,
      ),
    ),
  },
  "av.commit-offer": {
    roomId: required("room_id", id32),
    bytes: required("bytes", mlsBytes),
    binding: optional("binding", record),
  },
  "av.mls": {
    roomId: required("room_id", id32),
    kind: required("kind", oneOf("commit", "proposal", "app")),
    bytes: required("bytes", mlsBytes),
    records: optional("records", listOf(record, MAX_RECORDS)),
  },
  "av.commit-result": {
    roomId: required("room_id", id32),
    epoch: required("epoch", u64Field),
    accepted: required("accepted", id32),
  },
  "av.welcome": {
    roomId: required("room_id", id32),
    envelope: required("envelope", mlsBytes),
    records: optional("records", listOf(record, MAX_RECORDS)),
    proof: required("proof", id32),
  },
  "av.kp.put": { records: required("records", listOf(record, MAX_LEAVES)) },
  "av.kp.get": { keyId: required("key_id", keyIdField) },
  /** Exactly one of the two. */
  "av.kp": { record: optional("record", record), error: optional("error", textField(64)) },
}

const roomShapes = {
  "room.knock": {
    role: required("role", oneOf(1, 3)),
    proof: required("proof", id32),
    version: required("version", version),
  },
  "room.head": { proof: required("proof", id32), ...headShape },
  "room.refuse": { reason: required("reason", reason), retryMs: optional("retry_ms", intField(0, 600_000)) },
  "room.join": {
    proof: required("proof", id32),
    record: required("record", record),
    binding: required("binding", record),
    name: optional("name", textField(64)),
  },
  "room.pending": {
    wait: required("wait", oneOf("batch", "knock", "committer")),
    committerNode: optional("committer_node", nodeIdField),
  },
  "room.alive": {
    roomId: required("room_id", id32),
    epoch: required("epoch", u64Field),
    tip: required("tip", id32),
    settingsVersion: required("settings_version", u64Field),
  },
  "room.commits?": { roomId: required("room_id", id32), fromEpoch: required("from_epoch", u64Field) },
  "room.sync?": {
    have: required("have", listOf(have, MAX_ROOM_SIZE)),
    settingsVersion: required("settings_version", u64Field),
  },
}

const shapes = { ...streamShapes, ...groupShapes, ...roomShapes } satisfies Record<string, Shape>

const limits = {
  most: MAX_MLS_MESSAGE,
  of(t: string): number {
    if (t === "room.sync?") return MAX_SYNC_MESSAGE
    return t in groupShapes || t === "room.join" ? MAX_MLS_MESSAGE : MAX_CONTROL_MESSAGE
  },
}

/** Every known control message; the discriminant is `t`. */
export type KnownControlMessage = MessageOf<typeof shapes>
export type ControlMessage = KnownControlMessage | UnknownMessage
/** One control message by its name, e.g. `ControlMessageOf<"av.subscribe">`. */
export type ControlMessageOf<T extends KnownControlMessage["t"]> = Extract<KnownControlMessage, { t: T }>

/**
 * UTF-8 JSON of a message, the payload of a JSON frame.
 * @throws AvError `MessageTooLarge` above the limit of its kind.
 */
export function encodeControlMessage(message: KnownControlMessage): Bytes {
  if (message.t !== "av.mls") return encodeMessage(shapes, message, limits)
  // A flood goes over every link of the room, and may be a commit of 160 KB.
  const bytes = flooded.get(message) ?? encodeMessage(shapes, message, limits)
  flooded.set(message, bytes)
  return bytes
}

const flooded = new WeakMap<KnownControlMessage, Bytes>()

/**
 * Reads the payload of a JSON frame. A name this version does not know gives `{ t: "unknown", name }`; `holo.capacity` reads as
 * `av.capacity` (D-40). The acting peer is the session's, never a member of the message.
 * @throws AvError `ControlMalformed` with `t` (null when there is none).
 */
export function decodeControlMessage(bytes: Bytes): ControlMessage {
  const message: ControlMessage = decodeMessage(shapes, bytes, limits)
  if (message.t === "unknown" && message.name === "holo.capacity") return decodeHoloCapacity(bytes)
  if (message.t === "av.kp" && (message.record === undefined) === (message.error === undefined)) {
    throw new AvError("ControlMalformed", { t: message.t })
  }
  return message
}

/** The older name of `av.capacity`, only read. */
function decodeHoloCapacity(bytes: Bytes): ControlMessage {
  const table = { "holo.capacity": signedCapacityShape }
  const message = decodeMessage(table, bytes, limits)
  return message.t === "unknown" ? message : { ...message, t: "av.capacity" }
}
