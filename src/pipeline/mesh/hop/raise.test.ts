import { describe, expect, test } from "vitest"
import { BLINKING_DOT, UNCAPPED } from "../../../wire/layers.ts"
import type { ReceiverLayerPolicy } from "../../../wire/types.ts"
import type { Subscriber } from "./fanout.ts"
import { PolicyRaises } from "./raise.ts"
import { RateProbe } from "./rate-probe.ts"

/** A subscriber over a link with this target; only what a raise looks at. */
function subscriber(target: number, policy: ReceiverLayerPolicy) {
  const probe = new RateProbe()
  const link = { closed: false, sender: { probe, rate: { target, mode: "steady" } } }
  return { probe, link, subscriber: { peer: "p", policy, link } as unknown as Subscriber }
}

describe("a raise", () => {
  test("is done at once where the link has room, and so is every cut", () => {
    const raises = new PolicyRaises()
    const { subscriber: roomy } = subscriber(900_000, BLINKING_DOT)
    raises.set(roomy, UNCAPPED, 500_000, 0)
    expect(roomy.policy).toBe(UNCAPPED)
    const { subscriber: tight } = subscriber(100_000, UNCAPPED)
    raises.set(tight, BLINKING_DOT, 500_000, 0)
    expect(tight.policy).toBe(BLINKING_DOT)
  })

  test("waits for a probe, which adds at most half", () => {
    const raises = new PolicyRaises()
    const { subscriber: tight, probe } = subscriber(500_000, BLINKING_DOT)
    raises.set(tight, UNCAPPED, 2_000_000, 0)
    expect(tight.policy).toBe(BLINKING_DOT)
    expect(probe.extra(10)).toBe(250_000)
    probe.report(5, "steady", 500)
    expect(tight.policy).toBe(BLINKING_DOT)
    expect(probe.extra(1_000)).toBe(0)
    probe.report(5, "steady", 1_000)
    expect(tight.policy).toBe(UNCAPPED)
  })

  test("fails when a queue builds up or somebody competes, and is tried again ten seconds later", () => {
    const raises = new PolicyRaises()
    const { subscriber: tight, probe } = subscriber(500_000, BLINKING_DOT)
    raises.set(tight, UNCAPPED, 500_000, 0)
    probe.report(25, "steady", 300)
    expect(probe.running(310)).toBe(false)
    raises.tick(500_000, 9_000)
    expect(probe.running(9_001)).toBe(false)
    raises.tick(500_000, 10_000)
    expect(probe.running(10_001)).toBe(true)
    probe.report(3, "compete", 10_100)
    expect(tight.policy).toBe(BLINKING_DOT)
  })

  test("is forgotten with its subscription, its link, or a later wish", () => {
    const raises = new PolicyRaises()
    const gone = subscriber(500_000, BLINKING_DOT)
    raises.set(gone.subscriber, UNCAPPED, 500_000, 0)
    raises.forget(gone.subscriber)
    gone.probe.report(0, "steady", 1_000)
    const closed = subscriber(500_000, BLINKING_DOT)
    raises.set(closed.subscriber, UNCAPPED, 500_000, 0)
    closed.link.closed = true
    raises.tick(500_000, 20)
    closed.probe.report(0, "steady", 1_000)
    const changed = subscriber(500_000, BLINKING_DOT)
    raises.set(changed.subscriber, UNCAPPED, 500_000, 0)
    raises.set(changed.subscriber, BLINKING_DOT, 500_000, 0)
    changed.probe.report(0, "steady", 1_000)
    for (const { subscriber: each } of [gone, closed, changed]) expect(each.policy).toBe(BLINKING_DOT)
  })
})
