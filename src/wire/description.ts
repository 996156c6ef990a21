/** The signed session description that stands in for SDP (control-plane 6.3). */
import { type CandidateEntry, MAX_CANDIDATES, readCandidate, writeCandidate } from "./address.ts"
import { ByteWriter } from "./byte-writer.ts"
import { ByteReader, concatBytes, utf8Encode } from "./bytes.ts"
import { AvError } from "./errors.ts"
import { nodeIdFromU64, nodeIdToU64 } from "./node-id.ts"
import type { Bytes, NodeId, U64 } from "./types.ts"

/** Label of the signature. */
export const DESCRIPTION_LABEL = "mesh/desc/v1"
const MAGIC = /* @__PURE__ */ utf8Encode("MSD1")
const SIGNATURE_LENGTH = 64

export interface SessionDescription {
  answer: boolean
  iceRestart: boolean
  /** Only the candidates are new. */
  trickle: boolean
  endOfCandidates: boolean
  fromEntity: Bytes
  toNode: NodeId
  /** Random, drawn by the requester and echoed in the answer. */
  attemptId: U64
  /** Sender's wall clock, Unix milliseconds. */
  issuedMs: U64
  /** SHA-256 of the DTLS certificate. */
  dtlsFingerprint: Bytes
  ufrag: string
  pwd: string
  candidates: CandidateEntry[]
}

interface SignedDescription {
  description: SessionDescription
  /** Everything before the signature, as it was signed. */
  signedBytes: Bytes
  signature: Bytes
}

/** True for text of `min` to `max` ICE characters. */
export function isIceText(text: string, min: number, max: number): boolean {
  return text.length >= min && text.length <= max && /^[A-Za-z0-9+/]*$/.test(text)
}

/** Reads `length` ICE characters; others raise the reader's own error. */
export function readIceText(reader: ByteReader, length: number): string {
  const text = String.fromCharCode(...reader.bytes(length))
  if (!isIceText(text, length, length)) reader.fail("not ICE characters")
  return text
}

/**
 * The bytes to sign. @throws AvError `UsageError` when a field is out of its range.
 */
export function encodeUnsignedDescription(d: SessionDescription): Bytes {
  if (!isIceText(d.ufrag, 4, 32) || !isIceText(d.pwd, 22, 64)) throw new AvError("UsageError", { why: "ICE credentials" })
  if (d.candidates.length > MAX_CANDIDATES) throw new AvError("UsageError", { why: "candidates", got: d.candidates.length })
  const flags = (d.answer ? 1 : 0) | (d.iceRestart ? 2 : 0) | (d.trickle ? 4 : 0) | (d.endOfCandidates ? 8 : 0)
  const writer = new ByteWriter(512).bytes(MAGIC).u8(flags)
  writer.u8(d.ufrag.length).u8(d.pwd.length).u8(d.candidates.length)
  writer.fixed(d.fromEntity, 32).u64le(nodeIdToU64(d.toNode)).u64le(d.attemptId).u64le(d.issuedMs)
  writer.fixed(d.dtlsFingerprint, 32).bytes(utf8Encode(d.ufrag)).bytes(utf8Encode(d.pwd))
  for (const candidate of d.candidates) writeCandidate(writer, candidate)
  return writer.finish()
}

/** The description as it travels. */
export function joinDescription(signedBytes: Bytes, signature: Bytes): Bytes {
  if (signature.length !== SIGNATURE_LENGTH) throw new AvError("UsageError", { why: "signature length", got: signature.length })
  return concatBytes(signedBytes, signature)
}

/**
 * Reads a description without verifying the signature: check it over `signedBytes` with the label
 * {@link DESCRIPTION_LABEL} and the key `fromEntity` before anything else is believed.
 * @throws AvError `Malformed` on any other length, unknown flags, credentials or candidates out of range.
 */
export function decodeDescription(bytes: Bytes): SignedDescription {
  const reader = new ByteReader(bytes, "Malformed")
  reader.expect(MAGIC, "magic")
  const flags = reader.u8()
  if (flags > 15) reader.fail("flags", { flags })
  const ufragLength = reader.u8()
  const pwdLength = reader.u8()
  const count = reader.u8()
  if (ufragLength < 4 || ufragLength > 32) reader.fail("ufrag length", { got: ufragLength })
  if (pwdLength < 22 || pwdLength > 64) reader.fail("pwd length", { got: pwdLength })
  if (count > MAX_CANDIDATES) reader.fail("candidates", { got: count, max: MAX_CANDIDATES })
  const description: SessionDescription = {
    answer: (flags & 1) !== 0,
    iceRestart: (flags & 2) !== 0,
    trickle: (flags & 4) !== 0,
    endOfCandidates: (flags & 8) !== 0,
    fromEntity: reader.bytes(32).slice(),
    toNode: nodeIdFromU64(reader.u64le()),
    attemptId: reader.u64le(),
    issuedMs: reader.u64le(),
    dtlsFingerprint: reader.bytes(32).slice(),
    ufrag: readIceText(reader, ufragLength),
    pwd: readIceText(reader, pwdLength),
    candidates: [],
  }
  for (let i = 0; i < count; i++) description.candidates.push(readCandidate(reader))
  const signedBytes = reader.consumed
  const signature = reader.bytes(SIGNATURE_LENGTH)
  reader.end()
  return { description, signedBytes, signature }
}
