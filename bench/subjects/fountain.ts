/** RaptorQ per frame: encoding, decoding with nothing lost, decoding with losses. Needs an initialised codec. */
import { secureRandom } from "../../src/crypto/index.ts"
import { encodeLiveFrame, FountainAssembler, type LiveObject } from "../../src/fountain/index.ts"
import { encodeFountainBody } from "../../src/wire/fountain-body.ts"
import { type MediaPayload, PAYLOAD_KIND_FOUNTAIN, PAYLOAD_KIND_VIDEO } from "../../src/wire/media-payload.ts"
import type { Bytes } from "../../src/wire/types.ts"
import { type Effort, microseconds, round } from "../measure.ts"
import type { BenchRow, Subject } from "../subject.ts"

const FRAME_KB = [2, 10, 30, 64]
/** Frames per sample. */
const POOL = 8

async function byFrameSize(effort: Effort): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  for (const kb of FRAME_KB) {
    const frame = secureRandom(kb * 1_000)
    const [object] = encodeLiveFrame(frame) as [LiveObject]
    const whole = poolOf(frame, (sent) => sent.slice(0, object.nSource))
    const one = poolOf(frame, (sent) => sent.slice(1))
    // Two symbols more than the K needed at least: a second attempt is rare then and does not blur the figure.
    const worst = poolOf(frame, (sent) => sent.slice(Math.max(1, object.kRepair - 2)))
    rows.push({
      frame: `${kb} KB`,
      symbols: `${object.nSource}+${object.kRepair}`,
      symbol_bytes: object.symbolSize,
      encode_us: round(await encoding(effort, frame)),
      nothing_lost_us: round(await assembling(effort, whole)),
      one_lost_us: round(await assembling(effort, one)),
      most_lost_us: round(await assembling(effort, worst)),
    })
  }
  return rows
}

function encoding(effort: Effort, frame: Bytes): Promise<number> {
  return microseconds(effort, {
    operations: POOL,
    run: async () => {
      for (let i = 0; i < POOL; i++) encodeLiveFrame(frame)
    },
  })
}

function assembling(effort: Effort, frames: MediaPayload[][]): Promise<number> {
  return microseconds(effort, {
    operations: POOL,
    run: async () => {
      const assembler = new FountainAssembler()
      for (const payloads of frames) for (const payload of payloads) assembler.add(payload)
      if (assembler.stats.frames !== POOL) throw new Error(`${assembler.stats.frames} of ${POOL} frames came through`)
    },
  })
}

function poolOf(frame: Bytes, survive: (sent: MediaPayload[]) => MediaPayload[]): MediaPayload[][] {
  return Array.from({ length: POOL }, (_, frameId) => survive(payloadsOf(frame, frameId)))
}

function payloadsOf(frame: Bytes, frameId: number): MediaPayload[] {
  return encodeLiveFrame(frame).flatMap(({ symbols, fragIndex, fragCount, ...parameters }) =>
    symbols.map(({ symbolId, bytes }) => ({
      kind: PAYLOAD_KIND_FOUNTAIN,
      keyframe: false,
      lastFragment: false,
      discontinuity: false,
      aux: 0,
      ptsUs: BigInt(frameId) * 33_333n,
      frameId,
      fragIndex,
      fragCount,
      body: encodeFountainBody({ ...parameters, symbolId, symbol: bytes, contentKind: PAYLOAD_KIND_VIDEO }),
    })),
  )
}

export const fountain: Subject = {
  name: "fountain",
  title: "RaptorQ per frame",
  note: "The live profile: symbols of about 1000 bytes and 30 % repair symbols. Encoding makes all symbols; decoding is the assembler with the payload parsing, with all source symbols at hand (no elimination), with one lost, and with all but two of the repairable ones lost.",
  run: byFrameSize,
}
