/** The calculator's figures at its start values are those of the capacity table. */
import { expect, test } from "vitest"
import { FIELDS, type Values } from "./fields.ts"
import { chanceAt, chancesOf, percent, problemOf, rowsOf } from "./figures.ts"

const start = Object.fromEntries(FIELDS.map(({ name, start: value }) => [name, value])) as Values
const found = (values: Values, name: RegExp) => rowsOf(values).find((row) => name.test(row.name))

test("the figures at the start values", () => {
  expect(problemOf(start)).toBeUndefined()
  const large = { ...start, gigabytes: 100 }
  expect(found(large, /room holds/)).toMatchObject({ pieces: "6.67 TB", copies: "2.00 TB" })
  expect(found(start, /whole room/)).toMatchObject({ pieces: "300 MB", copies: "1.00 GB" })
  expect(found(start, /one device/)?.pieces).toBe("10.0 MB")
  expect(found(start, /let go/)?.pieces).toBe("34")
  expect(found(start, /at each place/)?.pieces).toBe("3.0, 15.0 %")
  expect(found(start, /Viewers/)?.pieces).toBe("157, 1,885")
  expect(chanceAt(start, 0.9).distinct).toBeCloseTo(0.995039, 6)
  expect(percent(0.995039)).toBe("99.50 %")
  expect(chancesOf(start).map(({ availability }) => availability)).toHaveLength(26)
  expect(chancesOf(start).at(-1)).toMatchObject({ distinct: 1, independent: 1 })
})

test("numbers that cannot be are explained", () => {
  expect(problemOf({ ...start, viable: 20 })).toContain("useless")
  expect(problemOf({ ...start, holders: 25 })).toContain("More devices")
  expect(problemOf({ ...start, repair: 9 })).toContain("20 to 40 %")
  expect(problemOf({ ...start, holders: 53 })).toContain("two copies")
  expect(problemOf({ ...start, source: 2.5 })).toContain("whole numbers")
})
