import { describe, expect, test } from "vitest"
import type { ReceiveStats } from "../pipeline/receive/types.ts"
import { DecodeWatch } from "./decode-watch.ts"

/** One stream, a second per look. */
function stream(watch = new DecodeWatch()) {
  let [frames, decodedFrames, now] = [0, 0, 0]
  return (came: number, decoded: number, decodeMs: number, { hidden = false, ms = 1_000 } = {}) => {
    frames += came
    decodedFrames += decoded
    now += ms
    return watch.look([{ streamKey: "a", kind: "video", frames, decodedFrames, decodeMs } as ReceiveStats], hidden, now)
  }
}

describe("DecodeWatch", () => {
  test("three looks behind in a row", () => {
    const look = stream()
    look(30, 30, 10)
    expect(look(30, 20, 200)).toEqual([])
    expect(look(30, 20, 200)).toEqual([])
    expect(look(30, 20, 200)).toEqual(["a"])
    // The smaller picture gets its own three looks.
    expect(look(30, 20, 200)).toEqual([])
  })

  test("a decoder that is only slow to answer keeps up", () => {
    const look = stream()
    for (let second = 0; second < 10; second++) expect(look(30, 30, 200)).toEqual([])
  })

  test("frames that are not fed because others are missing are the path's fault", () => {
    const look = stream()
    for (let second = 0; second < 10; second++) expect(look(30, 15, 8)).toEqual([])
  })

  test("a busy moment, a hidden page, a sleep, a still picture", () => {
    const look = stream()
    look(30, 30, 10)
    for (let turn = 0; turn < 5; turn++) {
      expect(look(30, 10, 200)).toEqual([])
      expect(look(30, 10, 200)).toEqual([])
      expect(look(30, 30, 10)).toEqual([])
    }
    for (let turn = 0; turn < 5; turn++) expect(look(30, 10, 200, { hidden: true })).toEqual([])
    for (let turn = 0; turn < 5; turn++) expect(look(300, 10, 200, { ms: 10_000 })).toEqual([])
    for (let turn = 0; turn < 5; turn++) expect(look(2, 0, 2_000)).toEqual([])
  })
})
