import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { toHex, utf8Decode, utf8Encode } from "./bytes.ts"
import {
  capacityCanonicalBytes,
  capacityFromWire,
  capacityToWire,
  checkCapacity,
  hasRoomFor,
  hasRoomForSubstream,
  isStale,
  type RelayCapacity,
  requireRoomFor,
  type SignedRelayCapacity,
} from "./capacity.ts"
import { decodeControlMessage, encodeControlMessage } from "./control-json.ts"
import { codeOf, damaged, FUZZ_RUNS, failureOf } from "./testing.ts"

const capacity: RelayCapacity = {
  uplinkMbps: 100,
  maxStreams: 4,
  maxSubscribersPerStream: 16,
  measuredAtUnixMs: 1_700_000_000_000n,
  maxLayerSupported: { maxSpatial: 255, maxTemporal: 255, maxQuality: 255 },
  subStreamCommitments: [],
}
const commitment = { subStreamPath: Uint8Array.of(0), uplinkBudgetMbps: 10, maxSubscribers: 4 }
const signed: SignedRelayCapacity = {
  advertiserKeyId: "peer-7",
  capacity: { ...capacity, subStreamCommitments: [commitment] },
  streamId: new Uint8Array(32).fill(9),
  epoch: 7n,
  signatureEd25519Base64: "AAAA",
  signatureMlDsa65Base64: "BBBB",
}
/** The JSON of `signed` with a piece of text replaced. */
const edited = (from: string | RegExp, to: string) => utf8Encode(utf8Decode(capacityToWire(signed)).replace(from, to))

describe("canonical bytes", () => {
  it("are 79 bytes without commitments, domain first, count last", () => {
    const bytes = capacityCanonicalBytes(capacity, new Uint8Array(32), 0n)
    expect(bytes.length).toBe(79)
    expect(toHex(bytes.slice(0, 16))).toBe("4349524953414c4d2d43415076320000")
    expect(toHex(bytes.slice(75))).toBe("00000000")
  })

  it("keep the order of the commitments and the sign of zero", () => {
    const one = { ...commitment, uplinkBudgetMbps: -0 }
    const two = { ...commitment, subStreamPath: Uint8Array.of(1, 1) }
    const bytes = capacityCanonicalBytes({ ...capacity, subStreamCommitments: [one, two] }, new Uint8Array(32), 0n)
    expect(toHex(bytes.slice(75))).toBe("00000002" + "000100" + "80000000" + "0004" + "00020101" + "41200000" + "0004")
  })
})

describe("a rate that is no number", () => {
  const uplink = (uplinkMbps: number) =>
    toHex(capacityCanonicalBytes({ ...capacity, uplinkMbps }, new Uint8Array(32), 0n).slice(56, 60))
  const ofBits = (bits: number) => {
    const view = new DataView(new ArrayBuffer(4))
    view.setUint32(0, bits)
    return view.getFloat32(0)
  }

  it("has one spelling, whatever made it", () => {
    for (const bits of [0x7fc00000, 0xffc00000, 0x7fc00001, 0xffffffff]) expect(uplink(ofBits(bits))).toBe("7fc00000")
    expect(uplink(Number.NaN)).toBe("7fc00000")
  })

  it("is told from infinity, to which a rate too large is rounded", () => {
    expect(uplink(Number.POSITIVE_INFINITY)).toBe("7f800000")
    expect(uplink(3.5e38)).toBe("7f800000")
    expect(uplink(Number.NEGATIVE_INFINITY)).toBe("ff800000")
  })
})

describe("limits (D-20)", () => {
  it.each([
    [{ uplinkMbps: Number.NaN }, "uplink_mbps"],
    [{ uplinkMbps: Number.POSITIVE_INFINITY }, "uplink_mbps"],
    [{ uplinkMbps: 3.5e38 }, "uplink_mbps"],
    [{ uplinkMbps: -1 }, "uplink_mbps"],
    [{ subStreamCommitments: [{ ...commitment, uplinkBudgetMbps: -0.5 }] }, "uplink_budget_mbps"],
    [{ subStreamCommitments: [{ ...commitment, subStreamPath: Uint8Array.of(2) }] }, "sub_stream_path"],
    [{ subStreamCommitments: [{ ...commitment, subStreamPath: new Uint8Array(9) }] }, "sub_stream_path"],
    [{ subStreamCommitments: [commitment, { ...commitment, maxSubscribers: 5 }] }, "sub_stream_path"],
    [{ subStreamCommitments: new Array(257).fill(commitment) }, "sub_stream_commitments"],
  ] as [Partial<RelayCapacity>, string][])("refuse %o", (change, field) => {
    const error = failureOf(() => checkCapacity({ ...capacity, ...change }))
    expect([error?.code, error?.details.field]).toEqual(["CapacityInvalid", field])
  })

  it("accept minus zero and 256 different paths", () => {
    expect(Object.is(checkCapacity({ ...capacity, uplinkMbps: -0 }).uplinkMbps, -0)).toBe(true)
    const paths = Array.from({ length: 256 }, (_, i) => Uint8Array.from([...i.toString(2).padStart(8, "0")].map(Number)))
    const many = paths.map((subStreamPath) => ({ ...commitment, subStreamPath }))
    expect(checkCapacity({ ...capacity, subStreamCommitments: many }).subStreamCommitments).toHaveLength(256)
  })
})

describe("freshness", () => {
  it.each([
    [0, false],
    [29_999, false],
    [30_000, true],
    [60_000, true],
    [-5_000, false],
    [-5_001, true],
  ])("at an age of %i ms", (age, stale) => {
    const now = 1_700_000_000_000n
    expect(isStale(now - BigInt(age), now)).toBe(stale)
  })
})

describe("room", () => {
  it.each([
    [2.5, 0, true],
    [2.5, 15, true],
    [2.5, 16, false],
    [50, 1, true],
    [50, 2, false],
  ])("for %d Mbit/s beside %i others", (bitrate, current, room) => {
    expect(hasRoomFor(capacity, bitrate, current)).toBe(room)
    expect(codeOf(() => requireRoomFor(capacity, bitrate, current))).toBe(room ? undefined : "InsufficientCapacity")
  })

  it("on a sub-stream counts its own commitment, never a prefix", () => {
    const some = { ...capacity, subStreamCommitments: [commitment] }
    expect(hasRoomForSubstream(some, Uint8Array.of(0), 5, 1)).toBe(true)
    expect(hasRoomForSubstream(some, Uint8Array.of(0), 5, 2)).toBe(false)
    expect(hasRoomForSubstream(some, Uint8Array.of(0, 1), 1, 0)).toBe(false)
    expect(hasRoomForSubstream(some, new Uint8Array(), 1, 0)).toBe(false)
    expect(hasRoomForSubstream(capacity, Uint8Array.of(0, 1, 1), 5, 1)).toBe(true)
  })

  it("refuses a bitrate that is none (D-23), even of a full relay", () => {
    for (const bitrate of [Number.NaN, -1, -1e-50]) {
      expect(codeOf(() => hasRoomFor(capacity, bitrate, 99))).toBe("CapacityInvalid")
      expect(codeOf(() => hasRoomForSubstream(capacity, new Uint8Array(), bitrate, 99))).toBe("CapacityInvalid")
    }
  })
})

describe("JSON form", () => {
  it("round-trips, also through the control message", () => {
    expect(capacityFromWire(capacityToWire(signed))).toEqual(signed)
    const message = { t: "av.capacity" as const, ...signed }
    expect(decodeControlMessage(encodeControlMessage(message))).toEqual(message)
  })

  it("keeps minus zero, without which the signature would break", () => {
    const zero = { ...signed, capacity: { ...signed.capacity, uplinkMbps: -0 } }
    expect(Object.is(capacityFromWire(capacityToWire(zero)).capacity.uplinkMbps, -0)).toBe(true)
    const decoded = decodeControlMessage(encodeControlMessage({ t: "av.capacity", ...zero }))
    expect(decoded.t === "av.capacity" && Object.is(decoded.capacity.uplinkMbps, -0)).toBe(true)
  })

  it("takes 64-bit members as text or as a plain integer (D-25)", () => {
    expect(capacityFromWire(edited('"epoch":7', '"epoch":"18446744073709551615"')).epoch).toBe(2n ** 64n - 1n)
    const large = { ...signed, epoch: 2n ** 60n }
    expect(utf8Decode(capacityToWire(large))).toContain(`"epoch":"${2n ** 60n}"`)
    expect(capacityFromWire(capacityToWire(large)).epoch).toBe(2n ** 60n)
  })

  it("rounds rates to binary32, whole numbers too, and ignores what it does not know", () => {
    expect(capacityFromWire(edited('"uplink_mbps":100', '"uplink_mbps":33.3,"x":[1]')).capacity.uplinkMbps).toBe(
      Math.fround(33.3),
    )
    expect(capacityFromWire(edited(/,"sub_stream_commitments":\[.*?\}\]/, "")).capacity.subStreamCommitments).toEqual([])
  })

  it.each([
    ["9007199254740993 as a bare number", '"epoch":7', '"epoch":9007199254740993'],
    ["a fraction", '"epoch":7', '"epoch":7.0'],
    ["an exponent", '"max_streams":4', '"max_streams":4e0'],
    ["65536 subscribers", '"max_subscribers_per_stream":16', '"max_subscribers_per_stream":65536'],
    ["a layer of 256", '"max_spatial":255', '"max_spatial":256'],
    ["a short stream id", '"stream_id":[9,', '"stream_id":['],
    ["a byte of 256 in it", '"stream_id":[9,', '"stream_id":[256,'],
    ["no advertiser", '"advertiser_key_id":"peer-7",', ""],
    ["text as a rate", '"uplink_mbps":100', '"uplink_mbps":"100"'],
    ["trailing text", /\}$/, "}}"],
  ])("refuses %s with WireDecode", (_name, from, to) => {
    expect(codeOf(() => capacityFromWire(edited(from, to)))).toBe("WireDecode")
  })

  it.each([
    ["a negative rate", '"uplink_mbps":100', '"uplink_mbps":-1'],
    ["a rate beyond binary32", '"uplink_mbps":100', '"uplink_mbps":1e39'],
    ["a path of twos", '"sub_stream_path":[0]', '"sub_stream_path":[2]'],
    ["a path too deep", '"sub_stream_path":[0]', '"sub_stream_path":[0,0,0,0,0,0,0,0,0]'],
  ])("refuses %s with CapacityInvalid", (_name, from, to) => {
    expect(codeOf(() => capacityFromWire(edited(from, to)))).toBe("CapacityInvalid")
  })

  it("refuses what is no UTF-8, no object, or larger than a control message", () => {
    for (const bytes of [Uint8Array.of(0xff), utf8Encode("[]"), utf8Encode(" ".repeat(50_000)), new Uint8Array()]) {
      expect(codeOf(() => capacityFromWire(bytes))).toBe("WireDecode")
    }
  })

  it("raises nothing else, whatever comes", () => {
    const allowed = new Set([undefined, "WireDecode", "CapacityInvalid"])
    const property = fc.property(damaged([capacityToWire(signed)]), (bytes) => allowed.has(codeOf(() => capacityFromWire(bytes))))
    fc.assert(property, { numRuns: FUZZ_RUNS })
  })
})
