/** The lossless JSON parser against the engine's own. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { isJsonObject, JsonNumber, type JsonValue, parseJson } from "./json-text.ts"
import { codeOf, FUZZ_RUNS } from "./testing.ts"

/** The same value as `JSON.parse` would give. */
function plain(value: JsonValue): unknown {
  if (value instanceof JsonNumber) return value.value
  if (Array.isArray(value)) return value.map(plain)
  if (isJsonObject(value)) return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]))
  return value
}

describe("lossless JSON (D-25)", () => {
  test("plain integers are numbers, everything else keeps its text", () => {
    expect(parseJson("9007199254740991")).toBe(9007199254740991)
    expect(parseJson("-5")).toBe(-5)
    for (const text of ["9007199254740992", "18446744073709551615", "1.0", "1e3", "-0", "0.5", "1E+2"]) {
      const value = parseJson(text)
      expect(value).toBeInstanceOf(JsonNumber)
      expect((value as JsonNumber).source).toBe(text)
    }
  })

  test("agrees with JSON.parse on every JSON value", () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(0, 1, 4), (text, indent) => {
        const spaced = JSON.stringify(JSON.parse(text), null, indent)
        // Member names that an object literal would treat specially make the comparison itself differ.
        if (!spaced.includes("__proto__")) expect(plain(parseJson(spaced))).toEqual(JSON.parse(spaced))
      }),
      { numRuns: 2_000 },
    )
  })

  test("accepts exactly what JSON.parse accepts", () => {
    const fragments = fc.constantFrom(
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      '"',
      "\\",
      "a",
      '"b"',
      "0",
      "1",
      "-",
      ".",
      "e",
      "true",
      "null",
      " ",
      "\n",
      "\\u00e9",
      "\u0001",
    )
    fc.assert(
      fc.property(fc.array(fragments, { maxLength: 8 }), (parts) => {
        const text = parts.join("")
        let valid = true
        try {
          JSON.parse(text)
        } catch {
          valid = false
        }
        expect([text, codeOf(() => parseJson(text))]).toEqual([text, valid ? undefined : "WireDecode"])
      }),
      { numRuns: 3 * FUZZ_RUNS },
    )
  })

  test("nesting and number of values are bounded", () => {
    expect(codeOf(() => parseJson("[".repeat(32) + "]".repeat(32)))).toBeUndefined()
    expect(codeOf(() => parseJson("[".repeat(34) + "]".repeat(34)))).toBe("WireDecode")
    expect(codeOf(() => parseJson("[".repeat(4_000_000)))).toBe("WireDecode")
    expect(codeOf(() => parseJson(`[${"0,".repeat(100_000)}0]`))).toBe("WireDecode")
  })

  test("hostile member names and quotes", () => {
    const value = parseJson('{"__proto__":{"x":1},"constructor":2,"toString":3}')
    expect(isJsonObject(value) && Object.keys(value)).toEqual(["__proto__", "constructor", "toString"])
    expect(({} as Record<string, unknown>).x).toBeUndefined()
    expect(parseJson('"a\\\\"')).toBe("a\\")
    expect(codeOf(() => parseJson(`"${"\\".repeat(1_000_001)}"`))).toBe("WireDecode")
    expect(codeOf(() => parseJson('"', "StateInvalid"))).toBe("StateInvalid")
    expect(parseJson('{"a":1,"a":2}')).toEqual(parseJson('{"a":2}'))
  })
})
