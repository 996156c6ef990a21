/** Shapes of fountain objects: limits, the live profile, ids on the wire and what to drop first (av-mesh 9.2, D-31, D-36). */
import { AvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"

/** The parameters of one object. */
export interface FountainConfig {
  /** K, the number of source symbols. */
  nSource: number
  kRepair: number
  /** Bytes per symbol. */
  symbolSize: number
  /** The encoder refuses payloads below this many full symbols; the decoder does not start below it. Live profile: 0. */
  minViableSymbols: number
}

/** Body bytes per symbol that the live profile aims at. */
const LIVE_SYMBOL_BYTES = 1_000
/** A frame with more source symbols is split into several objects. */
const MAX_LIVE_SOURCE = 192
/** Sizes the codec can take: multiples of this, and at least {@link MIN_SYMBOL_SIZE}. */
const SYMBOL_ALIGNMENT = 8
const MIN_SYMBOL_SIZE = 64

/** Checks of av-mesh 9.2 that come before everything else. */
export function validateFountainConfig(config: FountainConfig): void {
  const { nSource, kRepair, symbolSize, minViableSymbols } = config
  for (const value of [nSource, kRepair, symbolSize, minViableSymbols]) {
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) throw new AvError("UsageError", { value })
  }
  if (symbolSize === 0 || nSource === 0) throw new AvError("PayloadTooLarge", { len: 0, capacity: 0 })
  if (minViableSymbols > nSource) throw new AvError("PayloadTooSmall", { len: 0, floor: minViableSymbols * symbolSize })
  if (symbolSize > 0xffff) throw new AvError("PayloadTooLarge", { len: symbolSize, capacity: 0xffff })
}

/**
 * The live profile for an object of `length` bytes (D-31.3, D-36.1). `repair` overrides the number of repair symbols, as loss
 * reports ask for; 0 is legal.
 */
export function liveFountainConfig(length: number, repair?: number): FountainConfig {
  const nSource = Math.max(1, Math.ceil(length / LIVE_SYMBOL_BYTES))
  const fair = Math.ceil(length / nSource)
  const aligned = Math.max(MIN_SYMBOL_SIZE, SYMBOL_ALIGNMENT * Math.ceil(fair / SYMBOL_ALIGNMENT))
  return {
    nSource,
    kRepair: repair ?? Math.max(1, Math.ceil((3 * nSource) / 10)),
    // One symbol never meets the codec and may have any size; an empty object still carries one byte.
    symbolSize: nSource === 1 ? Math.max(1, length) : aligned,
    minViableSymbols: 0,
  }
}

/** Lengths of the objects a frame of `length` bytes is cut into, in order: one, unless it has more than 192 source symbols. */
export function splitObjects(length: number): number[] {
  const symbols = Math.max(1, Math.ceil(length / LIVE_SYMBOL_BYTES))
  const objects = Math.ceil(symbols / MAX_LIVE_SOURCE)
  const each = Math.ceil(length / objects)
  return Array.from({ length: objects }, (_, i) => Math.min(each, length - i * each))
}

/** `layer.quality` of a symbol in the live mapping (D-31.1): 0 for source, then 1, 2, … for repair. */
export function fecQuality(nSource: number, symbolId: number): number {
  return symbolId < nSource ? 0 : Math.min(255, 1 + symbolId - nSource)
}

/** The reference's mapping, `layer.quality = symbol_id`. More than 256 symbols: `TooManySymbols`. */
export function symbolIndexQuality(config: FountainConfig, symbolId: number): number {
  const symbols = config.nSource + config.kRepair
  if (symbols > 256) throw new AvError("TooManySymbols", { symbols, max: 256 })
  return symbolId
}

/** The 12-byte object transmission information of RFC 6330 for our one-block objects. Not sent; for other implementations. */
export function encodeOti(nSource: number, symbolSize: number): Bytes {
  const out = new Uint8Array(12)
  const view = new DataView(out.buffer)
  const length = nSource * symbolSize
  view.setUint8(0, Math.floor(length / 2 ** 32))
  view.setUint32(1, length % 2 ** 32)
  view.setUint16(6, symbolSize)
  out.set([1, 0, 1, 1], 8)
  return out
}

/** The 4-byte payload id of RFC 6330: source block 0 and the symbol id. */
export function encodePayloadId(symbolId: number): Bytes {
  const out = new Uint8Array(4)
  new DataView(out.buffer).setUint32(0, symbolId & 0xffffff)
  return out
}

/** What to drop first from storage: 0..255, larger goes first (av-mesh 9.2). Products stay within 32 bits, as where it comes from. */
export function retentionPriority(svcQuality: number, symbolId: number, nSource: number): number {
  const quality = Math.min(svcQuality, 3)
  const beyond = symbolId - nSource
  const times32 = (count: number) => Math.min(count * 32, 0xffffffff)
  const bucket =
    beyond < 0
      ? Math.floor(times32(symbolId) / Math.max(nSource, 1))
      : 32 + Math.min(31, Math.floor(times32(beyond) / (beyond + 1)))
  return (quality << 6) | (bucket & 0x3f)
}
