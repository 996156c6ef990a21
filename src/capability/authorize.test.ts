/** The gates: who may use what, asked by the caller and by the callee. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import type { NodeId } from "../wire/types.ts"
import { mayExecute, mayExecuteBatch, type PolicyView, restrictMembership } from "./authorize.ts"
import { CapabilityCounters } from "./counters.ts"
import { callerGate, type ServiceIndex } from "./gates.ts"
import { parseMembership, serviceTag } from "./tags.ts"

interface Entry {
  tags: string[]
  nodes: NodeId[]
  subnets: number[]
  groups: number[]
  strict: boolean
  provenSubnets: number[]
  provenGroups: number[]
  expires: number
}

const NODES = [1, 2, 3, 4].map((n) => `000000000000000${n}`)
const subnet = (n: number) => new Uint8Array(16).fill(n)
const group = (n: number) => new Uint8Array(32).fill(n)
const subnetTag = (n: number) => `subnet:${n.toString(16).padStart(2, "0").repeat(16)}`
const groupTag = (n: number) => `group:${n.toString(16).padStart(2, "0").repeat(32)}`

function world(entries: Record<NodeId, Partial<Entry>>): ServiceIndex {
  const view = (node: NodeId, now: number): PolicyView | undefined => {
    const entry = entries[node]
    if (entry === undefined || now >= (entry.expires ?? 100)) return undefined
    const declared = parseMembership(entry.tags ?? [])
    return {
      hasTag: (tag) => entry.tags?.includes(tag) === true,
      allowedNodes: entry.nodes ?? [],
      allowedSubnets: (entry.subnets ?? []).map(subnet),
      allowedGroups: (entry.groups ?? []).map(group),
      strict: entry.strict === true,
      declared,
      proven: () => restrictMembership(declared, (entry.provenSubnets ?? []).map(subnet), (entry.provenGroups ?? []).map(group)),
    }
  }
  const findServiceNodes: ServiceIndex["findServiceNodes"] = (service, now, options) =>
    Object.keys(entries)
      .filter(
        (node) =>
          view(node, now)?.hasTag(serviceTag(service)) === true && (options?.includeSelf === true || node !== options?.self),
      )
      .sort()
  return { view, findServiceNodes }
}

const entryOf: fc.Arbitrary<Entry> = fc.record({
  tags: fc.subarray(["nrpc:a", subnetTag(1), subnetTag(2), groupTag(1), groupTag(2)]),
  nodes: fc.subarray(NODES),
  subnets: fc.subarray([1, 2]),
  groups: fc.subarray([1, 2, 3]),
  strict: fc.boolean(),
  provenSubnets: fc.subarray([1, 2]),
  provenGroups: fc.subarray([1, 2]),
  expires: fc.constantFrom(10, 100),
})
const entriesOf = fc.tuple(entryOf, entryOf, entryOf).map((list) => Object.fromEntries(list.map((entry, i) => [NODES[i], entry])))

/** The rules of 3.1, read once more and written as sets of words. */
function oracle(entries: Record<NodeId, Entry>, target: NodeId, caller: NodeId, now: number): boolean {
  const t = entries[target]
  if (t === undefined || now >= t.expires || !t.tags.includes("nrpc:a")) return false
  if (caller === target || t.nodes.length + t.subnets.length + t.groups.length === 0 || t.nodes.includes(caller)) return true
  const c = entries[caller]
  if (c === undefined || now >= c.expires) return false
  const subnets = [1, 2].filter((n) => c.tags.includes(subnetTag(n)) && (!t.strict || c.provenSubnets.includes(n)))
  const declared = [1, 2].filter((n) => c.tags.includes(subnetTag(n)))
  const groups = [1, 2].filter((n) => c.tags.includes(groupTag(n)) && (!t.strict || c.provenGroups.includes(n)))
  return (declared.length === 1 && subnets.some((n) => t.subnets.includes(n))) || groups.some((n) => t.groups.includes(n))
}

describe("mayExecute (3.1)", () => {
  test("equals the oracle; a batch gives the single verdicts", () => {
    fc.assert(
      fc.property(entriesOf, fc.constantFrom(5, 50), (entries, now) => {
        const index = world(entries)
        for (const caller of NODES) {
          const verdicts = mayExecuteBatch(index, NODES, "nrpc:a", caller, now)
          for (const [i, target] of NODES.entries()) {
            const expected = oracle(entries, target, caller, now)
            expect([mayExecute(index, target, "nrpc:a", caller, now), verdicts[i]]).toEqual([expected, expected])
          }
        }
      }),
      { numRuns: 1_000 },
    )
  })

  test("adding an entry to a list of a restricted node never turns a yes into a no", () => {
    fc.assert(
      fc.property(
        entriesOf,
        fc.constantFrom(...NODES),
        fc.constantFrom<"nodes" | "subnets" | "groups">("nodes", "subnets", "groups"),
        (entries, caller, list) => {
          const target = NODES[0] as NodeId
          const entry = entries[target] as Entry
          fc.pre(entry.nodes.length + entry.subnets.length + entry.groups.length > 0)
          const before = mayExecute(world(entries), target, "nrpc:a", caller, 5)
          const wider = { ...entry, [list]: list === "nodes" ? NODES : [1, 2, 3] }
          const after = mayExecute(world({ ...entries, [target]: wider }), target, "nrpc:a", caller, 5)
          expect(before && !after).toBe(false)
        },
      ),
      { numRuns: 1_000 },
    )
  })

  test("D15: a node may always use what it offers itself, and nothing else", () => {
    const index = world({ [NODES[0] as NodeId]: { tags: ["nrpc:a"], nodes: [NODES[1] as NodeId] } })
    expect(mayExecute(index, NODES[0] as NodeId, "nrpc:a", NODES[0] as NodeId, 0)).toBe(true)
    expect(mayExecute(index, NODES[0] as NodeId, "nrpc:b", NODES[0] as NodeId, 0)).toBe(false)
  })
})

describe("the caller's gate (3.2)", () => {
  const [a, b, c, me] = NODES as [NodeId, NodeId, NodeId, NodeId]

  test("AUTH-R4, R5: only nodes that admit us; all refuse: denied; nobody offers: no route", () => {
    const counters = new CapabilityCounters()
    const refusing = { tags: ["nrpc:a"], nodes: [c] }
    const some = world({ [a]: refusing, [b]: { tags: ["nrpc:a"], nodes: [me] }, [c]: refusing })
    expect(callerGate(some, "a", { self: me }, 0, counters)).toEqual({ kind: "candidates", nodes: [b] })
    const none = world({ [c]: refusing, [b]: refusing, [me]: { tags: ["nrpc:a"] } })
    expect(callerGate(none, "b", { self: me }, 0, counters)).toEqual({ kind: "no-route" })
    expect(counters.deniedCallerSide).toBe(0)
    expect(callerGate(none, "a", { self: me }, 0, counters)).toEqual({ kind: "capability-denied", target: b, capability: "a" })
    expect(counters.deniedCallerSide).toBe(1)
    expect(callerGate(none, "a", { self: me, includeSelf: true }, 0, counters)).toEqual({ kind: "candidates", nodes: [me] })
  })

  test("unavailable nodes are left out before anybody is named", () => {
    const index = world({ [a]: { tags: ["nrpc:a"] }, [b]: { tags: ["nrpc:a"], nodes: [c] } })
    const isUnhealthy = (node: NodeId) => node === a
    expect(callerGate(index, "a", { self: me, isUnhealthy }, 0)).toMatchObject({ kind: "capability-denied", target: b })
    expect(callerGate(index, "a", { self: me, isUnhealthy, filterUnhealthy: false }, 0)).toEqual({
      kind: "candidates",
      nodes: [a],
    })
    expect(callerGate(index, "a", { self: me, isUnhealthy: () => true }, 0)).toEqual({ kind: "no-route" })
  })
})
