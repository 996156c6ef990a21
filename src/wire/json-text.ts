/** JSON without loss: integers that a double would damage, or that were written as fractions, stay recognisable (av-mesh D-25). */
import { AvError, type ErrorCode } from "./errors.ts"

/** A number that is no plain integer of at most 2^53-1: a fraction, an exponent, or too large. */
export class JsonNumber {
  readonly source: string
  constructor(source: string) {
    this.source = source
  }
  /** The nearest double; infinite when out of range. */
  get value(): number {
    return Number(this.source)
  }
}

/** A `number` is always an exact integer here; every other number is a {@link JsonNumber}. Objects have no prototype. */
export type JsonValue = null | boolean | number | string | JsonNumber | JsonValue[] | JsonObject
export interface JsonObject {
  [member: string]: JsonValue
}

/** Nesting that stops a message made of brackets from using up the stack. */
const MAX_DEPTH = 32
/** Values in one text; a message of brackets and commas would otherwise cost many times its size in memory. */
const MAX_VALUES = 100_000

/** True for a JSON object. */
export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof JsonNumber)
}

/**
 * Parses one JSON text (RFC 8259). Of repeated members the last counts, as with `JSON.parse`.
 * @throws AvError `code` (default `WireDecode`) on a syntax error, more than 32 levels or 100 000 values.
 */
export function parseJson(text: string, code: ErrorCode = "WireDecode"): JsonValue {
  const parser = new Parser(text, code)
  const value = parser.value(0)
  parser.end()
  return value
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y
const SPACE = /[ \t\n\r]*/y

class Parser {
  readonly #text: string
  readonly #code: ErrorCode
  #at = 0
  #values = 0

  constructor(text: string, code: ErrorCode) {
    this.#text = text
    this.#code = code
  }

  value(depth: number): JsonValue {
    if (++this.#values > MAX_VALUES) this.#fail("too many values")
    if (depth > MAX_DEPTH) this.#fail("too deep")
    this.#space()
    switch (this.#text[this.#at]) {
      case "{":
        return this.#object(depth)
      case "[":
        return this.#array(depth)
      case '"':
        return this.#string()
      case "t":
        return this.#word("true", true)
      case "f":
        return this.#word("false", false)
      case "n":
        return this.#word("null", null)
      default:
        return this.#number()
    }
  }

  end(): void {
    this.#space()
    if (this.#at !== this.#text.length) this.#fail("trailing text")
  }

  #object(depth: number): JsonObject {
    const out: JsonObject = Object.create(null)
    this.#at++
    if (this.#take("}")) return out
    do {
      this.#space()
      const member = this.#string()
      if (!this.#take(":")) this.#fail("colon expected")
      out[member] = this.value(depth + 1)
    } while (this.#take(","))
    if (!this.#take("}")) this.#fail("brace expected")
    return out
  }

  #array(depth: number): JsonValue[] {
    const out: JsonValue[] = []
    this.#at++
    if (this.#take("]")) return out
    do out.push(this.value(depth + 1))
    while (this.#take(","))
    if (!this.#take("]")) this.#fail("bracket expected")
    return out
  }

  #string(): string {
    const start = this.#at
    if (this.#text[start] !== '"') this.#fail("string expected")
    const end = this.#closingQuote(start + 1)
    this.#at = end + 1
    try {
      // The engine's parser knows escapes and forbidden control characters.
      return JSON.parse(this.#text.slice(start, end + 1)) as string
    } catch {
      return this.#fail("string")
    }
  }

  #closingQuote(from: number): number {
    for (let end = this.#text.indexOf('"', from); end >= 0; end = this.#text.indexOf('"', end + 1)) {
      let backslashes = 0
      while (end - backslashes > from && this.#text[end - backslashes - 1] === "\\") backslashes++
      if (backslashes % 2 === 0) return end
    }
    return this.#fail("unterminated string")
  }

  #number(): number | JsonNumber {
    NUMBER.lastIndex = this.#at
    const match = NUMBER.exec(this.#text)
    if (match === null) return this.#fail("value expected")
    this.#at = NUMBER.lastIndex
    const source = match[0]
    const value = Number(source)
    const plain = match[1] === undefined && match[2] === undefined && Number.isSafeInteger(value) && !Object.is(value, -0)
    return plain ? value : new JsonNumber(source)
  }

  #word<T extends boolean | null>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) this.#fail("value expected")
    this.#at += word.length
    return value
  }

  #take(character: string): boolean {
    this.#space()
    if (this.#text[this.#at] !== character) return false
    this.#at++
    return true
  }

  #space(): void {
    SPACE.lastIndex = this.#at
    SPACE.test(this.#text)
    this.#at = SPACE.lastIndex
  }

  #fail(why: string): never {
    throw new AvError(this.#code, { why, at: this.#at })
  }
}
