/** GOAWAY: why a session ends (control-plane 0.5). */
import { ByteWriter } from "./byte-writer.ts"
import { ByteReader, utf8Decode, utf8Encode } from "./bytes.ts"
import { AvError } from "./errors.ts"
import type { Bytes } from "./types.ts"

/** In the order of their codes 0..8. */
export const GOAWAY_REASONS = [
  "unspecified",
  "leaving",
  "self",
  "psk",
  "protocol",
  "draining",
  "policy",
  "limit",
  "identity",
] as const
export type GoawayReason = (typeof GOAWAY_REASONS)[number]

const MAX_TEXT_LENGTH = 64

export interface Goaway {
  reason: GoawayReason
  /** For logs only, at most 64 bytes of UTF-8. */
  text: string
}

/** The payload of a GOAWAY frame. @throws AvError `UsageError` when the text is too long. */
export function encodeGoaway(goaway: Goaway): Bytes {
  const text = utf8Encode(goaway.text)
  if (text.length > MAX_TEXT_LENGTH)
    throw new AvError("UsageError", { why: "goaway text", got: text.length, max: MAX_TEXT_LENGTH })
  return new ByteWriter(3 + text.length).u16le(GOAWAY_REASONS.indexOf(goaway.reason)).u8(text.length).bytes(text).finish()
}

/**
 * Reads a GOAWAY payload; unknown codes read as `unspecified`.
 * @throws AvError `FrameInvalid` when lengths or text are wrong.
 */
export function decodeGoaway(payload: Bytes): Goaway {
  const reader = new ByteReader(payload, "FrameInvalid")
  const reason = GOAWAY_REASONS[reader.u16le()] ?? "unspecified"
  const length = reader.u8()
  if (length > MAX_TEXT_LENGTH) reader.fail("goaway text", { got: length, max: MAX_TEXT_LENGTH })
  const text = utf8Decode(reader.bytes(length), "FrameInvalid")
  reader.end()
  return { reason, text }
}
