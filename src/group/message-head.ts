/** Reads what an MLS PrivateMessage says in the clear, without the MLS engine: small enough for the main thread. */
import { ByteReader } from "../wire/bytes.ts"
import type { Bytes } from "../wire/types.ts"
import type { MessageHead } from "./types.ts"

const MLS_10 = 1
const WIREFORMAT_PRIVATE_MESSAGE = 2
const CONTENT_TYPES = ["application", "proposal", "commit"] as const
/** Our group ids are 32 bytes (RM-4); the reference draws 16. Longer ones cannot be ours. */
const MAX_GROUP_ID = 63

/**
 * Group id, epoch and kind of a PrivateMessage (RFC 9420 6.3).
 *
 * @throws AvError `WireDecodeFailed` when the bytes are anything else.
 */
export function readMessageHead(bytes: Bytes): MessageHead {
  const reader: ByteReader = new ByteReader(bytes, "WireDecodeFailed")
  if (reader.u16be() !== MLS_10 || reader.u16be() !== WIREFORMAT_PRIVATE_MESSAGE) reader.fail("not a PrivateMessage")
  const idLength = reader.u8()
  if (idLength > MAX_GROUP_ID) reader.fail("group id length")
  const groupId = reader.bytes(idLength).slice()
  const epoch = reader.u64be()
  const content = CONTENT_TYPES[reader.u8() - 1]
  if (content === undefined) reader.fail("content type")
  return { groupId, epoch, content }
}
