import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { utf8Encode } from "../../wire/bytes.ts"
import { codeOf } from "../../wire/testing.ts"
import { merkleRoot } from "../witness/merkle.ts"
import {
  effectiveCount,
  effectiveSourceCount,
  massCommitment,
  massToFixed,
  passesDominanceGate,
  passesMultiplicityGate,
  verifyMassCommitment,
  verifyMemberCommitment,
} from "./mass.ts"
import { memberCommitment } from "./meta.ts"

describe("masses", () => {
  it("become millionths", () => {
    expect([1, 0.000001, 0.0000005, 0.0000004, 0, -1, Number.NaN, 1e300].map(massToFixed)).toEqual([
      1_000_000n,
      1n,
      1n,
      0n,
      0n,
      0n,
      0n,
      (1n << 64n) - 1n,
    ])
  })

  it("are committed to with their ids, in any order", () => {
    const masses = [
      ["b", 1n],
      ["a", 258n],
    ] as const
    const leaves = [
      [...utf8Encode("a"), 0, 0, 0, 0, 0, 0, 1, 2],
      [...utf8Encode("b"), 0, 0, 0, 0, 0, 0, 0, 1],
    ]
    expect(massCommitment(masses)).toEqual(merkleRoot(leaves.map((leaf) => Uint8Array.from(leaf))))
    expect(verifyMassCommitment({ massCommitment: massCommitment(masses) }, masses.toReversed())).toBe(true)
    expect(verifyMassCommitment({ massCommitment: massCommitment(masses) }, [masses[0]])).toBe(false)
    expect(verifyMemberCommitment({ memberCommitment: memberCommitment(["a", "b"]) }, ["b", "a"])).toBe(true)
    expect(verifyMemberCommitment({ memberCommitment: memberCommitment(["a", "b"]) }, ["b"])).toBe(false)
    expect(codeOf(() => massCommitment([["a", 1n << 64n]]))).toBe("IntegerOutOfRange")
  })

  it("that are equal count each", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.bigInt({ min: 1n, max: 1n << 60n }), (n, mass) => {
        expect(effectiveCount(new Array(n).fill(mass))).toBe(BigInt(n))
        expect(effectiveSourceCount(new Array(n).fill(0.25))).toBe(n)
      }),
    )
    expect(effectiveSourceCount([0, -1, Number.NaN])).toBe(0)
    for (const mass of [1e300, 1e-300]) expect(effectiveSourceCount([mass, mass])).toBe(1)
    expect(effectiveCount([0n])).toBe(0n)
    expect(effectiveCount([1_000_000n, 500_000n, 250_000n])).toBe(2n)
  })

  it("do not let one source pass for many", () => {
    const masses = [900, ...new Array(999).fill(100 / 999)]
    const nEff = effectiveSourceCount(masses)
    expect(nEff).toBeLessThanOrEqual(2)
    for (const ratio of [0.5, 0.1]) expect(passesDominanceGate({ version: 3, sourceCount: 1_000, nEff }, ratio)).toBe(false)
  })
})

describe("gates of a fold", () => {
  const meta = { version: 3, sourceCount: 1_000, nEff: 1_000, maxSourceMultiplicity: 500 } as const

  it("ask for the version that signed what they look at", () => {
    expect(passesDominanceGate({ ...meta, version: 2 }, 0.5)).toBe(true)
    expect(passesDominanceGate({ ...meta, version: 1 }, 0.5)).toBe(false)
    expect(passesMultiplicityGate(meta, 2)).toBe(true)
    expect(passesMultiplicityGate({ ...meta, version: 2 }, 2)).toBe(false)
  })

  it("refuse too many copies and senseless limits", () => {
    expect(passesMultiplicityGate({ ...meta, maxSourceMultiplicity: 501 }, 2)).toBe(false)
    expect(passesMultiplicityGate({ ...meta, maxSourceMultiplicity: 900 }, 2)).toBe(false)
    expect(passesDominanceGate(meta, 0.5)).toBe(true)
    expect(passesMultiplicityGate(meta, 0)).toBe(false)
    expect(passesDominanceGate({ ...meta, sourceCount: 0 }, 0.5)).toBe(false)
    expect(passesMultiplicityGate({ ...meta, sourceCount: 0 }, 1)).toBe(false)
  })
})
