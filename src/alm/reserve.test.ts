import fc from "fast-check"
import { expect, it } from "vitest"
import { mayTakePlace, RESERVED_MS, ReservedPlaces } from "./reserve.ts"

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

it("keeps a place for so long since the plan first put the child here, and for no longer", () => {
  const places = new ReservedPlaces()
  places.plan(["a", "b"], 0)
  expect(places.planned("guest", nobody, 4, RESERVED_MS - 1)).toEqual(["a", "b"])
  places.plan(["a", "c"], RESERVED_MS - 1)
  expect(places.planned("guest", nobody, 4, RESERVED_MS)).toEqual(["c"])
  // Who asks or is here counts as planned all the same.
  expect(places.planned("a", nobody, 4, RESERVED_MS)).toEqual(["a", "c"])
  expect(places.planned("guest", (keyId) => keyId === "a", 4, RESERVED_MS)).toEqual(["a", "c"])
  // The plan takes it away and gives it back: a new beginning.
  places.plan([], RESERVED_MS)
  places.plan(["a"], 5 * RESERVED_MS)
  expect(places.planned("guest", nobody, 4, 5 * RESERVED_MS)).toEqual(["a"])
})

it("keeps the places of a tight plan for as long as it stands", () => {
  const places = new ReservedPlaces()
  places.plan(["a", "b"], 0)
  expect(places.planned("guest", nobody, 3, 10 * RESERVED_MS)).toEqual(["a", "b"])
  expect(places.planned("guest", nobody, 4, 10 * RESERVED_MS)).toEqual([])
})
