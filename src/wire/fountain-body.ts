/** The body of a fountain payload: 14 bytes about the object, then one symbol (av-mesh D-31.2, D-36). */
import { AvError } from "./errors.ts"
import type { Bytes } from "./types.ts"

export const FOUNTAIN_BODY_HEADER_LENGTH = 14

export interface FountainBody {
  /** Encoding symbol id of RFC 6330; repair symbols start at `nSource`. */
  symbolId: number
  nSource: number
  kRepair: number
  symbolSize: number
  /** Bytes of the object without padding. */
  contentLength: number
  /** `PAYLOAD_KIND_VIDEO`, `_OPUS` or `_MDC`. */
  contentKind: number
  symbol: Bytes
}

/** @throws AvError `UsageError` when the symbol is not `symbolSize` bytes long. */
export function encodeFountainBody(body: FountainBody): Bytes {
  if (body.symbol.length !== body.symbolSize) {
    throw new AvError("UsageError", { why: "symbol length", got: body.symbol.length, need: body.symbolSize })
  }
  const out = new Uint8Array(FOUNTAIN_BODY_HEADER_LENGTH + body.symbol.length)
  const view = new DataView(out.buffer)
  view.setUint16(0, body.symbolId)
  view.setUint16(2, body.nSource)
  view.setUint16(4, body.kRepair)
  view.setUint16(6, body.symbolSize)
  view.setUint32(8, body.contentLength)
  view.setUint8(12, body.contentKind)
  out.set(body.symbol, FOUNTAIN_BODY_HEADER_LENGTH)
  return out
}

/**
 * Reads one symbol; `symbol` is a view. Whether the parameters make sense together is the assembler's question.
 * @throws AvError `PayloadInvalid` when it is cut, carries a symbol of another length, an unknown content kind or a
 * reserved byte that is not zero.
 */
export function decodeFountainBody(bytes: Bytes): FountainBody {
  if (bytes.length < FOUNTAIN_BODY_HEADER_LENGTH) {
    throw new AvError("PayloadInvalid", { why: "too short", got: bytes.length, need: FOUNTAIN_BODY_HEADER_LENGTH })
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const symbolSize = view.getUint16(6)
  if (bytes.length !== FOUNTAIN_BODY_HEADER_LENGTH + symbolSize) {
    throw new AvError("PayloadInvalid", {
      why: "symbol length",
      got: bytes.length - FOUNTAIN_BODY_HEADER_LENGTH,
      need: symbolSize,
    })
  }
  const contentKind = view.getUint8(12)
  if (contentKind !== 1 && contentKind !== 2 && contentKind !== 4) {
    throw new AvError("PayloadInvalid", { why: "content kind", contentKind })
  }
  if (view.getUint8(13) !== 0) throw new AvError("PayloadInvalid", { why: "reserved byte" })
  return {
    symbolId: view.getUint16(0),
    nSource: view.getUint16(2),
    kRepair: view.getUint16(4),
    symbolSize,
    contentLength: view.getUint32(8),
    contentKind,
    symbol: bytes.subarray(FOUNTAIN_BODY_HEADER_LENGTH),
  }
}
