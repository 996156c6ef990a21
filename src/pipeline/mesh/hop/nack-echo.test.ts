import { describe, expect, test } from "vitest"
import { NackEcho } from "./nack-echo.ts"

const nack = (lane: number) => Uint8Array.of(0x12, lane, 1, 0, 0, 0, 7)

describe("requests that go out again", () => {
  test.each([
    [0.02, []],
    [0.05, [8]],
    [0.1, [8, 16]],
  ])("at a loss of %d after so many ms: %j", (loss, times) => {
    const echo = new NackEcho()
    echo.asked(nack(2), loss, 1_000)
    const heard: number[] = []
    for (let now = 1_000; now < 1_100; now++) heard.push(...echo.due(now).map(() => now - 1_000))
    expect(heard).toEqual(times)
  })

  test("as they were, in the order they were made", () => {
    const echo = new NackEcho()
    echo.asked(nack(2), 0.05, 0)
    echo.asked(nack(3), 0.05, 1)
    expect(echo.due(7)).toEqual([])
    expect(echo.due(20)).toEqual([nack(2), nack(3)])
    expect(echo.due(40)).toEqual([])
  })

  test("a flood of them is bounded", () => {
    const echo = new NackEcho()
    for (let count = 0; count < 10_000; count++) echo.asked(nack(2), 0.5, 0)
    expect(echo.due(100).length).toBe(128)
  })
})
