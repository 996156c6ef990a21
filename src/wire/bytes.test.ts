/** Bytes, text, hex, base64, reader and writer. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import {
  ByteReader,
  ByteWriter,
  codePointLength,
  compareBytes,
  compareUtf8,
  equalBytes,
  fromBase64,
  fromBase64Url,
  fromHex,
  isWellFormedText,
  toBase64,
  toBase64Url,
  toHex,
  utf8Decode,
  utf8Encode,
} from "./bytes.ts"
import { isAvError } from "./errors.ts"

const bytes = fc.uint8Array({ maxLength: 64 })

function codeOf(action: () => unknown): string | undefined {
  try {
    action()
  } catch (error) {
    return isAvError(error) ? error.code : `untyped ${String(error)}`
  }
  return undefined
}

/** The text is refused by name, or is the only text for its bytes. */
function isStrict(decode: (text: string) => Uint8Array, encode: (bytes: Uint8Array) => string, text: string): boolean {
  const code = codeOf(() => decode(text))
  return code === undefined ? encode(decode(text)) === text : code === "Malformed"
}

describe("base64", () => {
  test("RFC 4648 section 10", () => {
    const pairs = { "": "", f: "Zg==", fo: "Zm8=", foo: "Zm9v", foob: "Zm9vYg==", fooba: "Zm9vYmE=", foobar: "Zm9vYmFy" }
    for (const [text, encoded] of Object.entries(pairs)) {
      expect(toBase64(utf8Encode(text))).toBe(encoded)
      expect(utf8Decode(fromBase64(encoded))).toBe(text)
    }
  })

  test("both alphabets round-trip and agree with Node", () => {
    fc.assert(
      fc.property(bytes, (value) => {
        expect(toBase64(value)).toBe(Buffer.from(value).toString("base64"))
        expect(toBase64Url(value)).toBe(Buffer.from(value).toString("base64url"))
        expect(fromBase64(toBase64(value))).toEqual(value)
        expect(fromBase64Url(toBase64Url(value))).toEqual(value)
      }),
      { numRuns: 2_000 },
    )
  })

  test("every accepted text is the text its bytes encode to", () => {
    const text = fc.string({ unit: fc.constantFrom(..."AQgwZm9/+-_= \n".split("")), maxLength: 12 })
    fc.assert(
      fc.property(text, (value) => isStrict(fromBase64, toBase64, value) && isStrict(fromBase64Url, toBase64Url, value)),
      { numRuns: 20_000 },
    )
  })

  test("refuses missing padding, padding inside, unused bits, white space and the other alphabet", () => {
    for (const text of ["Zg", "Zg=", "Z===", "Zh==", "Zm9=", "Zg==Zg==", " Zg=", "-_8=", "Zg==\n"]) {
      expect(codeOf(() => fromBase64(text))).toBe("Malformed")
    }
    for (const text of ["Zg==", "Zh", "Z", "+/8"]) expect(codeOf(() => fromBase64Url(text))).toBe("Malformed")
  })

  test("a message of the largest size", () => {
    const large = new Uint8Array(4 * 1024 * 1024).fill(0xa5)
    expect(equalBytes(fromBase64(toBase64(large)), large)).toBe(true)
  })
})

describe("hex and text", () => {
  test("hex takes either case and gives lower case", () => {
    expect(toHex(fromHex("00aBFf"))).toBe("00abff")
    for (const text of ["0", "0g", "0x", " 0"]) expect(codeOf(() => fromHex(text))).toBe("Malformed")
  })

  test("text is decoded fatally and keeps its byte order mark", () => {
    expect(utf8Decode(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe("\ufeffa")
    for (const input of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xe2, 0x82]]) {
      expect(codeOf(() => utf8Decode(Uint8Array.from(input)))).toBe("Malformed")
    }
  })

  test("characters are code points; lone surrogates are recognised", () => {
    expect(codePointLength("a😀é")).toBe(3)
    expect(codePointLength("\ud83d")).toBe(1)
    expect(isWellFormedText("a😀")).toBe(true)
    expect(isWellFormedText("a\ud83d")).toBe(false)
  })

  test("key ids order by UTF-8 bytes, where JavaScript's order differs", () => {
    expect("\uffff" < "😀").toBe(false)
    expect(compareUtf8("\uffff", "😀")).toBeLessThan(0)
    expect(compareUtf8("a", "ab")).toBeLessThan(0)
    expect(compareBytes(Uint8Array.of(2), Uint8Array.of(1, 9))).toBeGreaterThan(0)
  })
})

describe("reader and writer", () => {
  test("integers of both orders round-trip at their limits", () => {
    const written = new ByteWriter(1)
      .u8(255)
      .u16be(0x0102)
      .u24be(0xfffefd)
      .u32be(0xffffffff)
      .u64be(0xffffffffffffffffn)
      .u16le(0x0102)
      .u32le(0x01020304)
      .u64le(1n)
      .lp16(Uint8Array.of(7))
      .zeros(2)
      .finish()
    const reader = new ByteReader(written)
    expect([reader.u8(), reader.u16be(), reader.u24be(), reader.u32be()]).toEqual([255, 0x0102, 0xfffefd, 0xffffffff])
    expect(reader.u64be()).toBe(0xffffffffffffffffn)
    expect([reader.u16le(), reader.u32le()]).toEqual([0x0102, 0x01020304])
    expect(reader.u64le()).toBe(1n)
    expect(reader.lp16()).toEqual(Uint8Array.of(7))
    reader.zeros(2)
    reader.end()
  })

  test("the writer refuses integers that would be cut", () => {
    const writer = new ByteWriter()
    for (const write of [() => writer.u8(256), () => writer.u16be(-1), () => writer.u32le(1.5), () => writer.u64be(1n << 64n)]) {
      expect(codeOf(write)).toBe("UsageError")
    }
    expect(writer.length).toBe(0)
  })

  test("reading past the end raises the reader's own error with sizes", () => {
    const reader = new ByteReader(Uint8Array.of(1, 2), "HelloInvalid")
    expect(() => reader.u32be()).toThrowError(expect.objectContaining({ name: "HelloInvalid" }))
    expect(codeOf(() => new ByteReader(Uint8Array.of(0, 5, 1)).lp16())).toBe("Malformed")
    expect(codeOf(() => new ByteReader(Uint8Array.of(0)).end())).toBe("Malformed")
  })

  test("views of a larger buffer are read where they lie", () => {
    const inner = Uint8Array.of(9, 9, 0, 0, 0, 42).subarray(2)
    expect(new ByteReader(inner).u32be()).toBe(42)
  })
})
