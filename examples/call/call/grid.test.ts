import { describe, expect, test } from "vitest"
import { bestLayout } from "./grid.ts"

describe("layout of the tiles", () => {
  test.each([
    [1, 1280, 650, 1],
    [2, 1280, 650, 2],
    [4, 1280, 650, 2],
    [9, 1280, 650, 3],
    [2, 355, 660, 1],
    [4, 355, 660, 2],
    [4, 720, 240, 2],
  ])("%i tiles in %i by %i stand in %i columns", (count, width, height, columns) => {
    expect(bestLayout(count, width, height).columns).toBe(columns)
  })

  test("everything fits, and nobody is cut to a slit", () => {
    for (let count = 1; count <= 25; count++) {
      for (const [width, height] of [
        [1280, 650],
        [355, 660],
        [740, 240],
        [200, 700],
      ] as const) {
        const tile = bestLayout(count, width, height)
        const rows = Math.ceil(count / tile.columns)
        expect(tile.columns * tile.width + (tile.columns - 1) * 10).toBeLessThanOrEqual(width)
        expect(rows * tile.height + (rows - 1) * 10).toBeLessThanOrEqual(height)
        expect(tile.width / tile.height).toBeGreaterThan(0.7)
        expect(tile.width / tile.height).toBeLessThan(1.9)
      }
    }
  })

  test("no space gives no size instead of a negative one", () => {
    expect(bestLayout(3, 0, 0)).toEqual({ columns: 1, width: 0, height: 0 })
  })
})
