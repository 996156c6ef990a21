import { describe, expect, test } from "vitest"
import { FrameNeeds } from "./frame-needs.ts"

const sealer = {}
const part = (frame: number | undefined, quality = 0) => ({ sealer, frame: frame as number, nSource: 4, layer: { quality } })

describe("what is worth sending again", () => {
  test("nothing that repair symbols make up for, one more than is needed beyond", () => {
    const needs = new FrameNeeds()
    for (const quality of [0, 0, 0, 0, 1, 2]) needs.sent(part(7, quality))
    expect(needs.missing({}, part(7), false)).toBe(false)
    expect(needs.missing({}, part(7), false)).toBe(true)
    expect(needs.missing({}, part(7), false)).toBe(true)
  })

  test("a message that is asked for twice is missing once", () => {
    const needs = new FrameNeeds()
    for (const quality of [0, 0, 0, 0, 1, 2]) needs.sent(part(7, quality))
    const message = {}
    expect(needs.missing(message, part(7), false)).toBe(false)
    expect(needs.missing(message, part(7), false)).toBe(false)
  })

  test("everything without repair, where there is room, and at a relay, which sees no frames", () => {
    const needs = new FrameNeeds()
    needs.sent(part(1))
    expect(needs.missing({}, part(1), false)).toBe(true)
    for (const quality of [0, 0, 0, 0, 1, 2]) needs.sent(part(2, quality))
    expect(needs.missing({}, part(2), true)).toBe(true)
    expect(needs.missing({}, { sealer, layer: { quality: 0 } }, false)).toBe(true)
  })
})
