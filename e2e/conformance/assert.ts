/** What the runners use of `node:assert`, for a page. */

function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false
  const [left, right] = [Object.keys(a), Object.keys(b)]
  if (left.length !== right.length) return false
  return left.every((key) => Object.hasOwn(b, key) && same(Reflect.get(a, key), Reflect.get(b, key)))
}

function fail(actual: unknown, expected: unknown): never {
  throw new Error(`${String(actual)} instead of ${String(expected)}`)
}

export function strictEqual(actual: unknown, expected: unknown): void {
  if (!Object.is(actual, expected)) fail(actual, expected)
}

export function deepStrictEqual(actual: unknown, expected: unknown): void {
  if (!same(actual, expected)) fail(JSON.stringify(actual), JSON.stringify(expected))
}

export function ok(value: unknown): void {
  if (!value) fail(value, true)
}
