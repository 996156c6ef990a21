/** Room settings: the message, its body and what is signed (room RM-18, RM-34). */
import { ByteWriter } from "./byte-writer.ts"
import { utf8Decode, utf8Encode } from "./bytes.ts"
import { AvError } from "./errors.ts"
import { bytesField, type Field, intField, isJsonObject, keyIdField, listOf, oneOf, u64Field } from "./json-field.ts"
import { type Decoded, objectOf, optional, readShape, required, writeShape } from "./json-shape.ts"
import { parseJson } from "./json-text.ts"
import { MAX_CHAIN_LENGTH } from "./room-order.ts"
import type { Bytes, PeerKeyId } from "./types.ts"

/** Label of the signature. */
export const SETTINGS_LABEL = "mesh/room/v1"
/** Largest body in bytes of UTF-8. */
const MAX_SETTINGS_BODY = 16_384

export const admissionField = /* @__PURE__ */ oneOf("invited", "knock", "locked")
const rightField = /* @__PURE__ */ oneOf("all", "token")

/** Token chains that a root hands out with the settings, so that they reach whoever comes back or comes later. */
const MAX_GRANTS = 32
const grantField = objectOf({
  keyId: required("key_id", keyIdField),
  right: required("right", oneOf("host", "publish", "relay")),
  chain: required("chain", bytesField(1, MAX_CHAIN_LENGTH)),
})

/** A member of our own: what is not understood there is left out instead of refusing the whole (RM-34). */
const grantsField: Field<RoomGrant[]> = {
  read: (value) =>
    (Array.isArray(value) ? value : []).slice(0, MAX_GRANTS).flatMap((item) => {
      const grant = grantField.read(item)
      return grant === undefined ? [] : [grant]
    }),
  write: (grants) => grants.map(grantField.write),
}

const bodyShape = {
  admission: required("admission", admissionField),
  maxMembers: required("max_members", intField(2, 10_000)),
  publish: required("publish", rightField),
  relay: required("relay", rightField),
  barred: required("barred", listOf(keyIdField, 256)),
  /** The invitation secret that replaces the old one, and the count of replacements. */
  invite: optional(
    "invite",
    objectOf({ k: required("k", bytesField(32)), generation: required("generation", intField(1, 0xffffffff)) }),
  ),
  grants: optional("grants", grantsField),
}
/** A right of a member and the chain that proves it. */
export interface RoomGrant {
  keyId: PeerKeyId
  right: "host" | "publish" | "relay"
  chain: Bytes
}
export type RoomSettings = Decoded<typeof bodyShape>

/** What holds as long as nobody signed other settings. */
export const DEFAULT_SETTINGS: RoomSettings = /* @__PURE__ */ Object.freeze({
  admission: "invited",
  maxMembers: 100,
  publish: "all",
  relay: "all",
  barred: [],
})

/** Members of `room.settings`. */
export const settingsShape = {
  version: required("version", u64Field),
  /** UTF-8 JSON, kept as bytes because these bytes are hashed and signed. */
  body: required("body", bytesField(0, MAX_SETTINGS_BODY)),
  entityId: required("entity_id", bytesField(32)),
  chain: optional("chain", bytesField(1, MAX_CHAIN_LENGTH)),
  sig: required("sig", bytesField(64)),
}
export type SignedSettings = Decoded<typeof settingsShape>

/**
 * Reads a body.
 * @throws AvError `SettingsInvalid` when anything in it is not as RM-34 asks; unknown members are ignored.
 */
export function parseSettingsBody(body: Bytes): RoomSettings {
  if (body.length > MAX_SETTINGS_BODY) throw new AvError("SettingsInvalid", { got: body.length, max: MAX_SETTINGS_BODY })
  const json = parseJson(utf8Decode(body, "SettingsInvalid"), "SettingsInvalid")
  const settings = isJsonObject(json) ? readShape(bodyShape, json) : undefined
  if (settings === undefined) throw new AvError("SettingsInvalid", { why: "members" })
  if (new Set(settings.barred).size !== settings.barred.length) throw new AvError("SettingsInvalid", { why: "barred twice" })
  return settings
}

/** The bytes to sign and send. @throws AvError `SettingsInvalid` when a reader would refuse them. */
export function encodeSettingsBody(settings: RoomSettings): Bytes {
  const body = utf8Encode(JSON.stringify(writeShape(bodyShape, settings)))
  parseSettingsBody(body)
  return body
}

/** The bytes signed with {@link SETTINGS_LABEL}; the hash comes in because hashing lives in crypto. */
export function settingsSigningBytes(roomId: Bytes, version: bigint, bodyHash: Bytes): Bytes {
  return new ByteWriter(72).fixed(roomId, 32).u64be(version).fixed(bodyHash, 32).finish()
}
