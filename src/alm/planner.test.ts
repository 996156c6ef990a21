import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { BLINKING_DOT, UNCAPPED } from "../wire/layers.ts"
import { seeded } from "../wire/seeded.ts"
import { codeOf } from "../wire/testing.ts"
import { chooseBackup } from "./diversity.ts"
import { planJoin, planJoinForSubstream, rankCandidates } from "./planner.ts"
import { candidate, capacity, START } from "./test-parents.ts"
import type { ParentCandidate } from "./types.ts"

const now = BigInt(START)
const plan = (list: ParentCandidate[], bitrate = 1, policy = BLINKING_DOT, options = {}) =>
  planJoin(list, bitrate, policy, now, options)
const why = (list: ParentCandidate[], bitrate = 1, policy = BLINKING_DOT, options = {}) =>
  codeOf(() => plan(list, bitrate, policy, options))

/** A candidate whose advertisement differs. */
function relay(keyId: string, rttMs: number, change: Parameters<typeof capacity>[0]): ParentCandidate {
  return candidate(keyId, rttMs, { signedCapacity: { advertiserKeyId: keyId, capacity: capacity(change) } })
}
const stale = (keyId: string) => relay(keyId, 1, { measuredAtUnixMs: now - 30_000n })
const small = (keyId: string) => relay(keyId, 1, { maxLayerSupported: BLINKING_DOT })

describe("a plan", () => {
  it("has the nearest first and at most two backups; an unknown round trip is last", () => {
    const far = candidate("far", 0, { rttMsEstimate: undefined })
    const list = [far, candidate("c", 30), candidate("a", 10), candidate("b", 20)]
    expect(plan(list)).toEqual({ primaryParent: "a", backupParents: ["b", "c"], streamBitrateMbps: 1 })
    expect(plan([far]).primaryParent).toBe("far")
    expect(plan([far]).backupParents).toEqual([])
  })

  it("breaks ties by reachability and then by the bytes of the key id", () => {
    const list = [candidate("\u{1f600}", 5), candidate("\uff5e", 5), candidate("z", 5, { reachabilityRatio: 0.9 })]
    // As UTF-16 the emoji would come first.
    expect(plan(list)).toMatchObject({ primaryParent: "\uff5e", backupParents: ["\u{1f600}", "z"] })
  })

  it("leaves out the stale, the unreachable, the unknown, the full and who lacks layers", () => {
    const bad = [
      stale("old"),
      candidate("bad", 1, { reachabilityRatio: 0.49 }),
      candidate("nan", 1, { reachabilityRatio: Number.NaN }),
      candidate("unknown", 1, { reachabilityRatio: undefined }),
      candidate("full", 1, { currentSubscribers: 8 }),
      relay("slow", 1, { uplinkMbps: 0.5 }),
      small("low"),
    ]
    expect(plan([...bad, candidate("good", 99, { reachabilityRatio: 0.5 })], 1, UNCAPPED)).toMatchObject({
      primaryParent: "good",
      backupParents: [],
    })
    expect(why(bad, 1, UNCAPPED)).toBe("NoFeasibleParent")
  })

  it("says which filter alone explains that nobody is left", () => {
    expect(why([])).toBe("NoFeasibleParent")
    expect(why([stale("a"), stale("b")])).toBe("AllCandidatesStale")
    expect(why([small("a"), small("b")], 1, UNCAPPED)).toBe("NoCandidateSupportsLayerPolicy")
    // The stale one would carry the layers: two filters together, so the general error.
    expect(why([stale("a"), small("b")], 1, UNCAPPED)).toBe("NoFeasibleParent")
    expect(why([small("a")], Number.NaN)).toBe("CapacityInvalid")
  })

  it("excludes by name before anything else, and picks nobody twice", () => {
    expect(why([candidate("me", 1), stale("a")], 1, BLINKING_DOT, { exclude: ["me"] })).toBe("AllCandidatesStale")
    expect(why([candidate("me", 1)], 1, BLINKING_DOT, { exclude: ["me"] })).toBe("NoFeasibleParent")
    expect(plan([candidate("a", 1), candidate("a", 2), candidate("b", 3)]).backupParents).toEqual(["b"])
  })

  it("asks for no more layers than the stream has", () => {
    const option = { streamMaxLayer: { spatial: 0, temporal: 0, quality: 0 } }
    expect(plan([small("a")], 1, UNCAPPED, option).primaryParent).toBe("a")
  })

  it("for a sub-stream goes by the commitments", () => {
    const commitment = { subStreamPath: Uint8Array.of(0), uplinkBudgetMbps: 2, maxSubscribers: 1 }
    const special = relay("special", 90, { subStreamCommitments: [commitment] })
    const on = (path: number[], list: ParentCandidate[]) =>
      planJoinForSubstream(list, Uint8Array.from(path), 1, BLINKING_DOT, now).primaryParent
    expect(on([0], [special])).toBe("special")
    expect(codeOf(() => on([1], [special]))).toBe("NoFeasibleParent")
    expect(on([1], [special, candidate("general", 99)])).toBe("general")
  })

  it("finds each of four specialists for its quarter of the stream among general relays", () => {
    const paths = [
      [0, 0],
      [0, 1],
      [1, 0],
      [1, 1],
    ].map((path) => Uint8Array.from(path))
    const specialists = paths.map((subStreamPath, i) => {
      const subStreamCommitments = [{ subStreamPath, uplinkBudgetMbps: 5, maxSubscribers: 4 }]
      return relay(`special-${i}`, 10, { subStreamCommitments })
    })
    const general = Array.from({ length: 6 }, (_, i) => candidate(`general-${i}`, 50 + i))
    const primaries = paths.map(
      (path) => planJoinForSubstream([...general, ...specialists], path, 1, BLINKING_DOT, now).primaryParent,
    )
    expect(primaries).toEqual(["special-0", "special-1", "special-2", "special-3"])
  })

  it("is the same for every order of the input", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = seeded(seed)
        const list = Array.from({ length: 12 }, (_, i) =>
          candidate(`k${i}`, Math.floor(random() * 4), { reachabilityRatio: random() < 0.5 ? 0.6 : 1 }),
        )
        const shuffled = list.map((value) => ({ value, at: random() })).sort((a, b) => a.at - b.at)
        const names = (ranked: ParentCandidate[]) => ranked.map(({ signedCapacity }) => signedCapacity.advertiserKeyId)
        const rank = (input: ParentCandidate[]) => names(rankCandidates(input, 1, BLINKING_DOT, now))
        return JSON.stringify(rank(list)) === JSON.stringify(rank(shuffled.map(({ value }) => value)))
      }),
    )
  })
})

describe("the second parent", () => {
  const best = candidate("best", 100, { network: "192.0.2", upstream: "root" })
  const second = (...others: ParentCandidate[]) => chooseBackup(best, [best, ...others])?.signedCapacity.advertiserKeyId

  it("is an independent one within a fifth of the best round trip", () => {
    const same = candidate("same", 101, { network: "192.0.2" })
    const sibling = candidate("sibling", 105, { upstream: "root" })
    const child = candidate("child", 106, { upstream: "best" })
    expect(second(same, sibling, child, candidate("other", 120))).toBe("other")
    expect(second(same, sibling, child, candidate("other", 121))).toBe("same")
  })

  it("is nobody when there is nobody else", () => {
    expect(second()).toBeUndefined()
  })
})
