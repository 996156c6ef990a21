import { describe, expect, it } from "vitest"
import { DedupRing } from "../seal/inner/dedup.ts"
import { type HealAction, MultiParentSubscription } from "./heal.ts"
import { START } from "./test-parents.ts"

const id = new Uint8Array(32)
const make = (primaryParent: string | undefined, ...backupParents: string[]) =>
  new MultiParentSubscription(id, Uint8Array.of(0, 1), { primaryParent, backupParents }, START, new DedupRing())
const texts = (actions: HealAction[]) => actions.map((action) => (action.kind === "reParent" ? action.dead : "rebuild"))

describe("liveness", () => {
  it("starts with the subscription, so that a real clock kills nobody", () => {
    const subscription = make("a", "b")
    expect(subscription.tick(START)).toEqual([])
    expect(subscription.tick(START + 1_500)).toEqual([])
    expect(texts(subscription.tick(START + 1_501))).toEqual(["a", "b", "rebuild"])
  })

  it("reports a silent parent alone while another is heard, and again with a growing pause", () => {
    const subscription = make("a", "b")
    const reports: number[] = []
    for (let now = START + 100; now <= START + 20_000; now += 50) {
      subscription.heard("b", now)
      if (texts(subscription.tick(now)).includes("a")) reports.push(now - START)
      expect(texts(subscription.tick(now))).not.toContain("rebuild")
    }
    // The same time asked twice gives the same answer, so every report was seen.
    expect(reports).toEqual([1_550, 1_800, 2_300, 3_300, 5_300, 9_300, 13_300, 17_300])
    subscription.heard("a", START + 20_000)
    expect(subscription.tick(START + 20_000)).toEqual([])
  })

  it("asks for a rebuild also when nobody is left", () => {
    const subscription = make("a")
    subscription.removeParent("a", START)
    expect(subscription.primaryParent).toBeUndefined()
    expect(texts(subscription.tick(START))).toEqual(["rebuild"])
    expect(texts(subscription.tick(START + 249))).toEqual([])
    expect(texts(subscription.tick(START + 250))).toEqual(["rebuild"])
  })

  it("is not moved by strangers, nor backwards", () => {
    const subscription = make("a")
    expect(subscription.heard("x", START)).toBe("UnknownParent")
    subscription.heard("a", START + 1_000)
    subscription.heard("a", START)
    expect(subscription.lastHeard("a")).toBe(START + 1_000)
  })
})

describe("copies", () => {
  it("are told apart, and a stranger's chunk counts for nothing", () => {
    const subscription = make("a", "b")
    expect(subscription.observe("x", 1n, 1n, START)).toBe("UnknownParent")
    expect(subscription.observe("a", 1n, 1n, START)).toBe("FirstDelivery")
    expect(subscription.observe("b", 1n, 1n, START + 10)).toBe("Duplicate")
    expect(subscription.lastHeard("b")).toBe(START + 10)
  })
})

describe("who is primary", () => {
  it("passes to the first backup that is not silent", () => {
    const subscription = make("a", "b", "c")
    subscription.heard("c", START + 2_000)
    subscription.removeParent("a", START + 2_000)
    expect([subscription.primaryParent, subscription.backupParents]).toEqual(["c", ["b"]])
  })

  it("is the first one added to an empty set, the next is a backup", () => {
    const subscription = make(undefined)
    subscription.addParent("a", START)
    subscription.addParent("b", START)
    expect([subscription.primaryParent, subscription.backupParents]).toEqual(["a", ["b"]])
  })

  it("changes by promotion, the former one first among the backups", () => {
    const subscription = make("a", "b", "c")
    expect(subscription.promoteToPrimary("x")).toBe("UnknownParent")
    expect(subscription.promoteToPrimary("c")).toBe("Promoted")
    expect([subscription.primaryParent, subscription.backupParents]).toEqual(["c", ["a", "b"]])
    expect(subscription.activeParents).toEqual(["a", "b", "c"])
  })
})

it("two instances share nothing", () => {
  const [one, two] = [make("a"), make("a")]
  one.observe("a", 1n, 1n, START)
  expect(two.observe("a", 1n, 1n, START)).toBe("FirstDelivery")
  one.removeParent("a", START)
  expect(two.isActive("a")).toBe(true)
})
