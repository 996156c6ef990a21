/** Encoding and decoding of whole objects with symbol hashes, as storage uses them (av-mesh 9.2). */
import { sha256Sync } from "../crypto/index.ts"
import { equalBytes } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"
import { type CodedSymbol, checkBlock, decodeBlock, encodeRepair } from "./codec.ts"
import { type FountainConfig, validateFountainConfig } from "./config.ts"

interface FountainSymbol extends CodedSymbol {
  sha256: Bytes
}

interface FountainEncoded {
  originalContentLength: number
  /** Ordered by id: source symbols, then repair. */
  symbols: FountainSymbol[]
  symbolHashes: Bytes[]
}

/**
 * Encodes a payload. Errors: `PayloadTooSmall`, `PayloadTooLarge`, `SymbolSizeUnsupported` (not a multiple of 8, or under 64),
 * `TooManySymbols`.
 */
export function fountainEncode(payload: Bytes, config: FountainConfig): FountainEncoded {
  validateFountainConfig(config)
  const { nSource, kRepair, symbolSize, minViableSymbols } = config
  const floor = minViableSymbols * symbolSize
  if (payload.length < floor) throw new AvError("PayloadTooSmall", { len: payload.length, floor })
  const capacity = nSource * symbolSize
  if (payload.length > capacity) throw new AvError("PayloadTooLarge", { len: payload.length, capacity })
  checkBlock(nSource, symbolSize)
  const block = new Uint8Array(capacity)
  block.set(payload)
  const symbols = [...sourceSymbols(block, symbolSize), ...encodeRepair(block, symbolSize, kRepair)].map((symbol) => ({
    ...symbol,
    sha256: sha256Sync(symbol.bytes),
  }))
  return { originalContentLength: payload.length, symbols, symbolHashes: symbols.map((symbol) => symbol.sha256) }
}

/**
 * Decodes an object. One symbol with an unknown id or a wrong hash fails the whole call: `SymbolHashMismatch { id }`. Too few:
 * `InsufficientSymbols` below the viable minimum, else `DecodeFailed`.
 */
export function fountainDecode(
  symbols: readonly CodedSymbol[],
  hashes: readonly Bytes[],
  length: number,
  config: FountainConfig,
): Bytes {
  validateFountainConfig(config)
  const { nSource, kRepair, symbolSize, minViableSymbols } = config
  if (symbols.length < minViableSymbols)
    throw new AvError("InsufficientSymbols", { have: symbols.length, need: minViableSymbols })
  checkBlock(nSource, symbolSize)
  if (!Number.isInteger(length) || length < 0 || length > nSource * symbolSize) throw new AvError("DecodeFailed", { length })
  const distinct = new Map<number, CodedSymbol>()
  for (const symbol of symbols) {
    const expected = symbol.symbolId < nSource + kRepair ? hashes[symbol.symbolId] : undefined
    if (expected === undefined || !equalBytes(sha256Sync(symbol.bytes), expected)) {
      throw new AvError("SymbolHashMismatch", { id: symbol.symbolId })
    }
    distinct.set(symbol.symbolId, symbol)
  }
  const block = recoverBlock(distinct, nSource, symbolSize)
  if (block === undefined) throw new AvError("DecodeFailed", { have: distinct.size, need: nSource })
  return block.slice(0, length)
}

/** Source symbols `0 … K - 1`: slices of the block, not copies. */
export function sourceSymbols(block: Bytes, symbolSize: number): CodedSymbol[] {
  return Array.from({ length: block.length / symbolSize }, (_, i) => ({
    symbolId: i,
    bytes: block.subarray(i * symbolSize, (i + 1) * symbolSize),
  }))
}

/** The block when the symbols suffice. With all source symbols at hand the codec is not needed, nor loaded. */
export function recoverBlock(symbols: ReadonlyMap<number, CodedSymbol>, nSource: number, symbolSize: number): Bytes | undefined {
  if (symbols.size < nSource) return undefined
  const block = new Uint8Array(nSource * symbolSize)
  let complete = true
  for (let id = 0; id < nSource && complete; id++) {
    const symbol = symbols.get(id)
    if (symbol === undefined || symbol.bytes.length !== symbolSize) complete = false
    else block.set(symbol.bytes, id * symbolSize)
  }
  if (complete) return block
  // Source symbols first: they are free, repair symbols cost elimination work.
  const ordered = [...symbols.values()].sort((a, b) => a.symbolId - b.symbolId)
  return decodeBlock(ordered, nSource, symbolSize)
}
