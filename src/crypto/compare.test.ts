import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { equalBytes } from "../wire/bytes.ts"
import { ctEqual, isZero } from "./compare.ts"

const pair = fc.tuple(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 40 }))

/** Counts how often bytes of `target` are read. */
function counting(target: Uint8Array): { bytes: Uint8Array; reads: () => number } {
  let reads = 0
  const bytes = new Proxy(target, {
    get(of, key) {
      if (typeof key === "string" && /^\d+$/.test(key)) reads++
      return Reflect.get(of, key, of)
    },
  })
  return { bytes, reads: () => reads }
}

describe("constant-time comparison", () => {
  it("says the same as a plain comparison", () => {
    fc.assert(fc.property(pair, ([a, b]) => ctEqual(a, b) === equalBytes(a, b) && ctEqual(a, a.slice())))
  })

  it("ID-R4: reads every byte of both, equal or not", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.nat(), (a, at) => {
        const other = a.slice()
        other[at % a.length] = (other[at % a.length] ?? 0) ^ 1
        for (const b of [a, other]) {
          const [left, right] = [counting(a), counting(b)]
          ctEqual(left.bytes, right.bytes)
          expect([left.reads(), right.reads()]).toEqual([a.length, a.length])
        }
      }),
    )
  })

  it("knows zero", () => {
    expect(isZero(new Uint8Array(4))).toBe(true)
    expect(isZero(Uint8Array.of(0, 0, 1))).toBe(false)
  })
})
