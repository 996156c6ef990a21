import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type ReplayOutcome, ReplayWindow } from "./replay-window.ts"

/** The rules of av-mesh 4.1 written down as they stand there, slow and obvious. */
class Model {
  #highest: bigint | undefined
  #seen = new Set<bigint>()
  readonly #width: bigint
  constructor(width: number) {
    this.#width = BigInt(width)
  }
  check(seq: bigint): ReplayOutcome {
    if (this.#highest === undefined || seq > this.#highest) return "Fresh"
    if (this.#highest - seq >= this.#width) return "StaleBelowWindow"
    return this.#seen.has(seq) ? "Duplicate" : "Fresh"
  }
  commit(seq: bigint): void {
    if (this.#highest === undefined || seq > this.#highest) this.#highest = seq
    this.#seen.add(seq)
  }
}

/** Numbers that cluster around interesting places: zero, 2^32, 2^53 and the end of u64. */
const sequence = fc
  .tuple(
    fc.constantFrom(0n, 2n ** 32n, 2n ** 53n - 100n, 2n ** 53n, 2n ** 54n + 7n, 2n ** 64n - 400n),
    fc.bigInt({ min: 0n, max: 399n }),
  )
  .map(([base, offset]) => base + offset)

describe("ReplayWindow", () => {
  it("says the same as the model, for any numbers and widths", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(64, 128, 192, 1024),
        fc.array(fc.tuple(sequence, fc.boolean()), { maxLength: 120 }),
        (width, steps) => {
          const [window, model] = [new ReplayWindow(width), new Model(width)]
          for (const [seq, commit] of steps) {
            const outcome = model.check(seq)
            expect(window.check(seq)).toBe(outcome)
            // The window ignores what lies below it; the model has no such rule, so it is not asked.
            if (!commit || outcome === "StaleBelowWindow") continue
            window.commit(seq)
            model.commit(seq)
          }
        },
      ),
      { numRuns: 2_000 },
    )
  })

  it("a walk with reordering loses nothing and repeats nothing", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(0, 2 ** 32 - 5_000),
        fc.array(fc.integer({ min: -80, max: 90 }), { maxLength: 400 }),
        (start, jumps) => {
          const [window, model] = [new ReplayWindow(64), new Model(64)]
          let at = start + 100
          for (const jump of jumps) {
            at = Math.max(0, at + jump)
            const expected = model.check(BigInt(at))
            if (expected === "Fresh") model.commit(BigInt(at))
            expect(window.admit(at)).toBe(expected)
          }
        },
      ),
      { numRuns: 1_000 },
    )
  })

  it("checking never moves the window", () => {
    const window = new ReplayWindow(64)
    window.commit(10n)
    expect(window.check(2n ** 64n - 1n)).toBe("Fresh")
    expect(window.check(9n)).toBe("Fresh")
    expect(window.admit(9n)).toBe("Fresh")
  })

  it("committing something below the window changes nothing", () => {
    const window = new ReplayWindow(64)
    window.commit(1_000)
    window.commit(1_000 - 64)
    expect(window.check(1_000)).toBe("Duplicate")
    expect(window.check(1_000 - 64)).toBe("StaleBelowWindow")
  })

  it("refuses widths that are no multiple of 64", () => {
    for (const width of [0, 1, 63, 65, 100, -64, 64.5, Number.NaN]) {
      expect(() => new ReplayWindow(width)).toThrow(expect.objectContaining({ code: "ReplayWindowWidth" }))
    }
  })
})
