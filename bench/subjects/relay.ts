/** What a relay pays for a chunk and its copies: the relay node by itself, and one chunk on its way through. */
import { secureRandom } from "../../src/crypto/index.ts"
import { RelayDuplicates, RelayNode } from "../../src/relay/index.ts"
import { CODEC_FOUNTAIN, LAYER_BASE, UNCAPPED } from "../../src/wire/layers.ts"
import type { InnerSealed } from "../../src/wire/types.ts"
import { type Effort, microseconds, round } from "../measure.ts"
import type { BenchRow, Subject } from "../subject.ts"
import { Hop, openFrame, Publisher, STREAM_ID } from "./hop.ts"

const SUBSCRIBERS = [8, 32, 128, 500]
/** A chunk of a lane, and a whole frame of 2 500 kbit/s at 30 a second as the reference measured it. */
const PAYLOADS = [1_000, 10_416]
const GIB = 2 ** 30

async function forward(effort: Effort): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  for (const payload of PAYLOADS) for (const n of SUBSCRIBERS) rows.push(await forwardTo(effort, n, payload))
  return rows
}

async function forwardTo(effort: Effort, n: number, payload: number): Promise<BenchRow> {
  const node = new RelayNode()
  for (let i = 0; i < n; i++) node.subscribe(STREAM_ID, `mk1-${i}`, secureRandom(32), UNCAPPED)
  const innerCiphertext = secureRandom(payload + 16)
  let chunkSeq = 0n
  const chunk = (): InnerSealed => {
    const header = { streamId: STREAM_ID, epoch: 1n, chunkSeq: chunkSeq++, codecId: CODEC_FOUNTAIN, layer: LAYER_BASE }
    return { ...header, innerCiphertext }
  }
  const us = await microseconds(effort, {
    operations: 1,
    run: async () => {
      const { outs } = await node.forward(STREAM_ID, chunk())
      if (outs.length !== n) throw new Error(`${outs.length} of ${n} sealed`)
    },
  })
  return {
    subscribers: n,
    payload_bytes: payload,
    chunk_us: round(us),
    AEAD_calls: n,
    per_AEAD_call_us: round(us / n),
    out_GiB_s: round((n * payload * 1e6) / us / GIB),
  }
}

/** What the mesh worker of a relay does with each chunk: open, window, seal for each child. */
async function throughRelay(effort: Effort): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  const batch = 64
  for (const children of [1, 3, 8]) {
    const publisher = new Publisher()
    const up = await Hop.create()
    const down = await Promise.all(Array.from({ length: children }, () => Hop.create()))
    let frames: Uint8Array[] = []
    let opener = await up.opener()
    let duplicates = new RelayDuplicates()
    const prepare = async () => {
      opener = await up.opener()
      duplicates = new RelayDuplicates()
      const chunks = await Promise.all(Array.from({ length: batch }, () => publisher.seal(secureRandom(1_000))))
      frames = await Promise.all(chunks.map((chunk) => up.sealer.seal(chunk)))
    }
    let seq = 0n
    const us = await microseconds(effort, {
      operations: batch,
      prepare,
      run: () =>
        Promise.all(
          frames.map(async (frame) => {
            const inner = await openFrame(opener, frame)
            if (!duplicates.admit("parent", 1n, seq++)) throw new Error("a fresh chunk was taken for a copy")
            await Promise.all(down.map(({ sealer }) => sealer.seal(inner, 8)))
          }),
        ),
    })
    rows.push({
      children,
      chunk_us: round(us),
      AEAD_calls: 1 + children,
      per_AEAD_call_us: round(us / (1 + children)),
      chunks_in_per_s: round(1e6 / us),
      chunks_out_per_s: round((children * 1e6) / us),
    })
  }
  return rows
}

export const relayForward: Subject = {
  name: "relay",
  title: "A relay hands one chunk on to N subscribers",
  note: "One `forward` of the relay node, all seals of the chunk under way at once, sealing and allocation only. GiB/s: subscribers times payload. WebCrypto is asynchronous, so small chunks show its price per call and not that of AES.",
  run: forward,
}

export const relayPath: Subject = {
  name: "relay-path",
  title: "Chunks through a relay",
  note: "1 000-byte chunks as on a lane, 64 under way at once: outer open, duplicate window, and one outer seal per child, without network, pacing and queues.",
  run: throughRelay,
}
