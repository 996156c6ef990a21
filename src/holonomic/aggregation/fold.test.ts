/** Operators, their residue, and how often one item is among many. */
import { expect, test } from "vitest"
import { codeOf, failureOf } from "../../wire/testing.ts"
import { FOLD_ALGORITHMS, foldMembers, isErasing, residualFidelity } from "./fold.ts"
import { contentMultiplicity, resampleNearest } from "./multiplicity.ts"

const bytes = (...values: number[]) => Uint8Array.from(values)
const noise = (length: number, seed: number) =>
  Uint8Array.from({ length }, (_, i) => (((i + 1) * (seed + 7) * 2_654_435_761) >>> 13) & 255)

test("each operator by hand", () => {
  const members = [bytes(10, 20, 30, 40), bytes(11, 21, 31, 41)]
  expect(foldMembers("fountain-mean-v1", members)).toEqual(bytes(11, 21, 31, 41))
  expect(foldMembers("fountain-decimate-v1", members)).toEqual(bytes(10, 21, 30, 41))
  expect(foldMembers("fountain-mipmap-v1", members)).toEqual(bytes(16, 36))
  expect(foldMembers("fountain-mipmap-v1", [bytes(1, 2, 3), bytes(1, 2, 3)])).toEqual(bytes(2, 3))
  expect(foldMembers("fountain-mean-v1", [bytes(0, 4), bytes(2, 2, 8, 8)])).toEqual(bytes(1, 1, 6, 6))
  expect(resampleNearest(bytes(1, 2, 3), 5)).toEqual(bytes(1, 1, 2, 2, 3))
})

test("what cannot be folded says why", () => {
  for (const algorithm of FOLD_ALGORITHMS) {
    expect(codeOf(() => foldMembers(algorithm, []))).toBe("NoMembers")
    expect(failureOf(() => foldMembers(algorithm, [bytes(1), bytes()]))).toMatchObject({
      code: "EmptyMember",
      details: { index: 1 },
    })
  }
  expect(codeOf(() => foldMembers("sharpen", [bytes(1)]))).toBe("MalformedInput")
  expect(codeOf(() => contentMultiplicity([]))).toBe("NoMembers")
  const endless = new Proxy([bytes(1)], { get: (target, key) => (key === "length" ? 2 ** 32 : Reflect.get(target, key)) })
  endless.findIndex = () => -1
  expect(codeOf(() => contentMultiplicity(endless))).toBe("TooManyMembers")
})

test("a fold of many is erasing, a fold of copies is not", () => {
  const members = Array.from({ length: 16 }, (_, i) => noise(512, i))
  const blur = foldMembers("fountain-mean-v1", members)
  expect(isErasing(members, blur)).toBe(true)
  const copies = members.map(() => members[0]!)
  expect(isErasing(copies, foldMembers("fountain-mean-v1", copies))).toBe(false)
  expect(residualFidelity(members[0]!, members[0]!)).toBe(1)
  expect(residualFidelity(bytes(1, 2), bytes(1, 1, 2, 9))).toBe(0.75)
  expect(residualFidelity(bytes(1), bytes())).toBe(0)
})

test("near-copies count as one, also in a row of small steps", () => {
  const base = noise(200, 1)
  const masses = contentMultiplicity([bytes(1, 1), bytes(3, 3)])
  expect(masses).toEqual({ masses: [0.25, 0.75], maxSourceMultiplicity: 2 })
  expect(contentMultiplicity([bytes(0), bytes(0, 0)]).masses).toEqual([0.5, 0.5])
  // 13 of 255 is more than a twentieth, 12 is less.
  expect(contentMultiplicity([bytes(100), bytes(112)]).maxSourceMultiplicity).toBe(2)
  expect(contentMultiplicity([bytes(100), bytes(113)]).maxSourceMultiplicity).toBe(1)
  expect(contentMultiplicity([bytes(100), bytes(112), bytes(124), bytes(200)]).maxSourceMultiplicity).toBe(3)
  const many = Array.from({ length: 40 }, (_, i) => (i < 30 ? base.map((byte, k) => (k === i ? byte ^ 1 : byte)) : noise(200, i)))
  expect(contentMultiplicity(many).maxSourceMultiplicity).toBe(30)
  expect(contentMultiplicity(many.toReversed()).maxSourceMultiplicity).toBe(30)
})
