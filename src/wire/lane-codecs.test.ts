/** Lane blocks, link.lane and the messages of a media lane. */
import { describe, expect, test } from "vitest"
import type { CandidateEntry } from "./address.ts"
import { concatBytes, toHex } from "./bytes.ts"
import {
  decodeLaneBlock,
  decodeLaneBlocks,
  encodeLaneBlock,
  joinLaneKey,
  type LaneBlock,
  lanesSigningBytes,
  splitLaneKey,
} from "./lane-block.ts"
import { decodeLaneControl, encodeLaneControl } from "./lane-control.ts"
import {
  decodeLaneMessage,
  encodeLaneData,
  encodeLaneNack,
  encodeLanePadding,
  encodeLaneReport,
  type LaneMessage,
  symbolMessageLength,
} from "./lane-message.ts"
import { checkCodec, codeOf } from "./testing.ts"
import type { Bytes } from "./types.ts"

const block = (laneId: number): LaneBlock => ({
  laneId,
  ufrag: "abcd",
  pwd: "p".repeat(22),
  candidates: [{ index: 2, port: 50_000 }],
})
const address: CandidateEntry = {
  address: { family: 6, address: new Uint8Array(16).fill(0x20), port: 4242 },
  type: "host",
  protocol: "udp",
  priority: 77,
}
const entry = (laneId: number) => ({ laneId, highest: 0xffffff, received: 3, bytes: 4, minDelayUs: 5, count: 6, spread: 7 })

describe("lane blocks (LL-4, LL-19)", () => {
  test("layout", () => {
    expect(toHex(encodeLaneBlock(block(3)))).toBe(`03041601${toHex(new TextEncoder().encode(`abcd${"p".repeat(22)}`))}02c350`)
  })

  test("an index must be below the list it points into", () => {
    const bytes = encodeLaneBlock(block(3))
    expect(codeOf(() => decodeLaneBlock(bytes, 3))).toBeUndefined()
    expect(codeOf(() => decodeLaneBlock(bytes, 2))).toBe("LaneBlockInvalid")
  })

  test("one to nine blocks with ascending ids, nothing after", () => {
    const blocks = (...ids: number[]) => concatBytes(...ids.map((id) => encodeLaneBlock(block(id))))
    expect(decodeLaneBlocks(blocks(1, 2, 9), 3).map((b) => b.laneId)).toEqual([1, 2, 9])
    expect(decodeLaneBlocks(blocks(1, 2, 3, 4, 5, 6, 7, 8, 9), 3)).toHaveLength(9)
    for (const bad of [
      blocks(),
      blocks(2, 1),
      blocks(1, 1),
      blocks(1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
      concatBytes(blocks(1), Uint8Array.of(2)),
    ]) {
      expect(codeOf(() => decodeLaneBlocks(bad, 3))).toBe("LaneBlockInvalid")
    }
  })

  test("key 8 splits into blocks and signature", () => {
    const blocks = encodeLaneBlock(block(1))
    const signature = new Uint8Array(64).fill(5)
    expect(splitLaneKey(joinLaneKey(blocks, signature))).toEqual({ blocks, signature })
    for (const length of [0, 64, 1025]) expect(codeOf(() => splitLaneKey(new Uint8Array(length)))).toBe("LaneBlockInvalid")
    expect(toHex(lanesSigningBytes(new Uint8Array(32), blocks))).toBe("00".repeat(32) + toHex(blocks))
  })

  test("any bytes", () => {
    const decode = (bytes: Bytes) => decodeLaneBlock(bytes, 12)
    checkCodec({ decode, encode: encodeLaneBlock, codes: ["LaneBlockInvalid"], samples: [encodeLaneBlock(block(3))] })
    checkCodec({
      decode: (bytes) => decodeLaneBlocks(bytes, 12),
      encode: (blocks) => concatBytes(...blocks.map(encodeLaneBlock)),
      codes: ["LaneBlockInvalid"],
      samples: [concatBytes(encodeLaneBlock(block(3)), encodeLaneBlock(block(4)))],
    })
  })
})

describe("link.lane (LL-5)", () => {
  const offer = encodeLaneControl({
    op: "offer",
    block: { ...block(4), candidates: [{ index: 0, port: 9 }] },
    addresses: [address],
  })
  test("with entries of its own the indexes point into those", () => {
    expect(codeOf(() => decodeLaneControl(offer, 0))).toBeUndefined()
    const beyond = encodeLaneControl({ op: "offer", block: block(4), addresses: [address] })
    expect(codeOf(() => decodeLaneControl(beyond, 12))).toBe("LaneBlockInvalid")
    const listed = encodeLaneControl({ op: "answer", block: block(4), addresses: [] })
    expect(codeOf(() => decodeLaneControl(listed, 3))).toBeUndefined()
    expect(codeOf(() => decodeLaneControl(listed, 2))).toBe("LaneBlockInvalid")
  })

  test("refusals", () => {
    for (const bytes of [[], [5, 1], [3, 0], [4, 0, 1], [4, 1, 0], [4, 1, 4], [3, 1, 0], [1, 1], [3]]) {
      expect(codeOf(() => decodeLaneControl(Uint8Array.from(bytes), 4))).toBe("LaneBlockInvalid")
    }
  })

  test("any bytes", () => {
    checkCodec({
      decode: (bytes) => decodeLaneControl(bytes, 4),
      encode: encodeLaneControl,
      codes: ["LaneBlockInvalid"],
      samples: [offer, Uint8Array.of(3, 7), Uint8Array.of(4, 7, 2)],
    })
  })
})

describe("lane messages (4.1-4.3, LL-20)", () => {
  const data = encodeLaneData(0x010203, 0xfffffffe, new Uint8Array(9))
  const report = encodeLaneReport({ reportSeq: 1, nowUs: 2, entries: [entry(1), entry(2)] })
  const nack = encodeLaneNack(3, [1, 0xffffff])

  test("layouts", () => {
    expect(toHex(data)).toBe(`10010203fffffffe${"00".repeat(9)}`)
    expect(toHex(nack)).toBe("12030200000001ffffff")
    expect(toHex(report).slice(0, 56)).toBe("110200010000000201ffffff00000003000000040000000500060007")
    expect(report).toHaveLength(48)
    expect(symbolMessageLength(1_000)).toBe(1_135)
  })

  test("every length from 0 to 20 of every type (L13)", () => {
    for (const type of [0x10, 0x11, 0x12, 0x13]) {
      for (let length = 1; length <= 20; length++) {
        const bytes = new Uint8Array(length)
        bytes[0] = type
        const legal = (type === 0x10 && length >= 17) || (type === 0x13 && length >= 8)
        expect(codeOf(() => decodeLaneMessage(bytes))).toBe(legal ? undefined : "LaneFrameInvalid")
      }
    }
    expect(codeOf(() => decodeLaneMessage(new Uint8Array()))).toBe("LaneFrameInvalid")
    expect(codeOf(() => decodeLaneMessage(new Uint8Array(1157)))).toBe("LaneFrameInvalid")
    expect(decodeLaneMessage(Uint8Array.of(0x14))).toEqual({ type: "unknown", firstByte: 0x14 })
  })

  test("reports: wrong n, lanes not ascending", () => {
    const damagedReport = (at: number, value: number) => {
      const bytes = report.slice()
      bytes[at] = value
      return codeOf(() => decodeLaneMessage(bytes))
    }
    expect(damagedReport(1, 1)).toBe("LaneFrameInvalid")
    expect(damagedReport(1, 10)).toBe("LaneFrameInvalid")
    expect(damagedReport(8, 0)).toBe("LaneFrameInvalid")
    expect(damagedReport(8, 2)).toBe("LaneFrameInvalid")
    expect(codeOf(() => encodeLaneReport({ reportSeq: 0, nowUs: 0, entries: [entry(2), entry(2)] }))).toBe("UsageError")
  })

  test("no message longer than one packet is built", () => {
    expect(encodeLanePadding(0, 0, new Uint8Array(1_148))).toHaveLength(1_156)
    expect(codeOf(() => encodeLanePadding(0, 0, new Uint8Array(1_149)))).toBe("LaneFrameInvalid")
  })

  test("any bytes", () => {
    const encode = (m: LaneMessage): Bytes => {
      if (m.type === "data") return encodeLaneData(m.laneSeq, m.sentUs, m.body)
      if (m.type === "padding") return encodeLanePadding(m.laneSeq, m.sentUs, m.body)
      return m.type === "report"
        ? encodeLaneReport(m)
        : m.type === "nack"
          ? encodeLaneNack(m.laneId, m.laneSeqs)
          : new Uint8Array()
    }
    const known = (bytes: Bytes) => {
      const message = decodeLaneMessage(bytes)
      // Unknown types are not encoded again; skip them as a refusal.
      if (message.type === "unknown") decodeLaneMessage(new Uint8Array())
      return message
    }
    const samples = [data, report, nack, encodeLanePadding(1, 2, new Uint8Array(3))]
    checkCodec({ decode: known, encode, codes: ["LaneFrameInvalid"], samples })
  })
})
