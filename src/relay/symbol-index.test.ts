import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { CODEC_FOUNTAIN, CODEC_OPUS } from "../wire/layers.ts"
import type { ChunkHeader } from "../wire/types.ts"
import { inSymbolRange, SymbolIndex } from "./symbol-index.ts"

interface Sent extends ChunkHeader {
  symbol: number
}

/** The chunks of objects of so many source and repair symbols. */
function objects(sizes: readonly (readonly [source: number, repair: number])[], temporal = (_: number) => 0): Sent[] {
  let chunkSeq = 1_000n
  return sizes.flatMap(([source, repair], object) =>
    Array.from({ length: source + repair }, (_, symbol) => {
      const layer = { spatial: 0, temporal: temporal(object), quality: symbol < source ? 0 : 1 + symbol - source }
      return { streamId: new Uint8Array(32), epoch: 1n, chunkSeq: chunkSeq++, codecId: CODEC_FOUNTAIN, layer, symbol }
    }),
  )
}

const sizes = fc.array(fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 4 })), { minLength: 4, maxLength: 30 })

describe("symbols of a stream whose objects end in repair", () => {
  test("are numbered like the publisher's once two ends were seen", () => {
    fc.assert(
      fc.property(sizes, fc.boolean(), (shape, layered) => {
        const index = new SymbolIndex()
        const chunks = objects(shape, layered ? (object) => object % 2 : undefined)
        const known = chunks.map((chunk) => [chunk.symbol, index.of(chunk)])
        const settled = shape.slice(0, 3).reduce((sum, [source, repair]) => sum + source + repair, 0)
        for (const [symbol, seen] of known.slice(settled)) expect(seen).toBe(symbol)
        for (const [symbol, seen] of known.slice(0, settled)) expect([undefined, symbol]).toContain(seen)
      }),
    )
  })

  test("are never numbered wrongly when chunks are lost or overtake each other", () => {
    fc.assert(
      fc.property(sizes, fc.infiniteStream(fc.nat({ max: 99 })), (shape, dice) => {
        const rolls = dice[Symbol.iterator]()
        const chunks = objects(shape).filter(() => (rolls.next().value as number) >= 10)
        for (let at = 0; at + 1 < chunks.length; at++) {
          if ((rolls.next().value as number) < 20) [chunks[at], chunks[at + 1]] = [chunks[at + 1]!, chunks[at]!]
        }
        const index = new SymbolIndex()
        for (const chunk of chunks) expect([undefined, chunk.symbol]).toContain(index.of(chunk))
      }),
      { numRuns: 300 },
    )
  })
})

test("parts that complete each other leave nothing out, whatever two parents miss and however objects end", () => {
  const any = fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 0, max: 3 })), { minLength: 4, maxLength: 40 })
  fc.assert(
    fc.property(any, fc.infiniteStream(fc.nat({ max: 99 })), fc.integer({ min: 1, max: 6 }), (shape, dice, cut) => {
      const rolls = dice[Symbol.iterator]()
      const sent = objects(shape)
      const served = [[0, cut] as const, [cut, 65_536] as const].map((range) => {
        const index = new SymbolIndex()
        const came = sent.filter(() => (rolls.next().value as number) >= 5)
        for (let at = 0; at + 1 < came.length; at++) {
          if ((rolls.next().value as number) < 20) [came[at], came[at + 1]] = [came[at + 1]!, came[at]!]
        }
        const passed = came.filter((chunk) => inSymbolRange(range, index.of(chunk)))
        return { came: new Set(came.map(({ chunkSeq }) => chunkSeq)), passed: new Set(passed.map(({ chunkSeq }) => chunkSeq)) }
      })
      for (const { chunkSeq } of sent) {
        const both = served.every(({ came }) => came.has(chunkSeq))
        if (both) expect(served.some(({ passed }) => passed.has(chunkSeq))).toBe(true)
      }
    }),
    { numRuns: 300 },
  )
})

test("without repair at their ends objects cannot be told apart, so nothing is said", () => {
  const index = new SymbolIndex()
  for (const chunk of objects(Array.from({ length: 10 }, () => [3, 0] as const))) expect(index.of(chunk)).toBeUndefined()
  const opus = objects([
    [2, 1],
    [2, 1],
    [2, 1],
    [2, 1],
  ]).map((chunk) => ({ ...chunk, codecId: CODEC_OPUS }))
  for (const chunk of opus) expect(index.of(chunk)).toBeUndefined()
})

test("a range takes its own symbols and everything that cannot be told", () => {
  expect([0, 3, 4, undefined].map((index) => inSymbolRange([0, 4], index))).toEqual([true, true, false, true])
  expect(inSymbolRange(undefined, 9)).toBe(true)
})
