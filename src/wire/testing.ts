/** Helpers for the tests of this folder: seeded inputs and the two properties every byte codec must have. */
import fc from "fast-check"
import { expect } from "vitest"
import { equalBytes, toHex } from "./bytes.ts"
import { type AvError, type ErrorCode, isAvError } from "./errors.ts"
import type { Bytes } from "./types.ts"

/** Runs per property: enough to meet every branch of these decoders many times, and still seconds in all. */
export const FUZZ_RUNS = 10_000

/** The code that `action` raises, undefined when it returns; anything untyped fails the test. */
export function codeOf(action: () => unknown): ErrorCode | undefined {
  return failureOf(action)?.code
}

/** The AvError that `action` raises, undefined when it returns; anything untyped fails the test. */
export function failureOf(action: () => unknown): AvError | undefined {
  try {
    action()
  } catch (error) {
    if (isAvError(error)) return error
    throw error
  }
  return undefined
}

/** Valid bytes damaged a little: bits flipped, cut, extended, a slice doubled. Finds what random bytes never reach. */
export function damaged(samples: readonly Bytes[]): fc.Arbitrary<Bytes> {
  return fc
    .record({
      sample: fc.constantFrom(...samples),
      flips: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { maxLength: 3 }),
      cut: fc.option(fc.nat(), { freq: 4 }),
      extra: fc.oneof(
        { weight: 4, arbitrary: fc.constant(new Uint8Array()) },
        { weight: 1, arbitrary: fc.uint8Array({ maxLength: 30 }) },
      ),
    })
    .map(({ sample, flips, cut, extra }) => {
      const kept = cut === null ? sample.length : cut % (sample.length + 1)
      const out = new Uint8Array(kept + extra.length)
      out.set(sample.subarray(0, kept))
      out.set(extra, kept)
      for (const [at, mask] of flips) {
        if (out.length > 0) out[at % out.length] = (out[at % out.length] ?? 0) ^ mask
      }
      return out
    })
}

interface CodecUnderTest<T> {
  decode(bytes: Bytes): T
  /** Left out where several byte strings may mean the same. */
  encode?(value: T): Bytes
  /** Codes the decoder may raise. */
  codes: readonly ErrorCode[]
  samples: readonly Bytes[]
  maxLength?: number
}

/**
 * The decoder is total (a value or one of its codes), does not change its input, and what it accepts encodes to the same bytes
 * again, so nothing in the input is ignored.
 */
export function checkCodec<T>(codec: CodecUnderTest<T>): void {
  for (const sample of codec.samples) checkInput(codec, sample, true)
  const inputs = fc.oneof(fc.uint8Array({ maxLength: codec.maxLength ?? 160 }), damaged(codec.samples))
  fc.assert(
    fc.property(inputs, (bytes) => checkInput(codec, bytes, false)),
    { numRuns: 2 * FUZZ_RUNS },
  )
}

function checkInput<T>(codec: CodecUnderTest<T>, bytes: Bytes, mustDecode: boolean): void {
  const before = bytes.slice()
  let value: T
  try {
    value = codec.decode(bytes)
  } catch (error) {
    if (!isAvError(error) || mustDecode || !codec.codes.includes(error.code)) throw error
    return
  }
  // Compared by hand first: vitest's matchers are slow for so many runs.
  if (!equalBytes(bytes, before)) expect(toHex(bytes)).toBe(toHex(before))
  if (codec.encode === undefined) return
  const again = codec.encode(value)
  if (!equalBytes(again, bytes)) expect(toHex(again)).toBe(toHex(bytes))
}
