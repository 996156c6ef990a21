import { expect, test } from "vitest"
import { cells, placeIn } from "./layout.ts"

test("pictures lie beside each other without overlap, inside the frame, and as large as can be", () => {
  for (let count = 1; count <= 17; count++) {
    const boxes = cells(count, 1280, 720)
    expect(boxes).toHaveLength(count)
    for (const [i, a] of boxes.entries()) {
      expect(a.x).toBeGreaterThanOrEqual(0)
      expect(a.x + a.width).toBeLessThanOrEqual(1280.001)
      expect(a.y + a.height).toBeLessThanOrEqual(720.001)
      for (const b of boxes.slice(i + 1)) {
        const apart = a.x + a.width <= b.x + 0.001 || b.x + b.width <= a.x + 0.001 || a.y + a.height <= b.y + 0.001
        expect(apart).toBe(true)
      }
    }
  }
  expect(cells(2, 1280, 720)[0]).toMatchObject({ width: 640, height: 720 })
  expect(cells(4, 1280, 720)[3]).toEqual({ x: 640, y: 360, width: 640, height: 360 })
  expect(cells(3, 1280, 720)[2]).toEqual({ x: 320, y: 360, width: 640, height: 360 })
})

test("a picture keeps its shape and sits in the middle of its cell", () => {
  expect(placeIn(100, 100, { x: 10, y: 0, width: 200, height: 100 })).toEqual({ x: 60, y: 0, width: 100, height: 100 })
})
