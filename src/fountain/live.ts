/** The live profile's sending side: a media frame becomes one or more objects of symbols (av-mesh D-31, D-36). */
import type { Bytes } from "../wire/types.ts"
import { encodeRepair } from "./codec.ts"
import { fecQuality, liveFountainConfig, splitObjects } from "./config.ts"
import { sourceSymbols } from "./object.ts"

interface LiveSymbol {
  symbolId: number
  bytes: Bytes
  /** `layer.quality` of the chunk that carries it. */
  quality: number
}

/** One object; `fragIndex` and `fragCount` go into the media payload, the rest into the fountain body. */
export interface LiveObject {
  fragIndex: number
  fragCount: number
  nSource: number
  kRepair: number
  symbolSize: number
  contentLength: number
  /** Source symbols in order, then repair. Bytes may be shared between symbols and with the frame: do not write to them. */
  symbols: LiveSymbol[]
}

/** Decides the number of repair symbols of an object; loss reports steer it. Without it the profile's 30 %. */
export type RepairPolicy = (nSource: number) => number

/** Cuts and encodes one frame. Needs `initFountain` unless the frame fits one symbol or no repair is asked for. */
export function encodeLiveFrame(frame: Bytes, repair?: RepairPolicy): LiveObject[] {
  const lengths = splitObjects(frame.length)
  let at = 0
  return lengths.map((length, fragIndex) => {
    const content = frame.subarray(at, at + length)
    at += length
    return encodeObject(content, fragIndex, lengths.length, repair)
  })
}

function encodeObject(content: Bytes, fragIndex: number, fragCount: number, repair: RepairPolicy | undefined): LiveObject {
  const plain = liveFountainConfig(content.length)
  const { nSource, symbolSize } = plain
  const kRepair = repair === undefined ? plain.kRepair : Math.max(0, Math.min(0xffff - nSource, Math.trunc(repair(nSource))))
  const block = new Uint8Array(nSource * symbolSize)
  block.set(content)
  const symbols =
    nSource === 1
      ? Array.from({ length: 1 + kRepair }, (_, symbolId) => ({ symbolId, bytes: block }))
      : [...sourceSymbols(block, symbolSize), ...encodeRepair(block, symbolSize, kRepair)]
  return {
    fragIndex,
    fragCount,
    nSource,
    kRepair,
    symbolSize,
    contentLength: content.length,
    symbols: symbols.map((symbol) => ({ ...symbol, quality: fecQuality(nSource, symbol.symbolId) })),
  }
}
