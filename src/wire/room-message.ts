/** Application messages of a room: what members say to each other inside the group (room 2, 5-7). */

import { boolField, bytesField, type Field, keyIdField, listOf, textField, tupleOf, utf8Field } from "./json-field.ts"
import { objectOf, optional, required } from "./json-shape.ts"
import { decodeMessage, encodeMessage, type MessageOf, type UnknownMessage } from "./message-table.ts"
import { headShape } from "./room-head.ts"
import { orderShape } from "./room-order.ts"
import { settingsShape } from "./room-settings.ts"
import type { Bytes } from "./types.ts"

/** Largest application message, bytes of its JSON. */
const MAX_ROOM_MESSAGE = 48 * 1024
/** Largest participant state, bytes of its JSON; longer ones are ignored by whoever reads the state. */
const MAX_STATE_IN_MESSAGE = MAX_ROOM_MESSAGE
/** States in one page of `room.states`; a page is at most 40 KiB. */
const MAX_STATES = 1_024
const MAX_CHAT_TEXT = 8 * 1024
const MAX_DATA = 32 * 1024

const stateBytes = /* @__PURE__ */ bytesField(0, MAX_STATE_IN_MESSAGE)
const signature = /* @__PURE__ */ bytesField(64)
/** Key id, state bytes, signature. */
export type StateEntry = [keyId: string, state: Bytes, sig: Bytes]
const stateEntry: Field<StateEntry> = /* @__PURE__ */ tupleOf(keyIdField, stateBytes, signature)

const shapes = {
  "room.state": { state: required("state", stateBytes), sig: required("sig", signature) },
  "room.states": {
    states: required("states", listOf(stateEntry, MAX_STATES)),
    settings: optional("settings", objectOf(settingsShape)),
    more: required("more", boolField),
  },
  "room.settings": settingsShape,
  "room.order": orderShape,
  "room.asking": { keyId: required("key_id", keyIdField), name: required("name", textField(64)) },
  "room.lost": { keyId: required("key_id", keyIdField), left: required("left", boolField) },
  "room.here": { nonce: required("nonce", bytesField(16)) },
  "room.move": headShape,
  "room.chat": { id: required("id", bytesField(16)), text: required("text", utf8Field(0, MAX_CHAT_TEXT)) },
  "room.data": { topic: required("topic", textField(64)), bytes: required("bytes", bytesField(0, MAX_DATA)) },
}

const limits = { most: MAX_ROOM_MESSAGE, of: () => MAX_ROOM_MESSAGE }

/** Every known application message; the discriminant is `t`. */
export type KnownRoomMessage = MessageOf<typeof shapes>
export type RoomMessage = KnownRoomMessage | UnknownMessage
/** One application message by its name, e.g. `RoomMessageOf<"room.chat">`. */
export type RoomMessageOf<T extends KnownRoomMessage["t"]> = Extract<KnownRoomMessage, { t: T }>

/** UTF-8 JSON of a message. @throws AvError `MessageTooLarge` above 48 KiB. */
export function encodeRoomMessage(message: KnownRoomMessage): Bytes {
  return encodeMessage(shapes, message, limits)
}

/**
 * Reads an application message. A name this version does not know gives `{ t: "unknown", name }`.
 * @throws AvError `ControlMalformed` with `t` (null when there is none).
 */
export function decodeRoomMessage(bytes: Bytes): RoomMessage {
  return decodeMessage(shapes, bytes, limits)
}
