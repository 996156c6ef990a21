/** What a stream id is the hash of (av-mesh D-3.5). */

import { ByteWriter } from "./byte-writer.ts"
import { utf8Encode } from "./bytes.ts"
import type { Bytes, PeerKeyId, SealProfile } from "./types.ts"

export interface StreamIdInputs {
  sealProfile: SealProfile
  roomId: Bytes
  publisherKeyId: PeerKeyId
  trackLabel: string
  /** Empty for a whole stream. */
  subStreamPath: Bytes
  /** 16 random bytes, fresh whenever publishing starts. */
  instance: Bytes
}

/** The bytes whose SHA-256 is the stream id. */
export function streamIdPreimage(inputs: StreamIdInputs): Bytes {
  return new ByteWriter(256)
    .bytes(utf8Encode("AVMESH-STREAM-V1"))
    .u8(inputs.sealProfile)
    .lp16(inputs.roomId)
    .lp16(utf8Encode(inputs.publisherKeyId))
    .lp16(utf8Encode(inputs.trackLabel))
    .lp16(inputs.subStreamPath)
    .fixed(inputs.instance, 16)
    .finish()
}
