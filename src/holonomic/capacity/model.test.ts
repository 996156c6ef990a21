/** The figures of the capacity table. */
import { expect, test } from "vitest"
import { codeOf } from "../../wire/testing.ts"
import { recommendedPolicy } from "../retention/policy.ts"
import {
  boundedItems,
  contentCapacity,
  copiesPerSymbol,
  foldedBytesPerItem,
  holderThreshold,
  networkBytes,
  perPeerLoad,
  survivalDistinct,
  survivalIndependent,
  viewersPerCopy,
} from "./model.ts"

const policy = recommendedPolicy()
const TB = 1e12

test("room and load", () => {
  expect(contentCapacity(100, 0.1 * TB, policy) / TB).toBeCloseTo(6.67, 2)
  expect(contentCapacity(10_000, 0.01 * TB, policy) / TB).toBeCloseTo(66.7, 1)
  expect([perPeerLoad(1, policy), networkBytes(1, policy), holderThreshold(policy)]).toEqual([0.05, 1.5, 34])
  expect(copiesPerSymbol(policy)).toBeCloseTo(1.15, 2)
  expect([viewersPerCopy(12, 2), viewersPerCopy(12, 3)]).toEqual([157, 1_885])
  expect(foldedBytesPerItem(1, 2, 16, policy)).toBeCloseTo(0.0059, 4)
  expect(boundedItems(5.3e7, 16)).toBe(256)
  expect([boundedItems(0, 16), boundedItems(16, 16), boundedItems(17, 16)]).toEqual([32, 64, 96])
})

test("survival, counted exactly and as if every holder had another symbol", () => {
  for (const [availability, exact, independent] of [
    [0.95, 0.999926, 0.99999989],
    [0.9, 0.995039, 0.999911],
    [0.85, 0.957288, 0.997058],
    [0.8, 0.845021, 0.974384],
    [0.7, 0.43071, 0.73037],
  ] as const) {
    expect(survivalDistinct(26, 30, 20, availability)).toBeCloseTo(exact, 6)
    expect(survivalIndependent(30, 20, availability)).toBeCloseTo(independent, 6)
  }
  expect(survivalDistinct(26, 52, 20, 0.7)).toBeCloseTo(0.9932, 4)
  expect([survivalIndependent(5, 0, 0.1), survivalIndependent(5, 6, 1), survivalIndependent(5, 5, 1)]).toEqual([1, 0, 1])
})

test("what makes no sense is refused", () => {
  const calls = [
    () => survivalDistinct(26, 25, 20, 0.5),
    () => survivalDistinct(26, 53, 20, 0.5),
    () => survivalIndependent(1e9, 20, 0.5),
    () => survivalIndependent(30, 20, Number.NaN),
    () => survivalIndependent(30, 20.5, 0.5),
  ]
  for (const call of calls) expect(codeOf(call)).toBe("UsageError")
})
