/** Comparing answers of the byte codecs with vector cases. */
import { deepStrictEqual, strictEqual } from "node:assert"
import { type Bytes, fromHex, isAvError, toHex } from "../../src/wire/index.ts"

/** What a case says about a failure: an error name and perhaps some of its fields. */
interface ExpectedError {
  error: string
  [field: string]: unknown
}

/** True when `result` announces an error. */
export function isExpectedError(result: unknown): result is ExpectedError {
  return typeof result === "object" && result !== null && "error" in result
}

/** The bytes, or the error text, that `actual` must equal. */
export function expectHex(actual: Bytes, expected: string): void {
  strictEqual(toHex(actual), expected)
}

export function hex(text: string): Bytes {
  return fromHex(text)
}

/** Runs `action`, which must raise the named error with at least the given fields. */
export function expectError(action: () => unknown, expected: ExpectedError): void {
  const { error, ...fields } = expected
  let value: unknown
  try {
    value = action()
  } catch (thrown) {
    if (!isAvError(thrown)) throw thrown
    strictEqual(thrown.name, error)
    expectMembers(thrown.details, fields)
    return
  }
  throw new Error(
    `expected ${error}, got ${JSON.stringify(value, (_key, item) => (typeof item === "bigint" ? `${item}` : item))}`,
  )
}

/** Every member of `expected` must be in `actual` with the same value; a null there may be missing here. */
export function expectMembers(actual: object, expected: object): void {
  const source = actual as Record<string, unknown>
  for (const [name, value] of Object.entries(expected)) {
    const found = source[name]
    if (value === null && (found === undefined || found === null)) continue
    if (Array.isArray(value) && Array.isArray(found)) {
      strictEqual(found.length, value.length, name)
      for (const [i, item] of value.entries()) expectItem(found[i], item, `${name}[${i}]`)
    } else {
      expectItem(found, value, name)
    }
  }
}

/** Compares through JSON spelling of 64-bit integers: a case may write them as number or text. */
function expectItem(actual: unknown, expected: unknown, where: string): void {
  const nested = typeof expected === "object" && expected !== null && !Array.isArray(expected)
  if (nested && typeof actual === "object" && actual !== null) {
    expectMembers(actual, expected)
    return
  }
  if (typeof actual === "bigint") {
    strictEqual(actual.toString(), String(expected), where)
    return
  }
  deepStrictEqual(actual, expected, where)
}
