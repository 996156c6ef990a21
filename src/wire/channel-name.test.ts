/** Channel names, and node ids as people write them. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { canonicalChannelName, isCanonicalChannelName, isQueueGroup, queueGroupChannel } from "./channel-name.ts"
import { isAvError } from "./errors.ts"
import { parseNodeId } from "./node-id.ts"
import { codeOf, FUZZ_RUNS } from "./testing.ts"

describe("channel names (control-plane 5.1)", () => {
  test("CHAN-R8: spellings of one name meet", () => {
    expect(canonicalChannelName("AV/Room-1")).toBe(canonicalChannelName("av/room-1"))
  })

  test("letters that only look like ASCII do not meet them", () => {
    for (const look of ["\u212a", "\u0130", "ａ", "с"]) expect(codeOf(() => canonicalChannelName(look))).toBe("InvalidChar")
  })

  test("queue groups: one segment, a channel of their own that callers cannot name", () => {
    expect(queueGroupChannel("a/b", "w")).toBe("a/b/qg/w")
    expect(codeOf(() => canonicalChannelName("a/b/qg/w"))).toBe("Reserved")
    expect(queueGroupChannel("a".repeat(250), "w1")).toBeUndefined()
    expect([isQueueGroup("w"), isQueueGroup("a/b"), isQueueGroup("W"), isQueueGroup("a".repeat(65))]).toEqual([
      true,
      false,
      false,
      false,
    ])
  })

  test("any text: a canonical name or a typed error; canonical names stay as they are and never differ in case only", () => {
    const text = fc.oneof(
      fc.string({ unit: "binary", maxLength: 20 }),
      fc.string({ unit: fc.constantFrom(..."aAbB09-_./qg \u212a"), maxLength: 270 }),
    )
    fc.assert(
      fc.property(text, (input) => {
        let name: string
        try {
          name = canonicalChannelName(input)
        } catch (error) {
          return isAvError(error) && !isCanonicalChannelName(input)
        }
        const stays = canonicalChannelName(name) === name && isCanonicalChannelName(name)
        return stays && /^[a-z0-9\-_./]{1,255}$/.test(name) && name === input.toLowerCase()
      }),
      { numRuns: FUZZ_RUNS },
    )
  })
})

test("ID-R1: node ids as people write them", () => {
  expect(parseNodeId("652f03ba688dde03")).toBe("652f03ba688dde03")
  expect(parseNodeId("652F03BA688DDE03")).toBe("652f03ba688dde03")
  expect(parseNodeId("0x2a")).toBe("000000000000002a")
  expect(parseNodeId("42")).toBe("000000000000002a")
  // Sixteen digits are hex, also when they could be decimal.
  expect(parseNodeId("0000000000000042")).toBe("0000000000000042")
  for (const bad of [
    "",
    "0",
    "0x0",
    "0000000000000000",
    "042",
    "-1",
    "1e3",
    " 1",
    "18446744073709551616",
    "0x12345678901234567",
    "xyz",
  ]) {
    expect(parseNodeId(bad)).toBeUndefined()
  }
})
