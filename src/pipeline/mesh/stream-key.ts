/** The text form of a stream id that names a stream in maps and in messages between the workers. */
import { toHex } from "../../wire/bytes.ts"
import type { Bytes } from "../../wire/types.ts"

/** 64 hex digits of a 32-byte stream id. */
export function streamKeyOf(streamId: Bytes): string {
  return toHex(streamId)
}
