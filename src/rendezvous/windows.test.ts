import { expect, test } from "vitest"
import { FixedWindows } from "./windows.ts"

test("takes up to the limit and tells how long the window still lasts", () => {
  const windows = new FixedWindows([2, 10_000])
  expect([windows.take("a", 0), windows.take("a", 4_000), windows.take("a", 6_000)]).toEqual([0, 0, 4_000])
  expect(windows.take("b", 6_000)).toBe(0)
  expect(windows.take("a", 10_000)).toBe(0)
})

test("an amount that does not fit takes nothing", () => {
  const windows = new FixedWindows([100, 1_000])
  expect([windows.take("a", 0, 90), windows.take("a", 1, 20), windows.take("a", 2, 10)]).toEqual([0, 999, 0])
})

test("never holds more than 16 384 keys", () => {
  const windows = new FixedWindows([1, 10_000])
  for (let i = 0; i < 20_000; i++) windows.take(`key ${i}`, 0)
  expect(windows.size).toBe(16_384)
  windows.take("later", 10_000)
  expect(windows.size).toBe(1)
})
