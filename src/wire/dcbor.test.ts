/** The dCBOR subset. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { concatBytes, fromHex, toHex } from "./bytes.ts"
import { cborUint, type DcborValue, decodeDcbor, encodeDcbor } from "./dcbor.ts"
import { checkCodec, codeOf, FUZZ_RUNS } from "./testing.ts"

const decodeHex = (hex: string) => decodeDcbor(fromHex(hex))

describe("dCBOR subset (control-plane 0.3)", () => {
  test("examples of RFC 8949 appendix A that are in the subset", () => {
    const examples: [DcborValue, string][] = [
      [0, "00"],
      [23, "17"],
      [24, "1818"],
      [1000, "1903e8"],
      [1_000_000, "1a000f4240"],
      [1_000_000_000_000, "1b000000e8d4a51000"],
      [0xffffffffffffffffn, "1bffffffffffffffff"],
      [fromHex("01020304"), "4401020304"],
      ["IETF", "6449455446"],
      ["水", "63e6b0b4"],
      [[1, [2, 3], [4, 5]], "8301820203820405"],
      [
        new Map<DcborValue, DcborValue>([
          [1, 2],
          [3, 4],
        ]),
        "a201020304",
      ],
    ]
    for (const [value, hex] of examples) {
      expect(toHex(encodeDcbor(value))).toBe(hex)
      expect(decodeHex(hex)).toEqual(value)
    }
  })

  test("a byte order mark is part of its text, so that no two byte strings read alike", () => {
    for (const [text, hex] of [
      ["\ufeff", "63efbbbf"],
      ["\ufeffa", "64efbbbf61"],
      ["\ufeff\ufeffa", "67efbbbfefbbbf61"],
      [`\ufeff${"x".repeat(40)}`, `782befbbbf${"78".repeat(40)}`],
    ] as const) {
      expect(decodeHex(hex)).toBe(text)
      expect(toHex(encodeDcbor(text))).toBe(hex)
    }
    const both = new Map<DcborValue, DcborValue>([
      ["a", 1],
      ["\ufeffa", 2],
    ])
    expect(decodeDcbor(encodeDcbor(both))).toEqual(both)
  })

  test("what is decoded shares no memory with its input", () => {
    const input = Buffer.from("8244010203044100", "hex")
    const value = decodeDcbor(input)
    input.fill(0xff)
    expect(value).toEqual([fromHex("01020304"), fromHex("00")])
  })

  test("keys are sorted by their encodings", () => {
    const map = new Map<DcborValue, DcborValue>([
      ["aa", 1],
      ["b", 2],
      [100, 3],
      [10, 4],
      [fromHex("ff"), 5],
    ])
    expect(toHex(encodeDcbor(map))).toBe("a50a0418640341ff05616202626161 01".replace(" ", ""))
  })

  test("rules 2 and 3 are NonCanonical", () => {
    const bad = [
      "1817",
      "190017",
      "1a0000ffff",
      "1b00000000ffffffff",
      "5801ff",
      "7801 61",
      "980101",
      "b8010102",
      "a201020102",
      "a202020101",
      "a26161016101",
    ]
    for (const hex of bad) expect(codeOf(() => decodeHex(hex.replace(" ", "")))).toMatch(/NonCanonical|Malformed/)
    for (const hex of [
      "1817",
      "190017",
      "1a0000ffff",
      "1b00000000ffffffff",
      "5801ff",
      "780161",
      "980101",
      "b8010102",
      "a201020102",
      "a202020101",
    ]) {
      expect(codeOf(() => decodeHex(hex))).toBe("NonCanonical")
    }
  })

  test("rules 1 and 4 and truncation are Malformed", () => {
    const bad = [
      "",
      "20",
      "c000",
      "f5",
      "f6",
      "f90000",
      "5f4101ff",
      "9fff",
      "bfff",
      "1c",
      "18",
      "1900",
      "42ff",
      "62c328",
      "8201",
      "a101",
      "0000",
      "818181818100",
    ]
    for (const hex of bad) expect(codeOf(() => decodeHex(hex))).toBe("Malformed")
    expect(decodeHex("8181818100")).toEqual([[[[0]]]])
  })

  test("declared sizes beyond the input cost nothing", () => {
    for (const hex of ["5bffffffffffffffff", "7bffffffffffffffff", "9bffffffffffffffff", "bbffffffffffffffff", "9a00ffffff00"]) {
      expect(codeOf(() => decodeHex(hex))).toBe("Malformed")
    }
    const items = (count: number) => concatBytes(fromHex(`99${count.toString(16).padStart(4, "0")}`), new Uint8Array(count))
    expect(codeOf(() => decodeDcbor(items(4095)))).toBeUndefined()
    expect(codeOf(() => decodeDcbor(items(4096)))).toBe("Malformed")
  })

  test("values outside of the subset are not encoded", () => {
    const nested: DcborValue = [[[[[0]]]]]
    const repeated = new Map<DcborValue, DcborValue>([
      [5, 1],
      [5n, 2],
    ])
    for (const value of [-1, 1.5, 2 ** 53, -1n, 1n << 64n, "\ud800", nested, Array(4096).fill(0)]) {
      expect(codeOf(() => encodeDcbor(value))).toBe("UsageError")
    }
    expect(codeOf(() => encodeDcbor(repeated))).toBe("NonCanonical")
    expect([cborUint(5), cborUint(5n), cborUint("5"), cborUint(undefined)]).toEqual([5n, 5n, undefined, undefined])
  })

  const leaf: fc.Arbitrary<DcborValue> = fc.oneof(
    fc.maxSafeNat(),
    fc.bigInt({ min: BigInt(Number.MAX_SAFE_INTEGER) + 1n, max: 0xffffffffffffffffn }),
    fc.uint8Array({ maxLength: 8 }),
    fc.string({ unit: "grapheme", maxLength: 8 }),
    fc.string({ unit: fc.constantFrom("\ufeff", "a", "é", "\u{10ffff}"), maxLength: 4 }),
  )
  const level = (inner: fc.Arbitrary<DcborValue>): fc.Arbitrary<DcborValue> =>
    fc.oneof(
      leaf,
      fc.array(inner, { maxLength: 4 }),
      fc
        .uniqueArray(fc.tuple(fc.oneof(fc.maxSafeNat(), fc.string({ maxLength: 4 })), inner), {
          maxLength: 4,
          selector: ([key]) => key,
        })
        .map((e) => new Map(e)),
    )
  const value = level(level(level(leaf)))

  test("every value reads back", () => {
    fc.assert(
      fc.property(value, (v) => {
        expect(decodeDcbor(encodeDcbor(v))).toEqual(v)
      }),
      { numRuns: 3_000 },
    )
  })

  test("any bytes: what is accepted has no other encoding", () => {
    const samples = fc.sample(value, { numRuns: 40, seed: 7 }).map(encodeDcbor)
    checkCodec({ decode: decodeDcbor, encode: encodeDcbor, codes: ["Malformed", "NonCanonical"], samples, maxLength: 24 })
    const heads = fc.array(fc.constantFrom(0x00, 0x01, 0x17, 0x18, 0x40, 0x41, 0x61, 0x80, 0x81, 0x82, 0xa0, 0xa1, 0xa2, 0xff), {
      maxLength: 12,
    })
    fc.assert(
      fc.property(heads, (bytes) => {
        const input = Uint8Array.from(bytes)
        if (codeOf(() => decodeDcbor(input)) === undefined) expect(toHex(encodeDcbor(decodeDcbor(input)))).toBe(toHex(input))
      }),
      { numRuns: FUZZ_RUNS },
    )
  })
})
