import { beforeEach, describe, expect, it } from "vitest"
import type { NatClass } from "../../rendezvous/nat/classify.ts"
import { DirectAttempts } from "./direct-attempts.ts"

const NODE = "00000000000000aa"
const around = {
  now: 0,
  classes: ["symmetric", "symmetric"] as [NatClass, NatClass],
  turn: false,
  routed: true,
}
let attempts: DirectAttempts
let links = 0
const fail = (reason = "connect-timeout") => {
  const link = `link-${++links}`
  attempts.answered(link, NODE)
  attempts.closed(link, reason)
}

beforeEach(() => {
  Object.assign(around, { now: 0, classes: ["symmetric", "symmetric"], turn: false, routed: true })
  attempts = new DirectAttempts({
    classes: () => around.classes,
    hasTurn: () => around.turn,
    isRouted: () => around.routed,
    now: () => around.now,
  })
})

describe("direct attempts", () => {
  it("are counted once both descriptions are there, until the link is up or closed", () => {
    attempts.closed("never answered", "connect-timeout")
    for (const link of ["a", "b", "c"]) attempts.answered(link, NODE)
    attempts.answered("a", NODE)
    attempts.succeeded("a")
    attempts.closed("a", "silence")
    attempts.closed("b", "ice-failed")
    attempts.closed("c", "local")
    expect(attempts.stats).toEqual({ attempted: 3, succeeded: 1, failed: { "ice-failed": 1 }, relayFallbacks: 1 })
    around.routed = false
    fail()
    expect(attempts.stats.relayFallbacks).toBe(1)
  })

  it("between two symmetric NATs are made once, and again ten minutes later, then twenty, at most an hour", () => {
    expect(attempts.isWorthIt(NODE)).toBe(true)
    const pauses = [10, 20, 40, 60, 60].map((minutes) => minutes * 60_000)
    for (const pause of pauses) {
      fail()
      around.now += pause - 1
      expect(attempts.isWorthIt(NODE)).toBe(false)
      around.now += 1
      expect(attempts.isWorthIt(NODE)).toBe(true)
    }
    expect(attempts.stats.relayFallbacks).toBe(10)
  })

  it("are always made where a TURN server, other classes, another network or a success may help", () => {
    fail()
    expect(attempts.isWorthIt(NODE)).toBe(false)
    around.turn = true
    expect(attempts.isWorthIt(NODE)).toBe(true)
    around.turn = false
    around.classes = ["symmetric", "cone"]
    expect(attempts.isWorthIt(NODE)).toBe(true)
    around.classes = ["symmetric", "unknown"]
    expect(attempts.isWorthIt(NODE)).toBe(true)
    around.classes = ["symmetric", "symmetric"]
    expect(attempts.isWorthIt(NODE)).toBe(false)
    attempts.networkChanged()
    expect(attempts.isWorthIt(NODE)).toBe(true)
    fail()
    attempts.answered("up", NODE)
    attempts.succeeded("up")
    expect(attempts.isWorthIt(NODE)).toBe(true)
  })
})
