import fc from "fast-check"
import { beforeAll, describe, expect, it } from "vitest"
import { fecQuality, liveFountainConfig, retentionPriority, splitObjects, symbolIndexQuality } from "./config.ts"
import { encodeLiveFrame } from "./live.ts"
import { initFountainFromPackage } from "./node.ts"
import { fountainDecode, fountainEncode } from "./object.ts"

beforeAll(() => initFountainFromPackage())

const config = { nSource: 4, kRepair: 3, symbolSize: 64, minViableSymbols: 2 }
const payload = Uint8Array.from({ length: 200 }, (_, i) => i)
const failing = (code: string) => expect.objectContaining({ code })

describe("objects", () => {
  it("come back from any four or five of seven symbols", () => {
    const { symbols, symbolHashes } = fountainEncode(payload, config)
    expect(symbols.map((symbol) => symbol.symbolId)).toEqual([0, 1, 2, 3, 4, 5, 6])
    for (let mask = 0; mask < 128; mask++) {
      const received = symbols.filter((_, i) => (mask >> i) & 1)
      if (received.length < 5) continue
      expect(fountainDecode(received, symbolHashes, payload.length, config)).toEqual(payload)
    }
  })

  it("are made alike every time", () => {
    expect(fountainEncode(payload, config)).toEqual(fountainEncode(payload, config))
  })

  it("name the rule that a payload or a configuration breaks", () => {
    const encode =
      (over: object, length = 200) =>
      () =>
        fountainEncode(new Uint8Array(length), { ...config, ...over })
    expect(encode({ symbolSize: 0 })).toThrow(failing("PayloadTooLarge"))
    expect(encode({ nSource: 0 })).toThrow(failing("PayloadTooLarge"))
    expect(encode({ symbolSize: 65_536 })).toThrow(failing("PayloadTooLarge"))
    expect(encode({ minViableSymbols: 5 })).toThrow(failing("PayloadTooSmall"))
    expect(encode({}, 127)).toThrow(failing("PayloadTooSmall"))
    expect(encode({}, 257)).toThrow(failing("PayloadTooLarge"))
    expect(encode({ symbolSize: 60 }, 200)).toThrow(failing("SymbolSizeUnsupported"))
    expect(encode({ nSource: 60_000 })).toThrow(failing("TooManySymbols"))
    expect(encode({ nSource: 1.5 })).toThrow(failing("UsageError"))
    expect(encode({ kRepair: 0 })().symbols).toHaveLength(4)
  })

  it("refuse a false symbol as a whole", () => {
    const { symbols, symbolHashes } = fountainEncode(payload, config)
    const decode = (list: typeof symbols, hashes = symbolHashes) => fountainDecode(list, hashes, 200, config)
    const [first] = symbols
    if (first === undefined) throw new Error("no symbol")
    const changed = { ...first, bytes: first.bytes.map((byte) => byte ^ 1) }
    expect(() => decode([changed, ...symbols.slice(1)])).toThrow(failing("SymbolHashMismatch"))
    expect(() => decode([{ ...first, symbolId: 7 }, ...symbols])).toThrow(failing("SymbolHashMismatch"))
    expect(() => decode(symbols, symbolHashes.slice(0, 3))).toThrow(failing("SymbolHashMismatch"))
    expect(() => decode(symbols.slice(0, 1))).toThrow(failing("InsufficientSymbols"))
    expect(() => decode(symbols.slice(0, 3))).toThrow(failing("DecodeFailed"))
    expect(() => decode([first, first, first, first])).toThrow(failing("DecodeFailed"))
    expect(() => fountainDecode(symbols, symbolHashes, 257, config)).toThrow(failing("DecodeFailed"))
  })
})

describe("live profile", () => {
  it("shapes follow the frame's length", () => {
    expect(liveFountainConfig(0)).toEqual({ nSource: 1, kRepair: 1, symbolSize: 1, minViableSymbols: 0 })
    expect(liveFountainConfig(1_000)).toMatchObject({ nSource: 1, kRepair: 1, symbolSize: 1_000 })
    expect(liveFountainConfig(1_001)).toMatchObject({ nSource: 2, kRepair: 1, symbolSize: 504 })
    expect(liveFountainConfig(10_000)).toMatchObject({ nSource: 10, kRepair: 3, symbolSize: 1_000 })
    expect(liveFountainConfig(10_000, 0)).toMatchObject({ nSource: 10, kRepair: 0 })
    fc.assert(
      fc.property(fc.integer({ min: 1_001, max: 192_000 }), (length) => {
        const { nSource, symbolSize } = liveFountainConfig(length)
        expect(symbolSize % 8).toBe(0)
        expect(symbolSize).toBeLessThanOrEqual(1_000)
        expect(nSource * symbolSize).toBeGreaterThanOrEqual(length)
      }),
    )
  })

  it("splits large frames into near equal objects that add up", () => {
    expect(splitObjects(0)).toEqual([0])
    expect(splitObjects(192_000)).toEqual([192_000])
    expect(splitObjects(192_001)).toEqual([96_001, 96_000])
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_000_000 }), (length) => {
        const parts = splitObjects(length)
        expect(parts.reduce((sum, part) => sum + part, 0)).toBe(length)
        for (const part of parts) expect(liveFountainConfig(part).nSource).toBeLessThanOrEqual(192)
      }),
    )
  })

  it("carries ids and qualities, and follows the repair policy", () => {
    const [object] = encodeLiveFrame(new Uint8Array(2_500))
    expect(object).toMatchObject({ fragIndex: 0, fragCount: 1, nSource: 3, kRepair: 1, symbolSize: 840, contentLength: 2_500 })
    expect(object?.symbols.map((symbol) => [symbol.symbolId, symbol.quality])).toEqual([
      [0, 0],
      [1, 0],
      [2, 0],
      [3, 1],
    ])
    expect(encodeLiveFrame(new Uint8Array(2_500), () => 0)[0]?.symbols).toHaveLength(3)
    expect(encodeLiveFrame(new Uint8Array(400), () => 2)[0]?.symbols.map((symbol) => symbol.bytes.length)).toEqual([
      400, 400, 400,
    ])
    expect(encodeLiveFrame(new Uint8Array(0))[0]?.symbols).toHaveLength(2)
  })

  it("mappings and priorities stay in their byte", () => {
    expect(() => symbolIndexQuality({ ...config, nSource: 200, kRepair: 57 }, 0)).toThrow(failing("TooManySymbols"))
    expect(symbolIndexQuality({ ...config, nSource: 200, kRepair: 56 }, 255)).toBe(255)
    fc.assert(
      fc.property(fc.nat(400), fc.nat(400), fc.nat(400), (quality, id, sources) => {
        for (const value of [retentionPriority(quality, id, sources), fecQuality(sources, id)]) {
          expect(value).toBeGreaterThanOrEqual(0)
          expect(value).toBeLessThanOrEqual(255)
        }
      }),
    )
  })
})
