import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type AddressBlock, addressFromText } from "../../wire/address.ts"
import {
  clampedOffsets,
  clampRetryAfterMs,
  clampTtlMs,
  classifyNat,
  type NatClass,
  type NatObservation,
  pairAction,
} from "./classify.ts"
import { NatSweep, type NatSweepAction } from "./sweep.ts"

const at = (host: string, port: number): AddressBlock => addressFromText(host, port)!
const seen = (observer: number, observerIp: string, mapped: AddressBlock): NatObservation => ({ observer, observerIp, mapped })
const none = { hostAddresses: [], override: false, dialBack: false }
const mapped = at("1.1.1.1", 50_000)
const shifted = at("1.1.1.1", 50_001)

describe("classification", () => {
  it("NAT-R9: needs two observers on two addresses for a cone, and any difference for symmetric", () => {
    const verdict = (...observations: NatObservation[]) => classifyNat({ ...none, observations })?.class ?? null
    expect(verdict()).toBeNull()
    expect(verdict(seen(1, "5.5.5.5", mapped))).toBeNull()
    expect(verdict(seen(1, "5.5.5.5", mapped), seen(2, "6.6.6.6", mapped))).toBe("cone")
    // NAT-R9: two ports of one machine are one witness.
    expect(verdict(seen(1, "5.5.5.5", mapped), seen(2, "5.5.5.5", mapped))).toBeNull()
    expect(verdict(seen(1, "5.5.5.5", mapped), seen(2, "5.5.5.5", shifted))).toBe("symmetric")
    // The latest word of one observer counts.
    expect(verdict(seen(1, "5.5.5.5", shifted), seen(1, "5.5.5.5", mapped), seen(2, "6.6.6.6", mapped))).toBe("cone")
    const six = at("2001:4860::1", 50_000)
    expect(verdict(seen(1, "5.5.5.5", six), seen(2, "6.6.6.6", six))).toBe("cone")
    expect(verdict(seen(1, "5.5.5.5", six), seen(2, "6.6.6.6", six), seen(3, "7.7.7.7", mapped))).toBeNull()
  })

  it("NAT-R8: calls a node open only after a dial-back, or on an operator's word", () => {
    const observations = [seen(1, "5.5.5.5", mapped), seen(2, "6.6.6.6", mapped)]
    const both = { observations, hostAddresses: [mapped], override: false }
    expect(classifyNat({ ...both, dialBack: false })?.class).toBe("cone")
    expect(classifyNat({ ...both, dialBack: true })).toEqual({ class: "open", reflex: mapped })
    expect(classifyNat({ ...both, hostAddresses: [shifted], dialBack: true })?.class).toBe("cone")
    expect(classifyNat({ ...none, observations: [], override: true })?.class).toBe("open")
  })

  it("does not depend on the order of distinct observers", () => {
    const one = fc.record({
      ip: fc.constantFrom("5.5.5.5", "6.6.6.6"),
      mapped: fc.constantFrom(mapped, shifted, at("2001:4860::1", 9)),
    })
    fc.assert(
      fc.property(fc.array(one, { maxLength: 5 }), fc.boolean(), (list, dialBack) => {
        const observations = list.map((o, i) => seen(i, o.ip, o.mapped))
        const run = (items: NatObservation[]) =>
          classifyNat({ ...none, hostAddresses: [mapped], dialBack, observations: items })?.class
        expect(run(observations)).toBe(run([...observations].reverse()))
      }),
      { numRuns: 10_000 },
    )
  })

  it("gives every pair its action", () => {
    const classes: NatClass[] = ["open", "cone", "symmetric", "unknown"]
    expect(classes.map((local) => classes.map((remote) => pairAction(local, remote)).join(" "))).toEqual([
      "direct direct single direct",
      "direct single single single",
      "single single skip skip",
      "direct single skip direct",
    ])
  })
})

describe("NAT-R3: times from a coordinator", () => {
  it("are held within bounds for any integer", () => {
    const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
    fc.assert(
      fc.property(u64, u64, u64, (fireAt, now, deadline) => {
        const [first, second, third] = clampedOffsets(fireAt, now, deadline)
        expect(first >= 0n && first <= deadline).toBe(true)
        expect(second >= first && third >= second && third <= 2n ** 64n - 1n).toBe(true)
      }),
      { numRuns: 10_000 },
    )
    expect(clampedOffsets(0n, 1_000n, 5_000n)).toEqual([0n, 100n, 250n])
    expect(clampedOffsets(3_000n, 1_000n, 5_000n)).toEqual([2_000n, 2_100n, 2_250n])
    expect(clampedOffsets(2n ** 64n - 1n, 0n, 5_000n)).toEqual([5_000n, 5_100n, 5_250n])
    expect(clampedOffsets(2n ** 64n - 1n, 0n, 2n ** 64n - 1n)).toEqual(Array(3).fill(2n ** 64n - 1n))
    expect([0, 4_000, 99_999_999n, 2n ** 53n, -1, 0.5, Number.NaN].map(clampTtlMs)).toEqual([
      1_000,
      4_000,
      10_000,
      undefined,
      undefined,
      undefined,
      undefined,
    ])
    expect([0, 70_000n, 2n ** 64n].map(clampRetryAfterMs)).toEqual([0, 60_000, undefined])
  })
})

describe("sweeps", () => {
  const make = () => new NatSweep({ intervalMs: 60_000, random: () => 0.5 })
  const types = (actions: NatSweepAction[]) => actions.map(({ type }) => type)
  const evidence = { hostAddresses: [], dialBack: false }
  function sweepOnce(nat: NatSweep, now: number, observations: NatObservation[]) {
    const [probe] = nat.networkChanged(now).length > 0 ? nat.tick(now + 10_000) : []
    if (probe?.type !== "probe") throw new Error("no probe")
    for (const observation of observations) nat.observe(probe.sweep, observation)
    return nat.finish(probe.sweep, evidence, now + 10_001)
  }

  it("NAT-R6: run one at a time and keep their distance", () => {
    const nat = make()
    expect(nat.request(0)).toEqual([{ type: "probe", sweep: 1 }])
    expect([nat.request(1), nat.running]).toEqual([[], true])
    nat.observe(2, seen(1, "5.5.5.5", mapped))
    nat.observe(1, seen(1, "5.5.5.5", mapped))
    nat.observe(1, seen(2, "6.6.6.6", mapped))
    expect(nat.finish(9, evidence, 2)).toEqual([])
    expect(nat.finish(1, evidence, 2)).toEqual([{ type: "done", state: { class: "cone", reflex: mapped }, changed: true }])
    expect(nat.request(5)).toEqual([])
    expect(nat.dueAt).toBe(10_000)
    expect(nat.tick(9_999)).toEqual([])
    expect(types(nat.tick(10_000))).toEqual(["probe"])
  })

  it("NAT-R7: never make a good class worse for want of evidence", () => {
    const nat = make()
    sweepOnce(nat, 0, [seen(1, "5.5.5.5", mapped), seen(2, "6.6.6.6", mapped)])
    const good = nat.state
    const again = nat.tick(nat.dueAt)
    expect(again).toEqual([{ type: "probe", sweep: 2 }])
    nat.observe(2, seen(1, "5.5.5.5", shifted))
    expect(nat.finish(2, evidence, 80_000)).toEqual([{ type: "done", state: good, changed: false }])
    const third = nat.tick(nat.dueAt)
    expect(types(third)).toEqual(["probe"])
    expect(types(nat.tick(nat.dueAt))).toEqual(["stop", "done"])
    expect(nat.state).toBe(good)
  })

  it("forget at a change of network, once for many of them", () => {
    const nat = make()
    sweepOnce(nat, 0, [seen(1, "5.5.5.5", mapped), seen(2, "6.6.6.6", shifted)])
    expect(nat.state.class).toBe("symmetric")
    expect(nat.networkChanged(50_000)).toMatchObject([{ type: "done", state: { class: "unknown" }, changed: true }])
    nat.networkChanged(51_000)
    expect(nat.dueAt).toBe(53_000)
    const [probe] = nat.tick(53_000)
    expect(probe?.type).toBe("probe")
    // What the old network's look still hears belongs to nothing.
    expect(types(nat.networkChanged(53_500))).toEqual(["stop", "done"])
    nat.observe(2, seen(1, "5.5.5.5", mapped))
    expect(nat.finish(2, evidence, 53_600)).toEqual([])
    expect(nat.state.class).toBe("unknown")
  })

  it("stand aside for an override, set at any moment", () => {
    const nat = make()
    nat.request(0)
    expect(types(nat.setOverride(mapped, 1))).toEqual(["stop", "done"])
    expect(nat.state).toEqual({ class: "open", reflex: mapped })
    expect(nat.finish(1, evidence, 2)).toEqual([])
    expect(types(nat.request(20_000))).toEqual(["done"])
    expect(nat.dueAt).toBe(Number.POSITIVE_INFINITY)
    nat.setOverride(undefined, 30_000)
    expect([nat.state.class, types(nat.tick(30_000))]).toEqual(["unknown", ["probe"]])
  })
})
