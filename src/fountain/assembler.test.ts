import fc from "fast-check"
import { beforeAll, describe, expect, it } from "vitest"
import { equalBytes } from "../wire/bytes.ts"
import { encodeFountainBody, type FountainBody } from "../wire/fountain-body.ts"
import { type MediaPayload, PAYLOAD_KIND_FOUNTAIN } from "../wire/media-payload.ts"
import { FountainAssembler } from "./assembler.ts"
import { encodeLiveFrame } from "./live.ts"
import { initFountainFromPackage } from "./node.ts"

beforeAll(() => initFountainFromPackage())

function payloadOf(body: FountainBody, over: Partial<MediaPayload> = {}): MediaPayload {
  return {
    kind: PAYLOAD_KIND_FOUNTAIN,
    keyframe: false,
    lastFragment: false,
    discontinuity: false,
    aux: 0,
    ptsUs: 40n,
    frameId: 1,
    fragIndex: 0,
    fragCount: 1,
    body: encodeFountainBody(body),
    ...over,
  }
}

/** Every symbol of a frame as the payloads a receiver would open. */
function payloads(frame: Uint8Array, frameId = 1, repair?: number): MediaPayload[] {
  const objects = encodeLiveFrame(frame, repair === undefined ? undefined : () => repair)
  return objects.flatMap(({ fragIndex, fragCount, symbols, ...parameters }) =>
    symbols.map(({ symbolId, bytes }) =>
      payloadOf(
        { ...parameters, contentKind: 1, symbolId, symbol: bytes },
        { frameId, fragIndex, fragCount, ptsUs: BigInt(frameId) * 33_000n },
      ),
    ),
  )
}

const frameOf = (length: number, fill = 1) => Uint8Array.from({ length }, (_, i) => (i * fill + (i >> 8)) & 255)

/** A symbol of an object that needs three. */
const FIRST = {
  symbolId: 0,
  nSource: 3,
  kRepair: 1,
  symbolSize: 64,
  contentLength: 190,
  contentKind: 1,
  symbol: new Uint8Array(64),
}

describe("FountainAssembler", () => {
  it("gives each frame once, whatever is lost, doubled or reordered", () => {
    const lengths = fc.array(fc.integer({ min: 0, max: 9_000 }), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(lengths, fc.array(fc.nat(), { minLength: 400, maxLength: 400 }), (frames, dice) => {
        const assembler = new FountainAssembler()
        let die = 0
        const next = () => dice[die++ % dice.length] ?? 0
        const sent = frames.flatMap((length, i) => {
          const symbols = payloads(frameOf(length, i + 3), i)
          // Lose as many as there are repair symbols, less one.
          const body = new DataView(symbols[0]?.body.buffer ?? new ArrayBuffer(8), symbols[0]?.body.byteOffset)
          for (let lost = 0; lost < body.getUint16(4) - 1; lost++) symbols.splice(next() % symbols.length, 1)
          return [...symbols, ...symbols.slice(0, 2)]
        })
        for (let i = sent.length - 1; i > 0; i--) {
          const j = next() % (i + 1)
          ;[sent[i], sent[j]] = [sent[j] as MediaPayload, sent[i] as MediaPayload]
        }
        const done = sent.flatMap((payload) => assembler.add(payload) ?? [])
        expect(done.map((frame) => frame.frameId).sort()).toEqual(frames.map((_, i) => i))
        for (const frame of done) {
          expect(equalBytes(frame.content, frameOf(frames[frame.frameId] ?? 0, frame.frameId + 3))).toBe(true)
          expect(frame.ptsUs).toBe(BigInt(frame.frameId) * 33_000n)
        }
        expect([assembler.pendingFrames, assembler.stats.lostFrames, assembler.stats.refused]).toEqual([0, 0, 0])
      }),
      { numRuns: 150 },
    )
  })

  it("counts what the repair symbols saved", () => {
    const assembler = new FountainAssembler()
    const symbols = payloads(frameOf(10_000))
    const rest = [...symbols.slice(2, 10), ...symbols.slice(10)]
    const done = rest.flatMap((payload) => assembler.add(payload) ?? [])
    expect(done).toHaveLength(1)
    expect(done[0]?.repaired).toBe(2)
    expect(assembler.stats).toMatchObject({ frames: 1, repairedSymbols: 2, symbols: 11 })
  })

  it("joins the objects of a large frame in order", () => {
    const assembler = new FountainAssembler()
    const frame = frameOf(250_000)
    const done = payloads(frame, 7, 0)
      .reverse()
      .flatMap((payload) => assembler.add(payload) ?? [])
    expect(done.map(({ frameId, content }) => [frameId, content.length])).toEqual([[7, 250_000]])
    expect(equalBytes(done[0]?.content ?? new Uint8Array(0), frame)).toBe(true)
  })

  it("gives up what is more than 32 frames behind, also across the wrap", () => {
    const assembler = new FountainAssembler()
    const start = 2 ** 32 - 20
    const id = (i: number) => (start + i) % 2 ** 32
    for (let i = 0; i < 60; i++) expect(assembler.add(payloads(frameOf(3_000), id(i))[0] as MediaPayload)).toBeUndefined()
    expect(assembler.pendingFrames).toBe(33)
    expect(assembler.stats.lostFrames).toBe(27)
    const late = payloads(frameOf(3_000), id(10)).flatMap((payload) => assembler.add(payload) ?? [])
    expect(late).toEqual([])
    const current = payloads(frameOf(3_000), id(59)).flatMap((payload) => assembler.add(payload) ?? [])
    expect(current).toHaveLength(1)
    assembler.reset()
    expect(assembler.pendingFrames).toBe(0)
  })

  it("refuses symbols that contradict their object", () => {
    const assembler = new FountainAssembler()
    assembler.add(payloadOf(FIRST))
    const others: [Partial<FountainBody>, Partial<MediaPayload>][] = [
      [{ nSource: 4 }, {}],
      [{ kRepair: 2 }, {}],
      [{ contentLength: 189 }, {}],
      [{ contentKind: 2 }, {}],
      [{ symbolSize: 72, symbol: new Uint8Array(72) }, {}],
      [{}, { fragCount: 2 }],
      [{}, { ptsUs: 41n }],
      [{}, { keyframe: true }],
    ]
    for (const [body, payload] of others) assembler.add(payloadOf({ ...FIRST, symbolId: 1, ...body }, payload))
    expect(assembler.stats).toMatchObject({ refused: others.length, frames: 0 })
  })

  it("refuses parameters that make no sense, before the codec", () => {
    const assembler = new FountainAssembler()
    const bad: [Partial<FountainBody>, Partial<MediaPayload>][] = [
      [{ nSource: 0 }, {}],
      [{ nSource: 1_025, symbolId: 1 }, {}],
      [{ symbolId: 4 }, {}],
      [{ contentLength: 193 }, {}],
      [{ contentLength: 2 ** 32 - 1 }, {}],
      [{ symbolSize: 56, symbol: new Uint8Array(56) }, {}],
      [{ symbolSize: 68, symbol: new Uint8Array(68) }, {}],
      [{ symbolSize: 0, symbol: new Uint8Array(0) }, {}],
      [{}, { fragCount: 0 }],
      [{}, { fragCount: 65 }],
      [{}, { fragIndex: 1 }],
      [{}, { body: new Uint8Array(3) }],
    ]
    for (const [body, payload] of bad) expect(assembler.add(payloadOf({ ...FIRST, ...body }, payload))).toBeUndefined()
    expect(assembler.stats.refused).toBe(bad.length)
    expect(assembler.pendingFrames).toBe(0)
  })

  it("stays bounded and never throws, whatever a publisher sends", () => {
    const payload = fc.record({
      symbolId: fc.nat(5),
      nSource: fc.integer({ min: 0, max: 3 }),
      kRepair: fc.nat(3),
      size: fc.constantFrom(0, 1, 64, 65, 72),
      contentLength: fc.nat(230),
      contentKind: fc.constantFrom(1, 2, 4),
      frameId: fc.oneof({ weight: 5, arbitrary: fc.nat(3) }, { weight: 1, arbitrary: fc.nat(2 ** 32 - 1) }),
      fragIndex: fc.nat(1),
      fragCount: fc.nat(2),
      cut: fc.integer({ min: 0, max: 9 }),
    })
    let frames = 0
    fc.assert(
      fc.property(fc.array(payload, { maxLength: 8 }), (list) => {
        const assembler = new FountainAssembler()
        for (const p of list) {
          const { symbolId, nSource, kRepair, size, contentLength, contentKind } = p
          const symbol = new Uint8Array(size).fill(symbolId)
          const made = payloadOf({ symbolId, nSource, kRepair, symbolSize: size, contentLength, contentKind, symbol }, p)
          const frame = assembler.add(p.cut === 0 ? { ...made, body: made.body.slice(1) } : made)
          if (frame !== undefined) expect(frame.content.length).toBeLessThanOrEqual(2 * 3 * 72)
        }
        expect(assembler.pendingFrames).toBeLessThanOrEqual(8)
        frames += assembler.stats.frames
      }),
      { numRuns: 10_000 },
    )
    // Whole ones are among them, as a rule one in a hundred lists or more.
    expect(frames).toBeGreaterThan(10)
  })

  it("holds at most 16 MiB of symbols", () => {
    const assembler = new FountainAssembler()
    const size = 60_000
    for (let frameId = 0; frameId < 30; frameId++) {
      for (let symbolId = 0; symbolId < 20; symbolId++) {
        const symbol = new Uint8Array(size)
        assembler.add(
          payloadOf(
            { symbolId, nSource: 100, kRepair: 0, symbolSize: size, contentLength: 1, contentKind: 1, symbol },
            { frameId },
          ),
        )
      }
    }
    expect(assembler.pendingFrames * 20 * size).toBeLessThanOrEqual(16 * 1024 * 1024)
    expect(assembler.stats.lostFrames).toBeGreaterThan(10)
  })

  it("counts recovered objects of incomplete frames for the same limit", () => {
    const assembler = new FountainAssembler()
    const size = 60_000
    for (let frameId = 0; frameId < 30; frameId++) {
      // Each object is whole with its only symbol; the frame never is, because the last object does not come.
      for (let fragIndex = 0; fragIndex < 20; fragIndex++) {
        const symbol = new Uint8Array(size)
        const body = { symbolId: 0, nSource: 1, kRepair: 0, symbolSize: size, contentLength: size, contentKind: 1, symbol }
        expect(assembler.add(payloadOf(body, { frameId, fragIndex, fragCount: 21 }))).toBeUndefined()
      }
    }
    expect(assembler.pendingFrames * 20 * size).toBeLessThanOrEqual(16 * 1024 * 1024)
    expect(assembler.stats.lostFrames).toBeGreaterThan(10)
    // What was let go is free again: later frames still come together.
    let done = 0
    for (let fragIndex = 0; fragIndex < 14; fragIndex++) {
      const symbol = new Uint8Array(65_000)
      const body = { symbolId: 0, nSource: 1, kRepair: 0, symbolSize: 65_000, contentLength: 9, contentKind: 1, symbol }
      if (assembler.add(payloadOf(body, { frameId: 31, fragIndex, fragCount: 14 })) !== undefined) done++
    }
    expect(done).toBe(1)
  })
})
