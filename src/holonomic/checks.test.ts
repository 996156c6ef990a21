import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { compareBytes, compareUtf8, toBase64, toHex, utf8Encode } from "../wire/bytes.ts"
import { codeOf, FUZZ_RUNS } from "../wire/testing.ts"
import { i64, strictBase64, u64, unsigned, utf8 } from "./checks.ts"

describe("checks of encodable values", () => {
  it("refuse texts with half a character", () => {
    expect(toHex(utf8("é😀"))).toBe("c3a9f09f9880")
    for (const text of ["\ud83d", "a\udc00b", "\udc00\ud83d"]) expect(codeOf(() => utf8(text))).toBe("IllFormedString")
  })

  it("refuse integers out of range, with a fraction or beyond what a number holds", () => {
    expect(unsigned(255, 8, "x")).toBe(255)
    for (const value of [256, -1, 0.5, Number.NaN]) expect(codeOf(() => unsigned(value, 8, "x"))).toBe("IntegerOutOfRange")
    expect(u64((1n << 64n) - 1n, "x")).toBe((1n << 64n) - 1n)
    expect(u64(7, "x")).toBe(7n)
    for (const value of [-1n, 1n << 64n, 2 ** 53, 1.5]) expect(codeOf(() => u64(value, "x"))).toBe("IntegerOutOfRange")
    expect(i64(-(1n << 63n), "x")).toBe(-(1n << 63n))
    expect(codeOf(() => i64(1n << 63n, "x"))).toBe("IntegerOutOfRange")
  })

  it("take one spelling of base64", () => {
    expect(strictBase64("QUI=")).toEqual(Uint8Array.of(65, 66))
    for (const text of ["QUI", "QUI==", "QUJ=", "QU-_", " QUI=", "QUI=\n", "="]) {
      expect(codeOf(() => strictBase64(text))).toBe("Base64Invalid")
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        expect(strictBase64(toBase64(bytes))).toEqual(bytes)
      }),
    )
  })

  it("order texts as their bytes", () => {
    const ids = ["😀", "～", "é", "a", "ab", ""]
    expect(ids.toSorted(compareUtf8)).toEqual(["", "a", "ab", "é", "～", "😀"])
    const unit = fc.constantFrom("a", "é", "～", "\ue000", "\ud7ff", "😀", "😁", "𐍈", "\u{10ffff}")
    const text = fc.oneof(
      fc.array(unit, { maxLength: 5 }).map((units) => units.join("")),
      fc.string({ unit: "grapheme", maxLength: 5 }),
    )
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareUtf8(a, b))).toBe(Math.sign(compareBytes(utf8Encode(a), utf8Encode(b))))
      }),
      { numRuns: FUZZ_RUNS },
    )
  })
})
