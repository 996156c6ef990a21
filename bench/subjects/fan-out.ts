/** Fan-out to N receivers: both layers for each of them against the inner layer once; and layered fan-out. */
import { secureRandom } from "../../src/crypto/index.ts"
import { sealChunk, sealInner } from "../../src/seal/inner/index.ts"
import { sealOuter } from "../../src/seal/outer/index.ts"
import { admitsChunk, BLINKING_DOT, CODEC_AV1_SVC, LAYER_BASE, UNCAPPED } from "../../src/wire/layers.ts"
import type { Bytes, ChunkHeader, ChunkLayer } from "../../src/wire/types.ts"
import { type Effort, round, takeTurns } from "../measure.ts"
import type { BenchRow, Subject } from "../subject.ts"
import { Hop, LINK_ID, Publisher, STREAM_ID } from "./hop.ts"

const CHUNK = 16 * 1024
const RECEIVERS = [8, 64]
/** The base layer and six above it: three temporal, two spatial, one of quality. */
const CELLS: ChunkLayer[] = [
  LAYER_BASE,
  { spatial: 0, temporal: 1, quality: 0 },
  { spatial: 0, temporal: 2, quality: 0 },
  { spatial: 0, temporal: 3, quality: 0 },
  { spatial: 1, temporal: 0, quality: 0 },
  { spatial: 2, temporal: 0, quality: 0 },
  { spatial: 0, temporal: 0, quality: 1 },
]

let chunkSeq = 0n
const nextHeader = (): ChunkHeader => ({
  streamId: STREAM_ID,
  epoch: 1n,
  chunkSeq: chunkSeq++,
  codecId: CODEC_AV1_SVC,
  layer: LAYER_BASE,
})

async function split(effort: Effort): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  for (const n of RECEIVERS) rows.push(await keysAsBytes(effort, n), await keysImported(effort, n))
  return rows
}

/** The functions that take keys as bytes, and so import one per call: the shape in which the published figure was taken. */
async function keysAsBytes(effort: Effort, n: number): Promise<BenchRow> {
  const plaintext = secureRandom(CHUNK)
  const dek = secureRandom(32)
  const transitKeys = Array.from({ length: n }, () => secureRandom(32))
  let linkSeq = 0n
  const times = await takeTurns(effort.rounds * 3, {
    before: () => {
      linkSeq++
      return Promise.all(transitKeys.map((key) => sealChunk(plaintext, dek, nextHeader(), key, LINK_ID, linkSeq)))
    },
    after: async () => {
      linkSeq++
      const inner = await sealInner(plaintext, dek, nextHeader())
      await Promise.all(transitKeys.map((key) => sealOuter(inner, key, LINK_ID, linkSeq)))
    },
  })
  return rowOf("imported per call", n, times)
}

/** What the mesh worker does. */
async function keysImported(effort: Effort, n: number): Promise<BenchRow> {
  const plaintext = secureRandom(CHUNK)
  const publisher = new Publisher()
  const hops = await hopsTo(n)
  const times = await takeTurns(effort.rounds * 3, {
    before: () => Promise.all(hops.map(async ({ sealer }) => sealer.seal(await publisher.seal(plaintext)))),
    after: async () => {
      const chunk = await publisher.seal(plaintext)
      await Promise.all(hops.map(({ sealer }) => sealer.seal(chunk)))
    },
  })
  return rowOf("imported once", n, times)
}

function rowOf(keys: string, n: number, times: { before: number; after: number }): BenchRow {
  return {
    receivers: n,
    keys,
    before_us: round(times.before * 1_000),
    before_AEAD_calls: 2 * n,
    after_us: round(times.after * 1_000),
    after_AEAD_calls: n + 1,
    after_per_AEAD_call_us: round((times.after * 1_000) / (n + 1)),
    ratio: round(times.before / times.after),
  }
}

async function layered(effort: Effort): Promise<BenchRow[]> {
  const n = 64
  const plaintext = secureRandom(CHUNK)
  const publisher = new Publisher()
  const receivers = (await hopsTo(n)).map((hop, i) => ({ hop, policy: i % 2 === 0 ? UNCAPPED : BLINKING_DOT }))
  let calls = 0
  const { layers } = await takeTurns(effort.rounds, {
    layers: async () => {
      calls = 0
      const sealed: Promise<Bytes>[] = []
      for (const layer of CELLS) {
        const chunk = await publisher.sealer.seal(plaintext, CODEC_AV1_SVC, layer)
        calls++
        for (const { hop, policy } of receivers) {
          if (admitsChunk(policy, CODEC_AV1_SVC, layer)) sealed.push(hop.sealer.seal(chunk))
        }
      }
      calls += (await Promise.all(sealed)).length
    },
  })
  const total = layers * 1_000
  return [
    { receivers: n, layers: CELLS.length, total_us: round(total), AEAD_calls: calls, per_AEAD_call_us: round(total / calls) },
  ]
}

function hopsTo(n: number): Promise<Hop[]> {
  return Promise.all(Array.from({ length: n }, () => Hop.create()))
}

export const fanOut: Subject = {
  name: "fan-out",
  title: "Fan-out of one 16 KiB chunk, before and after sealing the inner layer once",
  note: "Before: both layers for every receiver. After: the inner layer once, then one outer layer per receiver. Both in turns within one run; all seals of a chunk under way at once. The ratio is what to compare.",
  run: split,
}

export const layeredFanOut: Subject = {
  name: "layered",
  title: "Layered fan-out",
  note: "7 layers of 16 KiB to 64 receivers, half of them take everything, half only the base layer.",
  run: layered,
}
