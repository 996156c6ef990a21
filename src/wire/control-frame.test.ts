/** Control frames, fragments and GOAWAY. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { equalBytes, toHex } from "./bytes.ts"
import {
  decodeBinaryPayload,
  decodeFrame,
  decodePing,
  encodeBinaryPayload,
  encodeFrame,
  FRAGMENT_BODY_LENGTH,
  FRAME_BINARY,
  FRAME_JSON,
  FRAME_PING,
  FrameAssembler,
  FrameSplitter,
  MAX_FRAME_LENGTH,
  MAX_FRAME_PAYLOAD,
  MAX_MESSAGE_LENGTH,
} from "./control-frame.ts"
import { decodeGoaway, encodeGoaway } from "./goaway.ts"
import { checkCodec, codeOf, FUZZ_RUNS } from "./testing.ts"
import type { Bytes } from "./types.ts"

function drain(splitter: FrameSplitter): Bytes[] {
  const frames: Bytes[] = []
  for (let frame = splitter.next(); frame !== undefined; frame = splitter.next()) frames.push(frame)
  return frames
}
function split(type: number, payload: Bytes): Bytes[] {
  const splitter = new FrameSplitter()
  splitter.enqueue(type, payload)
  return drain(splitter)
}
const patterned = (length: number, seed = 1) => Uint8Array.from({ length }, (_, i) => (i * 31 + seed) & 255)
/** A fragment with a hand-made header. */
function fragment(id: number, index: number, count: number, body: Bytes, type = FRAME_JSON): Bytes {
  const payload = new Uint8Array(8 + body.length)
  const view = new DataView(payload.buffer)
  view.setUint32(0, id, true)
  view.setUint16(4, index, true)
  view.setUint16(6, count, true)
  payload.set(body, 8)
  return encodeFrame(type, payload, true)
}
const full = new Uint8Array(FRAGMENT_BODY_LENGTH)

describe("frame (control-plane 0.5)", () => {
  test("layout and refusals", () => {
    expect(toHex(encodeFrame(FRAME_PING, Uint8Array.of(9)))).toBe("0103000009")
    for (const bytes of [[], [1, 3, 0], [2, 3, 0, 0], [1, 3, 2, 0], [1, 3, 0, 1]]) {
      expect(codeOf(() => decodeFrame(Uint8Array.from(bytes)))).toBe("FrameInvalid")
    }
    expect(codeOf(() => decodeFrame(new Uint8Array(MAX_FRAME_LENGTH + 1)))).toBe("FrameInvalid")
    expect(codeOf(() => encodeFrame(1, new Uint8Array(MAX_FRAME_PAYLOAD + 1)))).toBe("UsageError")
    expect(decodeFrame(Uint8Array.of(1, 0xee, 0, 0)).type).toBe(0xee)
    expect(codeOf(() => decodePing(new Uint8Array(7)))).toBe("FrameInvalid")
    expect(decodePing(new Uint8Array(8))).toHaveLength(8)
  })

  test("any bytes", () => {
    const samples = [encodeFrame(FRAME_JSON, patterned(9)), encodeFrame(FRAME_BINARY, patterned(20), true)]
    checkCodec({
      decode: decodeFrame,
      encode: (f) => encodeFrame(f.type, f.payload, f.fragment),
      codes: ["FrameInvalid"],
      samples,
    })
    const binary = encodeBinaryPayload("link.lane", patterned(4))
    checkCodec({
      decode: decodeBinaryPayload,
      encode: (p) => encodeBinaryPayload(p.name, p.bytes),
      codes: ["FrameInvalid"],
      samples: [binary],
    })
  })
})

describe("goaway", () => {
  test("codes, unknown codes, text limits", () => {
    expect(toHex(encodeGoaway({ reason: "policy", text: "no" }))).toBe("0600026e6f")
    expect(decodeGoaway(Uint8Array.of(9, 0, 0))).toEqual({ reason: "unspecified", text: "" })
    expect(codeOf(() => encodeGoaway({ reason: "limit", text: "é".repeat(33) }))).toBe("UsageError")
    expect(codeOf(() => decodeGoaway(Uint8Array.of(1, 0, 65, ...new Uint8Array(65))))).toBe("FrameInvalid")
    expect(codeOf(() => decodeGoaway(Uint8Array.of(1, 0, 0, 0)))).toBe("FrameInvalid")
  })

  test("any bytes", () => {
    checkCodec({ decode: decodeGoaway, codes: ["FrameInvalid"], samples: [encodeGoaway({ reason: "draining", text: "later" })] })
  })
})

describe("fragments", () => {
  test("sizes around the limits come back whole", () => {
    const lengths = [
      0,
      1,
      MAX_FRAME_PAYLOAD,
      MAX_FRAME_PAYLOAD + 1,
      2 * FRAGMENT_BODY_LENGTH,
      2 * FRAGMENT_BODY_LENGTH + 1,
      MAX_MESSAGE_LENGTH,
    ]
    for (const length of lengths) {
      const payload = patterned(length)
      const frames = split(FRAME_JSON, payload)
      expect(frames.length).toBe(length <= MAX_FRAME_PAYLOAD ? 1 : Math.ceil(length / FRAGMENT_BODY_LENGTH))
      expect(frames.every((frame) => frame.length <= MAX_FRAME_LENGTH)).toBe(true)
      const assembler = new FrameAssembler()
      const results = frames.map((frame) => assembler.push(frame, 0))
      const last = results.pop()
      expect(results.every((result) => result === undefined)).toBe(true)
      expect(last?.type).toBe(FRAME_JSON)
      expect(last !== undefined && equalBytes(last.payload, payload)).toBe(true)
      expect(assembler.bufferedBytes).toBe(0)
    }
    expect(codeOf(() => split(FRAME_JSON, new Uint8Array(MAX_MESSAGE_LENGTH + 1)))).toBe("MessageTooLarge")
  })

  test("messages take turns, and short ones keep their order", () => {
    const splitter = new FrameSplitter()
    splitter.enqueue(0x70, patterned(3 * FRAGMENT_BODY_LENGTH))
    splitter.enqueue(0x71, patterned(1))
    splitter.enqueue(0x72, patterned(2 * FRAGMENT_BODY_LENGTH))
    splitter.enqueue(0x73, patterned(2))
    expect(splitter.pendingBytes).toBe(5 * FRAGMENT_BODY_LENGTH + 3)
    expect(drain(splitter).map((frame) => decodeFrame(frame).type)).toEqual([0x70, 0x71, 0x72, 0x73, 0x70, 0x72, 0x70])
    expect([splitter.pendingBytes, splitter.pendingMessages]).toEqual([0, 0])
  })

  test("random messages, interleaved, arrive as they were sent", () => {
    const message = fc.record({
      type: fc.integer({ min: 0, max: 255 }),
      length: fc.integer({ min: 0, max: 5 * FRAGMENT_BODY_LENGTH }),
    })
    fc.assert(
      fc.property(fc.array(message, { maxLength: 6 }), (messages) => {
        const splitter = new FrameSplitter()
        for (const [i, m] of messages.entries()) splitter.enqueue(m.type, new Uint8Array(m.length).fill(i + 1))
        const assembler = new FrameAssembler()
        const arrived = drain(splitter).flatMap((frame) => assembler.push(frame, 0) ?? [])
        const describeAll = (list: { type: number; length: number }[]) => list.map((m) => `${m.type}:${m.length}`).sort()
        expect(describeAll(arrived.map((m) => ({ type: m.type, length: m.payload.length })))).toEqual(describeAll(messages))
        expect(arrived.every((m) => m.payload.every((byte) => byte === m.payload[0]))).toBe(true)
        expect(assembler.counters.dropped).toBe(0)
      }),
      { numRuns: 60 },
    )
  })

  test("shapes that cannot be are refused and counted", () => {
    const bad = [
      fragment(1, 0, 1, full),
      fragment(1, 0, 513, full),
      fragment(1, 2, 2, full),
      fragment(1, 0, 2, full.subarray(1)),
      fragment(1, 1, 2, new Uint8Array()),
      encodeFrame(FRAME_JSON, new Uint8Array(7), true),
    ]
    for (const frame of bad) expect(codeOf(() => new FrameAssembler().push(frame, 0))).toBe("FragmentInvalid")
  })

  test("a gap, another count or another type drops the message; its rest is swallowed", () => {
    for (const second of [
      fragment(1, 2, 4, full),
      fragment(1, 1, 3, full),
      fragment(1, 1, 4, full, 0x71),
      fragment(1, 0, 4, full),
    ]) {
      const assembler = new FrameAssembler()
      assembler.push(fragment(1, 0, 4, full), 0)
      expect(codeOf(() => assembler.push(second, 0))).toBe("FragmentInvalid")
      expect([assembler.bufferedBytes, assembler.counters.dropped]).toEqual([0, 1])
      expect(assembler.push(fragment(1, 3, 4, full.subarray(0, 5)), 0)).toBeUndefined()
    }
  })

  test("sixteen messages, twelve mebibytes, ten seconds", () => {
    const assembler = new FrameAssembler()
    for (let id = 0; id < 17; id++) assembler.push(fragment(id, 0, 2, full), 0)
    expect(assembler.counters.dropped).toBe(1)
    expect(assembler.push(fragment(16, 1, 2, Uint8Array.of(1)), 0)).toBeUndefined()
    expect(assembler.push(fragment(0, 1, 2, Uint8Array.of(1)), 9_999)?.payload).toHaveLength(FRAGMENT_BODY_LENGTH + 1)
    assembler.expire(10_000)
    expect([assembler.bufferedBytes, assembler.counters.dropped]).toEqual([0, 16])

    const greedy = new FrameAssembler()
    let most = 0
    for (let index = 0; index < 500; index++) {
      for (let id = 0; id < 3; id++) greedy.push(fragment(id, index, 512, full), 0)
      most = Math.max(most, greedy.bufferedBytes)
    }
    expect(most).toBeLessThanOrEqual(12 * 1024 * 1024)
    expect(greedy.counters.dropped).toBeGreaterThan(0)
  })

  test("random fragments never exceed the limits or throw anything untyped", () => {
    const step = fc.record({
      id: fc.integer({ min: 0, max: 20 }),
      index: fc.integer({ min: 0, max: 3 }),
      count: fc.integer({ min: 1, max: 4 }),
      whole: fc.boolean(),
      wait: fc.integer({ min: 0, max: 4_000 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const assembler = new FrameAssembler()
        let now = 0
        for (const { id, index, count, whole, wait } of steps) {
          now += wait
          codeOf(() => assembler.push(fragment(id, index, count, whole ? full : full.subarray(0, 3)), now))
          expect(assembler.bufferedBytes).toBeLessThanOrEqual(16 * 4 * FRAGMENT_BODY_LENGTH)
        }
      }),
      { numRuns: FUZZ_RUNS / 4 },
    )
  })
})
