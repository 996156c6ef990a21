/** The number that stands for a channel in tokens (control-plane 5.1). */
import { keyedBlake2s } from "../crypto/index.ts"
import { ByteReader, utf8Encode } from "../wire/bytes.ts"
import type { U64 } from "../wire/types.ts"

/** Of a canonical name; another spelling gives another number. */
export function channelHash(canonicalName: string): U64 {
  return new ByteReader(keyedBlake2s("mesh-channel-v1", utf8Encode(canonicalName))).u64le()
}
