/** Announcements as bytes: the signed body and the payload it travels in (control-plane 2.2). */
import { type Ed25519Signer, nodeIdOf, signLabelled, verifyLabelled } from "../crypto/index.ts"
import { ByteReader, ByteWriter } from "../wire/bytes.ts"
import { decodeDcbor, encodeDcbor } from "../wire/dcbor.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"
import { type Announcement, MAX_BODY, MAX_HOPS, type SignedAnnouncement } from "./announcement.ts"
import { type FieldMap, readFields, writeFields } from "./announcement-fields.ts"

/** Label of the signature. */
const ANNOUNCEMENT_LABEL = "mesh/ann/v1"
const FORM = 1
const HOP_OFFSET = 1
const HEADER_LENGTH = 68

/**
 * The one body of an announcement; lists are sorted here.
 * @throws AvError as {@link decodeAnnouncementBody}: what a reader would refuse is never built.
 */
export function encodeAnnouncementBody(announcement: Announcement): Bytes {
  const map = writeFields(announcement)
  readFields(map)
  return encodeFieldMap(map)
}

/** The bytes of fields that {@link readFields} accepts. */
export function encodeFieldMap(map: FieldMap): Bytes {
  const body = encodeDcbor(map)
  if (body.length > MAX_BODY) throw new AvError("BadField", { what: "body", got: body.length, max: MAX_BODY })
  return body
}

/** @throws AvError `Malformed`, `NonCanonical`, `UnknownCriticalField`, `MissingField`, `BadField`, `AllowListTooLong`. */
export function decodeAnnouncementBody(body: Bytes): Announcement {
  if (body.length < 1 || body.length > MAX_BODY) throw new AvError("Malformed", { why: "body length", got: body.length })
  // The structure of the whole body is checked before any field is looked at.
  const value = decodeDcbor(body)
  if (!(value instanceof Map)) throw new AvError("Malformed", { why: "not a map" })
  return readFields(value)
}

/** The payload of an ANNOUNCE frame. */
export function encodeAnnouncement(signed: Pick<SignedAnnouncement, "hopCount" | "signature" | "body">): Bytes {
  const writer = new ByteWriter(HEADER_LENGTH + signed.body.length).u8(FORM).u8(signed.hopCount)
  return writer.u16le(signed.body.length).fixed(signed.signature, 64).bytes(signed.body).finish()
}

/**
 * Reads a payload without verifying anything.
 * @throws AvError `Malformed` on another form or length, `HopLimit`, and the errors of {@link decodeAnnouncementBody}.
 */
export function decodeAnnouncement(payload: Bytes): SignedAnnouncement {
  const reader = new ByteReader(payload, "Malformed")
  if (reader.u8() !== FORM) reader.fail("form")
  const hopCount = reader.u8()
  const length = reader.u16le()
  const signature = reader.bytes(64).slice()
  if (length !== reader.remaining) reader.fail("body length", { got: reader.remaining, need: length })
  if (hopCount >= MAX_HOPS) throw new AvError("HopLimit", { hopCount })
  const body = reader.rest().slice()
  return { hopCount, signature, body, announcement: decodeAnnouncementBody(body) }
}

/** The same payload one step further on: one byte differs. */
export function withHopCount(payload: Bytes, hopCount: number): Bytes {
  const copy = payload.slice()
  copy[HOP_OFFSET] = hopCount
  return copy
}

/** Signs an announcement as its origin. */
export async function signAnnouncement(announcement: Announcement, signer: Ed25519Signer): Promise<SignedAnnouncement> {
  const body = encodeAnnouncementBody(announcement)
  return { hopCount: 0, signature: await signLabelled(ANNOUNCEMENT_LABEL, body, signer), body, announcement }
}

/** The node id must be the one derived from the signer's key, on every way into this node. @throws AvError `NodeIdMismatch`. */
export function requireOwnNodeId(announcement: Announcement): void {
  let derived: string | undefined
  try {
    derived = nodeIdOf(announcement.entityId)
  } catch {
    derived = undefined
  }
  if (derived !== announcement.nodeId) throw new AvError("NodeIdMismatch", { node: announcement.nodeId })
}

/** True when the entity signed the body, by the strict rules. */
export function isAnnouncementSigned(signed: SignedAnnouncement): Promise<boolean> {
  return verifyLabelled(ANNOUNCEMENT_LABEL, signed.body, signed.announcement.entityId, signed.signature)
}

/** For files, tests and whatever else does not come from the network: node id and signature. @throws AvError `NodeIdMismatch`, `BadSignature`. */
export async function requireGenuine(signed: SignedAnnouncement): Promise<SignedAnnouncement> {
  requireOwnNodeId(signed.announcement)
  if (!(await isAnnouncementSigned(signed))) throw new AvError("BadSignature", { what: "announcement" })
  return signed
}
