/** From the group's secret to the content keys, and the id of a stream (av-mesh 6.2, D-3.5, D-8). */
import { hkdfExpand, mlsExporter, requireLength, sha256Sync } from "../../crypto/index.ts"
import { ByteWriter } from "../../wire/byte-writer.ts"
import { utf8Encode } from "../../wire/bytes.ts"
import { type StreamIdInputs, streamIdPreimage } from "../../wire/stream-id.ts"
import type { Bytes, U64 } from "../../wire/types.ts"

/** Label and length for an MLS engine's own exporter; the context is empty. */
const ROOT_SECRET_LABEL = "ciris-realtime-av-epoch-dek-seed-v1"
const ROOT_SECRET_LENGTH = 32

/** The epoch's root secret from its exporter secret. Profile 0 uses it as content key as it is. */
export async function deriveRootSecret(exporterSecret: Bytes): Promise<Bytes> {
  requireLength(exporterSecret, 32, "exporter secret")
  return mlsExporter(exporterSecret, ROOT_SECRET_LABEL, new Uint8Array(0), ROOT_SECRET_LENGTH)
}

/** The content key of one stream in one epoch (profile 1). */
export async function deriveStreamDek(rootSecret: Bytes, streamId: Bytes, epoch: U64): Promise<Bytes> {
  requireLength(rootSecret, 32, "root secret")
  const info = new ByteWriter(64).bytes(utf8Encode("AVMESH-STRMDEK-1")).fixed(streamId, 32).u64be(epoch).finish()
  return hkdfExpand(rootSecret, info, 32)
}

/** The 32-byte id of a stream; a receiver recomputes it from the descriptor and compares. */
export function deriveStreamId(inputs: StreamIdInputs): Bytes {
  return sha256Sync(streamIdPreimage(inputs))
}
