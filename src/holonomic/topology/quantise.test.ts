import fc from "fast-check"
import { describe, expect, it } from "vitest"
import {
  believedMillibps,
  CAPACITY_NORMALIZER_MILLIBPS,
  capacityScore,
  clampSelfAsserted,
  quantise,
  quantiseCapped,
  reachabilityScore,
  trustScore,
} from "./quantise.ts"
import type { AdVerification } from "./types.ts"

describe("quantisation", () => {
  it.each([
    [33.3, 33_300n],
    [16.7, 16_700n],
    [0.0005, 0n],
    [0.001, 1n],
    [1e-46, 0n],
    [3.4e38, 0xffffffffffffffffn],
    [Number.NaN, 0n],
    [Number.POSITIVE_INFINITY, 0n],
    [-1, 0n],
    [-0, 0n],
    [1_000.001, 1_000_001n],
  ])("%f Mbit/s", (rate, millibps) => {
    expect(quantise(rate)).toBe(millibps)
  })

  it("believes a signature up to 1 Gbit/s and a challenge up to 10", () => {
    expect(clampSelfAsserted(quantise(10_000), "HybridSignatureValid")).toBe(1_000_000n)
    expect(clampSelfAsserted(quantise(10_000), "ThroughputChallenged")).toBe(10_000_000n)
    expect(clampSelfAsserted(quantise(10_000), "Unverified")).toBe(0n)
    expect(capacityScore(1_000_000)).toBe(100)
    expect(capacityScore(20_000_000)).toBe(1_000)
  })

  it("gives whole scores", () => {
    expect([0, 1, 2, 3, 4, 5, 255].map(trustScore)).toEqual([1_000, 750, 500, 250, 0, 0, 0])
    expect([0, 1, 300, 5_000, 4_294_967_295].map(reachabilityScore)).toEqual([1_000, 999, 940, 0, 0])
  })

  it("is the same in numbers as exactly, as far as it matters", () => {
    const limit = BigInt(CAPACITY_NORMALIZER_MILLIBPS)
    const verifications: AdVerification[] = ["Unverified", "HybridSignatureValid", "ThroughputChallenged"]
    fc.assert(
      fc.property(
        fc.oneof(fc.float(), fc.double({ min: 0, max: 20_000 })),
        fc.constantFrom(...verifications),
        (rate, verification) => {
          const exact = quantise(rate)
          expect(BigInt(quantiseCapped(rate))).toBe(exact < limit ? exact : limit)
          const clamped = clampSelfAsserted(exact, verification)
          expect(BigInt(believedMillibps(rate, verification))).toBe(clamped < limit ? clamped : limit)
        },
      ),
      { numRuns: 10_000 },
    )
  })
})
