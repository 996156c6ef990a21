/** Decoders of the hot path and of larger control messages, per message. */
import { secureRandom } from "../../src/crypto/index.ts"
import { encodeLiveFrame, type LiveObject } from "../../src/fountain/index.ts"
import { utf8Encode } from "../../src/wire/bytes.ts"
import { encodeChunk } from "../../src/wire/chunk.ts"
import { decodeControlMessage } from "../../src/wire/control-json.ts"
import { decodeFountainBody, encodeFountainBody } from "../../src/wire/fountain-body.ts"
import { decodeLaneMessage, encodeLaneData } from "../../src/wire/lane-message.ts"
import { CODEC_FOUNTAIN, LAYER_BASE } from "../../src/wire/layers.ts"
import { decodeLinkFrame, encodeLinkFrame } from "../../src/wire/link-frame.ts"
import {
  decodeMediaPayload,
  encodeMediaPayload,
  PAYLOAD_KIND_FOUNTAIN,
  PAYLOAD_KIND_VIDEO,
} from "../../src/wire/media-payload.ts"
import type { Bytes } from "../../src/wire/types.ts"
import { type Effort, microseconds, round } from "../measure.ts"
import type { BenchRow, Subject } from "../subject.ts"

const POOL = 1_000

async function measure(effort: Effort): Promise<BenchRow[]> {
  const [{ symbols, fragIndex, fragCount, ...parameters }] = encodeLiveFrame(secureRandom(10_000), () => 0) as [LiveObject]
  const symbol = symbols[0]?.bytes as Bytes
  const body = encodeFountainBody({ ...parameters, symbolId: 0, symbol, contentKind: PAYLOAD_KIND_VIDEO })
  const payload = encodeMediaPayload({
    kind: PAYLOAD_KIND_FOUNTAIN,
    keyframe: true,
    lastFragment: false,
    discontinuity: false,
    aux: 0,
    ptsUs: 1_000_000n,
    frameId: 7,
    fragIndex,
    fragCount,
    body,
  })
  const header = { streamId: secureRandom(32), epoch: 3n, chunkSeq: 9n, codecId: CODEC_FOUNTAIN, layer: LAYER_BASE }
  const frame = encodeLinkFrame(12n, encodeChunk({ ...header, ciphertext: secureRandom(payload.length + 32) }))
  const unknown = utf8Encode(JSON.stringify({ t: "future.message", values: Array.from({ length: 40 }, (_, i) => `value ${i}`) }))
  const messages: [string, Bytes, (bytes: Bytes) => unknown][] = [
    ["lane message", encodeLaneData(5, 1_000, frame), decodeLaneMessage],
    ["link frame", frame, decodeLinkFrame],
    ["media payload", payload, decodeMediaPayload],
    ["fountain body", body, decodeFountainBody],
    ["control message (JSON)", unknown, decodeControlMessage],
  ]
  const rows: BenchRow[] = []
  for (const [message, bytes, decode] of messages) {
    const us = await microseconds(effort, {
      operations: POOL,
      run: async () => {
        for (let i = 0; i < POOL; i++) decode(bytes)
      },
    })
    rows.push({ message, size_bytes: bytes.length, decode_us: round(us) })
  }
  return rows
}

export const decoders: Subject = {
  name: "decoders",
  title: "Decoders",
  note: "A symbol's way in without the cryptography, and one control message of a type we do not know.",
  run: measure,
}
