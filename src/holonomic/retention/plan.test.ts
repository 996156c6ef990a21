/** The plan converges: it is the same on every peer, surplus goes, what is missing comes, and nothing is lost on the way. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { compareBytes } from "../../wire/bytes.ts"
import { ejectionRank } from "../claims/digests.ts"
import { type RetentionPlanInput, retentionPlan } from "./plan.ts"
import { RankTable } from "./ranks.ts"

const POLICY = { nSource: 20, kRepair: 6, targetHolders: 30 }
const all = Array.from({ length: 26 }, (_, i) => i)
type Holdings = Map<string, readonly number[]>

/** Every peer acts on its plan at once. */
function step(holdings: Holdings, livePeers: readonly string[], policy = POLICY): { next: Holdings; moved: number } {
  const next: Holdings = new Map()
  let moved = 0
  for (const localPeer of livePeers) {
    const plan = retentionPlan({ contentId: "c", policy, consent: "Active", localPeer, holdings, livePeers })
    const kept = (holdings.get(localPeer) ?? []).filter((id) => !plan.trim.includes(id))
    next.set(localPeer, [...kept, ...plan.adopt])
    moved += plan.trim.length + plan.adopt.length
  }
  return { next, moved }
}

const peers = (count: number) => Array.from({ length: count }, (_, i) => `p${i}`)
const distinct = (holdings: Holdings, without = "") =>
  new Set([...holdings].flatMap(([peer, ids]) => (peer === without ? [] : ids))).size

test("in a call of five each of the others keeps seven or eight, and the publisher may leave", () => {
  const live = ["publisher", ...peers(4)]
  const { next } = step(new Map([["publisher", all]]), live)
  expect(
    live
      .slice(1)
      .map((peer) => next.get(peer)!.length)
      .sort(),
  ).toEqual([7, 7, 8, 8])
  expect(distinct(next, "publisher")).toBe(26)
  expect(step(next, live).moved).toBe(0)
})

test("fifty peers end with thirty holders of one symbol each, and then nothing moves", () => {
  const live = ["publisher", ...peers(50)]
  const { next } = step(new Map([["publisher", all]]), live)
  const holders = live.slice(1).filter((peer) => next.get(peer)!.length > 0)
  expect(holders).toHaveLength(30)
  expect(step(next, live).moved).toBe(0)
  // Ten of the holders leave: their symbols come again.
  const left = new Map([...next].filter(([peer]) => !holders.slice(0, 10).includes(peer)))
  const healed = step(left, [...left.keys()]).next
  expect(distinct(healed, "publisher")).toBe(26)
  expect(step(healed, [...left.keys()]).moved).toBe(0)
})

test("of ninety holders the surplus goes, at once and without losing a symbol", () => {
  const live = ["publisher", ...peers(90)]
  const crowded: Holdings = new Map([["publisher", all]])
  for (const [i, peer] of peers(90).entries()) crowded.set(peer, [i % 26])
  const { next } = step(crowded, live)
  expect([...next].filter(([peer, ids]) => peer !== "publisher" && ids.length > 0)).toHaveLength(30)
  expect(distinct(next, "publisher")).toBe(26)
  expect(step(next, live).moved).toBe(0)
})

test("consent comes first", () => {
  const input = { contentId: "c", policy: POLICY, localPeer: "a", holdings: new Map([["a", [1]]]), livePeers: ["a", "b"] }
  const nothing = { trim: [], adopt: [], rare: [] }
  expect(retentionPlan({ ...input, consent: "Revoked" })).toEqual({ evict: "revoked", ...nothing })
  expect(retentionPlan({ ...input, consent: "Unknown" })).toEqual({ evict: "unknown", ...nothing })
})

test("neither the order of what is known nor symbols out of range matter, and a plan never drops a last copy", () => {
  const room = fc.record({
    count: fc.integer({ min: 1, max: 12 }),
    held: fc.array(fc.tuple(fc.integer({ min: 0, max: 11 }), fc.integer({ min: 0, max: 8 })), { maxLength: 60 }),
    seed: fc.integer(),
  })
  fc.assert(
    fc.property(room, ({ count, held }) => {
      const policy = { nSource: 4, kRepair: 1, targetHolders: 6 }
      const live = peers(count)
      const holdings: Holdings = new Map()
      for (const [peer, id] of held) {
        const name = `p${peer}`
        holdings.set(name, [...(holdings.get(name) ?? []), id])
      }
      const backwards: Holdings = new Map([...holdings].reverse().map(([peer, ids]) => [peer, ids.toReversed()]))
      const input = (localPeer: string): RetentionPlanInput => ({
        contentId: "c",
        policy,
        consent: "Active",
        localPeer,
        holdings,
        livePeers: live,
      })
      const dropped = live.map((peer) => retentionPlan(input(peer)))
      const again = live.map((peer) => retentionPlan({ ...input(peer), holdings: backwards, livePeers: live.toReversed() }))
      expect(again).toEqual(dropped)
      const { next } = step(new Map([...holdings].filter(([peer]) => live.includes(peer))), live, policy)
      const before = new Set(
        [...holdings].filter(([peer]) => live.includes(peer)).flatMap(([, ids]) => ids.filter((id) => id < 5)),
      )
      for (const id of before) expect([...next.values()].some((ids) => ids.includes(id))).toBe(true)
    }),
    { numRuns: 500 },
  )
})

test("ranks kept from plan to plan change none of them, also when there are too many to keep", () => {
  const ranks = new RankTable()
  const names = peers(110)
  const order = (contentId: string, table = new RankTable()) => [0, 25, 40].map((id) => table.order(contentId, id, names))
  for (let i = 0; i < 400; i++) ranks.order(`c${i % 200}`, i % 26, names)
  for (const contentId of ["c0", "c199", "new"]) expect(order(contentId, ranks)).toEqual(order(contentId))
  for (const id of [0, 25]) {
    const [first, second] = ranks.order("c1", id, names).map((peer) => ejectionRank("c1", id, peer))
    expect(compareBytes(first!, second!)).toBeLessThan(0)
  }
  const holdings = new Map(names.map((peer, i) => [peer, i % 3 === 0 ? [i % 26] : []]))
  for (const localPeer of names.slice(0, 30)) {
    const input = { contentId: "c7", policy: POLICY, consent: "Active" as const, localPeer, holdings, livePeers: names }
    expect(retentionPlan({ ...input, ranks })).toEqual(retentionPlan(input))
  }
})
