/** Chunk, link frame, layers, media payload, fountain body, stream id. */
import { describe, expect, test } from "vitest"
import { fromHex, toHex, utf8Encode } from "./bytes.ts"
import { decodeChunk, encodeChunk, encodeChunkHeader, MAX_CHUNK_LENGTH } from "./chunk.ts"
import { decodeFountainBody, encodeFountainBody } from "./fountain-body.ts"
import { admits, admitsChunk, BLINKING_DOT, CODEC_AV1_SVC, CODEC_OPAQUE, LAYER_BASE, UNCAPPED } from "./layers.ts"
import { decodeLinkFrame, encodeKeepAliveFrame, encodeLinkFrame } from "./link-frame.ts"
import { decodeMediaPayload, encodeMediaPayload, type MediaPayload } from "./media-payload.ts"
import { streamIdPreimage } from "./stream-id.ts"
import { checkCodec, codeOf, failureOf } from "./testing.ts"

const streamId = Uint8Array.from({ length: 32 }, (_, i) => i)
const chunk = {
  streamId,
  epoch: 0x0102030405060708n,
  chunkSeq: 0xfffffffffffffffen,
  codecId: CODEC_AV1_SVC,
  layer: { spatial: 1, temporal: 2, quality: 3 },
  ciphertext: Uint8Array.of(0xaa, 0xbb),
}
const payload: MediaPayload = {
  kind: 1,
  keyframe: true,
  lastFragment: true,
  discontinuity: false,
  aux: 0,
  ptsUs: 1_000_000n,
  frameId: 5,
  fragIndex: 1,
  fragCount: 2,
  body: Uint8Array.of(1, 2, 3),
}
const fountain = {
  symbolId: 11,
  nSource: 10,
  kRepair: 3,
  symbolSize: 2,
  contentLength: 19,
  contentKind: 1,
  symbol: Uint8Array.of(5, 6),
}

describe("chunk (av-mesh 1)", () => {
  test("fields lie where the table says", () => {
    const hex = toHex(encodeChunk(chunk))
    expect(hex).toBe(`${toHex(streamId)}0102030405060708fffffffffffffffe01010203aabb`)
    expect(toHex(encodeChunkHeader(chunk))).toBe(hex.slice(0, 104))
    expect(decodeChunk(fromHex(hex))).toEqual(chunk)
  })

  test("shorter than 52 bytes, longer than the limit, and the reference's 48-byte header", () => {
    const bytes = encodeChunk(chunk)
    for (let length = 0; length < 52; length++) {
      const error = failureOf(() => decodeChunk(bytes.subarray(0, length)))
      expect(error).toMatchObject({ code: "WireTooShort", details: { got: length, need: 52 } })
    }
    expect(decodeChunk(bytes.subarray(0, 50), { allowHeaderOnly: true })).toMatchObject({
      codecId: 0xff,
      layer: LAYER_BASE,
      ciphertext: bytes.subarray(48, 50),
    })
    expect(failureOf(() => decodeChunk(bytes.subarray(0, 47), { allowHeaderOnly: true }))?.details.need).toBe(48)
    expect(codeOf(() => decodeChunk(new Uint8Array(MAX_CHUNK_LENGTH + 1)))).toBe("WireTooLong")
    expect(codeOf(() => decodeChunk(new Uint8Array(MAX_CHUNK_LENGTH)))).toBeUndefined()
  })

  test("any bytes", () => {
    checkCodec({ decode: decodeChunk, encode: encodeChunk, codes: ["WireTooShort"], samples: [encodeChunk(chunk)] })
  })
})

describe("link frame (D-6)", () => {
  const keepAlive = encodeKeepAliveFrame(9n, streamId, new Uint8Array(16).fill(3))
  test("both types", () => {
    expect(toHex(encodeLinkFrame(258n, Uint8Array.of(7)))).toBe("01000000000000010207")
    expect(decodeLinkFrame(keepAlive)).toEqual({ type: "keep-alive", linkSeq: 9n, streamId, tag: new Uint8Array(16).fill(3) })
    expect(keepAlive.length).toBe(57)
  })

  test("refusals", () => {
    expect(failureOf(() => decodeLinkFrame(keepAlive.subarray(0, 8)))).toMatchObject({
      code: "WireTooShort",
      details: { need: 9 },
    })
    expect(codeOf(() => decodeLinkFrame(keepAlive.subarray(0, 56)))).toBe("LinkFrameInvalid")
    expect(codeOf(() => decodeLinkFrame(Uint8Array.of(3, ...new Uint8Array(60))))).toBe("LinkFrameInvalid")
  })

  test("any bytes", () => {
    checkCodec({
      decode: decodeLinkFrame,
      encode: (frame) =>
        frame.type === "chunk"
          ? encodeLinkFrame(frame.linkSeq, frame.chunk)
          : encodeKeepAliveFrame(frame.linkSeq, frame.streamId, frame.tag),
      codes: ["WireTooShort", "LinkFrameInvalid"],
      samples: [keepAlive, encodeLinkFrame(1n, encodeChunk(chunk))],
    })
  })
})

test("layers: a policy admits per axis, opaque chunks always pass (5.2, D-4)", () => {
  const layer = { spatial: 0, temporal: 1, quality: 0 }
  expect(admits(BLINKING_DOT, LAYER_BASE)).toBe(true)
  expect(admits(BLINKING_DOT, layer)).toBe(false)
  expect(admits(UNCAPPED, { spatial: 255, temporal: 255, quality: 255 })).toBe(true)
  expect(admitsChunk(BLINKING_DOT, CODEC_AV1_SVC, layer)).toBe(false)
  expect(admitsChunk(BLINKING_DOT, CODEC_OPAQUE, layer)).toBe(true)
})

describe("media payload (D-30)", () => {
  test("layout", () => {
    expect(toHex(encodeMediaPayload(payload))).toBe("0101030000000000000f42400000000500010002010203")
  })

  test("refusals by name", () => {
    const change = (at: number, value: number) => {
      const bytes = encodeMediaPayload(payload)
      bytes[at] = value
      return codeOf(() => decodeMediaPayload(bytes))
    }
    expect(change(0, 2)).toBe("PayloadVersion")
    expect(change(1, 0)).toBe("PayloadInvalid")
    expect(change(1, 5)).toBe("PayloadInvalid")
    expect(change(1, 127)).toBeUndefined()
    expect(change(2, 8)).toBe("PayloadInvalid")
    expect(change(17, 2)).toBe("PayloadInvalid")
    expect(codeOf(() => decodeMediaPayload(new Uint8Array()))).toBe("PayloadInvalid")
    expect(codeOf(() => decodeMediaPayload(Uint8Array.of(1)))).toBe("PayloadInvalid")
  })

  test("any bytes", () => {
    const codes = ["PayloadVersion", "PayloadInvalid"] as const
    checkCodec({ decode: decodeMediaPayload, encode: encodeMediaPayload, codes, samples: [encodeMediaPayload(payload)] })
  })
})

describe("fountain body (D-31.2)", () => {
  test("layout and symbol length", () => {
    const bytes = encodeFountainBody(fountain)
    expect(toHex(bytes)).toBe("000b000a000300020000001301000506")
    expect(codeOf(() => decodeFountainBody(bytes.subarray(0, 15)))).toBe("PayloadInvalid")
    expect(codeOf(() => encodeFountainBody({ ...fountain, symbolSize: 3 }))).toBe("UsageError")
  })

  test("any bytes", () => {
    checkCodec({
      decode: decodeFountainBody,
      encode: encodeFountainBody,
      codes: ["PayloadInvalid"],
      samples: [encodeFountainBody(fountain)],
    })
  })
})

test("stream id inputs (D-3.5)", () => {
  const bytes = streamIdPreimage({
    sealProfile: 1,
    roomId: Uint8Array.of(1, 2),
    publisherKeyId: "p",
    trackLabel: "cam",
    subStreamPath: Uint8Array.of(0, 1),
    instance: new Uint8Array(16).fill(0xee),
  })
  const expected = `${toHex(utf8Encode("AVMESH-STREAM-V1"))}01000201020001700003${toHex(utf8Encode("cam"))}00020001${"ee".repeat(16)}`
  expect(toHex(bytes)).toBe(expected)
})
