import fc from "fast-check"
import { expect, it } from "vitest"
import { mayTakePlace } from "./reserve.ts"

const nobody = () => false

it("keeps a place for each planned child that has not come", () => {
  expect(mayTakePlace(2, "guest", ["a", "b"], nobody)).toBe(false)
  expect(mayTakePlace(3, "guest", ["a", "b"], nobody)).toBe(true)
  expect(mayTakePlace(2, "guest", ["a", "b"], (keyId) => keyId === "a")).toBe(true)
  expect(mayTakePlace(1, "b", ["a", "b"], nobody)).toBe(true)
  expect(mayTakePlace(0, "b", ["a", "b"], nobody)).toBe(false)
})

it("whatever the order of asking, planned children find a place when the plan fits", () => {
  const keys = ["a", "b", "c", "d", "e", "f", "g", "h"]
  fc.assert(
    fc.property(
      fc.shuffledSubarray(keys, { minLength: 4 }),
      fc.subarray(keys, { maxLength: 4 }),
      fc.integer({ min: 4, max: 8 }),
      (asked, planned, places) => {
        const children = new Set<string>()
        for (const asker of [...asked, ...planned]) {
          if (mayTakePlace(places - children.size, asker, planned, (keyId) => children.has(keyId))) children.add(asker)
        }
        expect(children.size).toBeLessThanOrEqual(places)
        for (const keyId of planned) expect(children.has(keyId)).toBe(true)
      },
    ),
  )
})
