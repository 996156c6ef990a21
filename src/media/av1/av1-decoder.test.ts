import fc from "fast-check"
import createModule from "ogv/dist/ogv-decoder-video-av1-simd-wasm.js"
import { describe, expect, test } from "vitest"
import { Av1Decoder, type Av1Picture } from "./av1-decoder.ts"
import { av1WasmFile, clipUnits } from "./test-clip.ts"

const load = () => Av1Decoder.load(createModule, av1WasmFile())
const failed = expect.objectContaining({ code: "MediaDecodeFailed" })

/** Y, U and V at a place of the shown picture. */
function colourAt({ data, layout, visible }: Av1Picture, x: number, y: number): number[] {
  const at = (plane: number, column: number, row: number) => data[layout[plane]!.offset + row * layout[plane]!.stride + column]!
  const [left, top] = [visible.x + x, visible.y + y]
  return [at(0, left, top), at(1, left >> 1, top >> 1), at(2, left >> 1, top >> 1)]
}

describe("Av1Decoder", () => {
  test("decodes what libaom made", async () => {
    const decoder = await load()
    for (const unit of clipUnits()) {
      const picture = decoder.decode(unit)!
      expect(picture.visible).toEqual({ x: 0, y: 0, width: 64, height: 36 })
      // BT.601 video range: pure blue is 41 240 110, pure red is 81 90 240.
      for (const [x, wanted] of [
        [8, [41, 240, 110]],
        [56, [81, 90, 240]],
      ] as const) {
        for (const [plane, value] of colourAt(picture, x, 18).entries()) expect(Math.abs(value - wanted[plane]!)).toBeLessThan(8)
      }
    }
  })

  test("a picture stays as it is when the next one is decoded", async () => {
    const decoder = await load()
    const [first, second] = clipUnits()
    const picture = decoder.decode(first!)!
    const before = picture.data.slice()
    decoder.decode(second!)
    expect(picture.data).toEqual(before)
  })

  test("without its keyframe a unit fails with a name, and the next keyframe mends it", async () => {
    const decoder = await load()
    const [key, next] = clipUnits()
    expect(() => decoder.decode(next!)).toThrow(failed)
    expect(decoder.decode(key!)).toBeDefined()
    expect(decoder.decode(next!)).toBeDefined()
  })

  test("whatever comes is decoded or refused with a name, and a good keyframe is decoded afterwards", async () => {
    const [key] = clipUnits()
    let decoder = await load()
    const bent = fc
      .array(fc.tuple(fc.nat(key!.length - 1), fc.nat(255)), { minLength: 1, maxLength: 8 })
      .map((changes) => changes.reduce((unit, [at, value]) => unit.with(at, value), key!.slice()))
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.uint8Array({ maxLength: 400 }), bent), async (unit) => {
        try {
          decoder.decode(Uint8Array.from(unit))
        } catch (error) {
          expect(error).toEqual(failed)
          // After the module itself gave up, a new one is needed, as the receiver makes it.
          decoder = await load()
        }
        expect(decoder.decode(key!)?.visible.width).toBe(64)
      }),
      { numRuns: 25 },
    )
  })

  test("no WebAssembly, no decoder", async () => {
    await expect(Av1Decoder.load(createModule, Uint8Array.of(1, 2, 3))).rejects.toMatchObject({ code: "MediaUnsupported" })
    const decoder = await load()
    decoder.close()
    expect(() => decoder.decode(clipUnits()[0]!)).toThrow(expect.objectContaining({ code: "HandleClosedError" }))
  })
})
