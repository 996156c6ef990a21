import fc from "fast-check"
import { beforeAll, describe, expect, it } from "vitest"
import { checkBlock, decodeBlock, encodeRepair, initFountain } from "./codec.ts"
import { initFountainFromPackage } from "./node.ts"
import { sourceSymbols } from "./object.ts"
import { MAX_SOURCE_SYMBOLS, paddedSize } from "./systematic-sizes.ts"

function block(symbols: number, size: number): Uint8Array {
  return Uint8Array.from({ length: symbols * size }, (_, i) => (i * 31 + (i >> 7)) & 255)
}

/** A shuffled choice of `keep` symbols. */
function pick<T>(from: readonly T[], keep: number, seed: number): T[] {
  const pool = [...from]
  let state = seed + 1
  for (let i = pool.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    const j = state % (i + 1)
    ;[pool[i], pool[j]] = [pool[j] as T, pool[i] as T]
  }
  return pool.slice(0, keep)
}

describe("before the codec is loaded", () => {
  it("says so", () => {
    expect(() => encodeRepair(block(2, 64), 64, 1)).toThrow(expect.objectContaining({ code: "UsageError" }))
  })
})

describe("RaptorQ behind its guards", () => {
  beforeAll(() => initFountainFromPackage())

  it("loads once", async () => {
    await expect(initFountain(new Uint8Array(0))).resolves.toBeUndefined()
  })

  it("HND-R5: bytes and errors that came out of the module are the caller's own, also after its memory has grown", () => {
    const source = block(8, 64)
    const [repair] = encodeRepair(source, 64, 1)
    const kept = repair?.bytes.slice()
    const wrong = { symbolId: 9, bytes: new Uint8Array(3) }
    let error: unknown
    try {
      decodeBlock([wrong], 8, 64)
    } catch (thrown) {
      error = thrown
    }
    const said = String((error as Error).message)
    const back = decodeBlock([...sourceSymbols(source, 64).slice(1), ...encodeRepair(source, 64, 2)], 8, 64)
    // Blocks of megabytes: the module has to ask for more memory, which detaches every view on the old one.
    for (let i = 0; i < 3; i++) encodeRepair(block(4_000, 1_024), 1_024, 2)
    expect([repair?.bytes, back]).toEqual([kept, source])
    expect([String((error as Error).message), said.length > 0]).toEqual([said, true])
    expect(repair?.bytes.buffer.byteLength).toBe(64)
  })

  it("recovers from any losses, for sizes that are padded and sizes that are not", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 70 }), fc.constantFrom(64, 72, 136), fc.nat(), (symbols, size, seed) => {
        const data = block(symbols, size)
        const repair = encodeRepair(data, size, symbols + 3)
        expect(repair.map((symbol) => symbol.symbolId)).toEqual(Array.from({ length: symbols + 3 }, (_, i) => symbols + i))
        const received = pick([...sourceSymbols(data, size), ...repair], symbols + 3, seed)
        expect(decodeBlock(received, symbols, size)).toEqual(data)
      }),
      { numRuns: 100 },
    )
  })

  it("one symbol too few is not an error", () => {
    const data = block(20, 64)
    expect(decodeBlock(encodeRepair(data, 64, 19), 20, 64)).toBeUndefined()
    expect(decodeBlock([], 20, 64)).toBeUndefined()
  })

  it("refuses what would panic, before the library sees it", () => {
    for (const size of [0, 8, 56, 63, 65, 100, 65_536, 64.5]) {
      expect(() => checkBlock(4, size)).toThrow(expect.objectContaining({ code: "SymbolSizeUnsupported" }))
    }
    expect(() => checkBlock(0, 64)).toThrow(expect.objectContaining({ code: "TooManySymbols" }))
    expect(() => checkBlock(MAX_SOURCE_SYMBOLS + 1, 64)).toThrow(expect.objectContaining({ code: "TooManySymbols" }))
    expect(() => checkBlock(20_000, 1_000)).toThrow(expect.objectContaining({ code: "PayloadTooLarge" }))
    const data = block(4, 64)
    const [first] = encodeRepair(data, 64, 1)
    if (first === undefined) throw new Error("no symbol")
    const bad = expect.objectContaining({ code: "DecodeFailed" })
    expect(() => decodeBlock([{ ...first, bytes: new Uint8Array(63) }], 4, 64)).toThrow(bad)
    expect(() => decodeBlock([{ ...first, symbolId: 2 ** 24 }], 4, 64)).toThrow(bad)
    expect(() => decodeBlock([{ ...first, symbolId: -1 }], 4, 64)).toThrow(bad)
  })

  it("works on after thousands of blocks", () => {
    const data = block(11, 64)
    for (let i = 0; i < 1_000; i++) {
      const repair = encodeRepair(data, 64, 2)
      expect(decodeBlock([...sourceSymbols(data, 64).slice(2), ...repair], 11, 64)?.length ?? data.length).toBe(data.length)
    }
  })
})

describe("padded sizes (RFC 6330 table 2)", () => {
  it("known entries and the gaps between them", () => {
    expect([1, 10, 11, 12, 13, 18, 19, 66, 192, 56_403].map(paddedSize)).toEqual([10, 10, 12, 12, 18, 18, 20, 69, 200, 56_403])
    for (let k = 1; k < 2_000; k++) expect(paddedSize(k)).toBeGreaterThanOrEqual(k)
  })
})
