/** Why a commit removes members: the JSON in its authenticated data (room RM-14, RM-31). */
import { utf8Decode, utf8Encode } from "./bytes.ts"
import { AvError } from "./errors.ts"
import { type Field, isJsonObject, keyIdField, listOf, oneOf } from "./json-field.ts"
import { type Decoded, objectOf, optional, readShape, required, writeShape } from "./json-shape.ts"
import { parseJson } from "./json-text.ts"
import { orderShape } from "./room-order.ts"
import type { Bytes } from "./types.ts"

/** Longest authenticated data of a commit, bytes. */
export const MAX_REASONS_LENGTH = 8_192
/** More entries do not fit into 8 KiB. */
const MAX_REASONS = 512

const reasonShape = {
  keyId: required("key_id", keyIdField),
  reason: required("reason", oneOf("left", "gone", "replaced", "removed")),
  /** There if and only if the reason is `removed`. */
  order: optional("order", objectOf(orderShape)),
}
export type CommitReason = Decoded<typeof reasonShape>

const reasonEntry = /* @__PURE__ */ objectOf(reasonShape)
const reasonField: Field<CommitReason> = {
  read(value) {
    const reason = reasonEntry.read(value)
    const consistent = reason !== undefined && (reason.order !== undefined) === (reason.reason === "removed")
    return consistent ? reason : undefined
  },
  write: (value) => reasonEntry.write(value),
}
const whyShape = { why: required("why", listOf(reasonField, MAX_REASONS)) }

/** The authenticated data for these reasons; empty bytes for none. @throws AvError `CommitReasonInvalid` above 8 KiB. */
export function encodeCommitReasons(reasons: CommitReason[]): Bytes {
  if (reasons.length === 0) return new Uint8Array(0)
  const bytes = utf8Encode(JSON.stringify(writeShape(whyShape, { why: reasons })))
  parseCommitReasons(bytes)
  return bytes
}

/** Bytes that one reason takes in {@link encodeCommitReasons}, with the comma before the next one. */
export function commitReasonLength(reason: CommitReason): number {
  return utf8Encode(JSON.stringify(reasonEntry.write(reason))).length + 1
}

/**
 * Reads authenticated data. Only its form is judged: whether the entries match the commit's Removes and whether orders are
 * valid is for the group's rules.
 * @throws AvError `CommitReasonInvalid`.
 */
export function parseCommitReasons(bytes: Bytes): CommitReason[] {
  if (bytes.length === 0) return []
  if (bytes.length > MAX_REASONS_LENGTH) throw new AvError("CommitReasonInvalid", { got: bytes.length, max: MAX_REASONS_LENGTH })
  const json = parseJson(utf8Decode(bytes, "CommitReasonInvalid"), "CommitReasonInvalid")
  const decoded = isJsonObject(json) ? readShape(whyShape, json) : undefined
  if (decoded === undefined) throw new AvError("CommitReasonInvalid", { why: "members" })
  return decoded.why
}
