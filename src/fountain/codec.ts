/**
 * The RaptorQ library behind guards: it panics on input it does not expect, so everything is checked here first.
 * One source block, one sub-block. Symbol ids are the ESIs of RFC 6330; the library numbers repair symbols from K' instead.
 */
import { Decoder, Encoder, initSync } from "raptorq/raptorq.js"
import { AvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"
import { paddedSize } from "./systematic-sizes.ts"

/** What the library assumes of a decoder's memory; a larger block would get sub-blocks and other symbols. */
const LIBRARY_MEMORY = 10 * 1024 * 1024
const PAYLOAD_ID_LENGTH = 4

export interface CodedSymbol {
  /** Encoding symbol id (RFC 6330): below K a source symbol, from K on repair. */
  symbolId: number
  bytes: Bytes
}

let module: WebAssembly.Module | undefined

/** Loads the codec from the bytes or the compiled module of `raptorq_bg.wasm`. Once per thread; later calls do nothing. */
export async function initFountain(source: BufferSource | WebAssembly.Module): Promise<void> {
  if (module !== undefined) return
  const compiled = source instanceof WebAssembly.Module ? source : await WebAssembly.compile(source)
  if (module !== undefined) return
  initSync(compiled)
  module = compiled
}

/** The compiled codec, for another thread; undefined before {@link initFountain}. */
export function fountainModule(): WebAssembly.Module | undefined {
  return module
}

/** Throws unless the library can take blocks of this shape: `SymbolSizeUnsupported`, `TooManySymbols`, `PayloadTooLarge`. */
export function checkBlock(sourceSymbols: number, symbolSize: number): void {
  if (!Number.isInteger(symbolSize) || symbolSize < 64 || symbolSize % 8 !== 0 || symbolSize > 0xffff) {
    throw new AvError("SymbolSizeUnsupported", { symbol_size: symbolSize })
  }
  const capacity = Math.floor(LIBRARY_MEMORY / symbolSize) * symbolSize
  if (paddedSize(sourceSymbols) * symbolSize > LIBRARY_MEMORY) {
    throw new AvError("PayloadTooLarge", { len: sourceSymbols * symbolSize, capacity })
  }
}

/** Repair symbols `K … K + repair - 1` of a block whose length is a whole number of symbols. */
export function encodeRepair(block: Bytes, symbolSize: number, repair: number): CodedSymbol[] {
  const sourceSymbols = block.length / symbolSize
  checkBlock(sourceSymbols, symbolSize)
  if (repair === 0) return []
  const packets = guarded(() => {
    const encoder = Encoder.with_defaults(block, symbolSize)
    try {
      return encoder.encode(repair)
    } finally {
      encoder.free()
    }
  })
  if (packets.length !== sourceSymbols + repair) throw new AvError("DecodeFailed", { symbols: packets.length })
  return packets.slice(sourceSymbols).map((packet, i) => {
    if (packet.length !== PAYLOAD_ID_LENGTH + symbolSize) throw new AvError("DecodeFailed", { packet: packet.length })
    return { symbolId: sourceSymbols + i, bytes: packet.slice(PAYLOAD_ID_LENGTH) }
  })
}

/**
 * Recovers a block from any mix of its symbols; `undefined` when they do not suffice. Symbols must be authentic: a wrong one
 * decodes to wrong bytes without a sign.
 */
export function decodeBlock(symbols: readonly CodedSymbol[], sourceSymbols: number, symbolSize: number): Bytes | undefined {
  checkBlock(sourceSymbols, symbolSize)
  const shift = paddedSize(sourceSymbols) - sourceSymbols
  const packets = symbols.map(({ symbolId, bytes }) => {
    const id = symbolId < sourceSymbols ? symbolId : symbolId + shift
    if (bytes.length !== symbolSize || id < 0 || id > 0xffffff) throw new AvError("DecodeFailed", { symbolId })
    const packet = new Uint8Array(PAYLOAD_ID_LENGTH + symbolSize)
    new DataView(packet.buffer).setUint32(0, id)
    packet.set(bytes, PAYLOAD_ID_LENGTH)
    return packet
  })
  return guarded(() => {
    const decoder = Decoder.with_defaults(BigInt(sourceSymbols * symbolSize), symbolSize)
    try {
      for (const packet of packets) {
        const block = decoder.decode(packet)
        if (block !== undefined) return block
      }
      return undefined
    } finally {
      decoder.free()
    }
  })
}

/**
 * Runs one whole use of the library. A panic leaves its memory in an unknown state; since no object outlives a call, a fresh
 * instance makes everything good again.
 */
function guarded<T>(use: () => T): T {
  if (module === undefined) throw new AvError("UsageError", { why: "initFountain was not called" })
  try {
    return use()
  } catch (cause) {
    initSync(module)
    throw new AvError("DecodeFailed", {}, { cause })
  }
}
