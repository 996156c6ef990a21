import { describe, expect, test } from "vitest"
import { HOLD_MS, HOLD_STREAM_BYTES, HOLD_TOTAL_BYTES, HoldQueue } from "./hold.ts"

function chunk(streamKey: string, epoch: bigint, heldAt: number, length = 1_000) {
  return { streamKey, epoch, heldAt, innerChunk: new Uint8Array(length) }
}

describe("hold queue", () => {
  test("gives back the chunks of one epoch in order", () => {
    const hold = new HoldQueue()
    const [first, other, second] = [chunk("a", 2n, 0), chunk("a", 3n, 1), chunk("b", 2n, 2)]
    for (const held of [first, other, second]) expect(hold.add(held)).toBe(true)
    expect(hold.release(2n)).toEqual([first, second])
    expect(hold.release(2n)).toEqual([])
    expect([hold.count("a"), hold.count("b")]).toEqual([1, 0])
  })

  test("is bounded per stream and in all, tiny chunks included, and takes more after a release", () => {
    const hold = new HoldQueue()
    const fill = (stream: string, length: number) => {
      let bytes = 0
      while (hold.add(chunk(stream, 1n, 0, length))) bytes += length
      return bytes
    }
    expect(fill("a", 1_000)).toBeLessThanOrEqual(HOLD_STREAM_BYTES)
    expect(fill("b", 0)).toBe(0)
    expect(hold.count("b")).toBeLessThanOrEqual(HOLD_STREAM_BYTES / 256)
    let total = 0
    for (let i = 0; i < 10; i++) total += fill(`s${i}`, 10_000)
    expect(total).toBeLessThanOrEqual(HOLD_TOTAL_BYTES)
    expect(hold.add(chunk("new", 1n, 0))).toBe(false)
    hold.release(1n)
    expect(hold.add(chunk("a", 1n, 0))).toBe(true)
  })

  test("lets old chunks go, and those of a stream that ended", () => {
    const hold = new HoldQueue()
    hold.add(chunk("a", 1n, 0))
    hold.add(chunk("a", 1n, 500))
    expect(hold.expire(HOLD_MS)).toHaveLength(0)
    expect(hold.expire(HOLD_MS + 1)).toHaveLength(1)
    hold.forget("a")
    expect(hold.count("a")).toBe(0)
    expect(hold.release(1n)).toEqual([])
  })
})
