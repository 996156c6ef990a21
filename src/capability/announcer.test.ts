/** A node's own announcements: when they are made, what stays in them, and what the index keeps. */
import { describe, expect, test } from "vitest"
import { codeOf } from "../wire/testing.ts"
import { decodeAnnouncement, signAnnouncement } from "./announcement-codec.ts"
import { Announcer, type AnnouncerAction, type AnnouncerOptions } from "./announcer.ts"
import { CapabilityIndex } from "./capability-index.ts"
import { IndexEntry } from "./entry.ts"
import { NeighbourQueues } from "./neighbour-queues.ts"
import { OPEN_POLICY, SelfState } from "./self-state.ts"
import { readStoredSelf, writeStoredSelf } from "./stored-self.ts"
import { announcementOf, START, testSigner } from "./testing.ts"
import { VersionHistory } from "./version-history.ts"

const alice = await testSigner(1)
const strict = { ...OPEN_POLICY, allowedNodes: ["000000000000002a"] }

function announcer(options: Partial<AnnouncerOptions> = {}) {
  const index = new CapabilityIndex()
  return { index, announcer: new Announcer({ signer: alice, index, now: START, ...options }) }
}

/** The announcements that `actions` broadcast. */
function broadcasts(actions: AnnouncerAction[]) {
  return actions.flatMap((action) => (action.kind === "broadcast" ? [decodeAnnouncement(action.payload).announcement] : []))
}

describe("the loop (2.6)", () => {
  test("AUTH-R12: the own entry lives past three leases with the loop, and ends without it", async () => {
    for (const loop of [true, false]) {
      const { index, announcer: a } = announcer(loop ? {} : { reannounceMs: Number.POSITIVE_INFINITY })
      for (let now = START; now <= START + 1_000_000; now += 10_000) await a.run(now)
      expect(index.get(alice.nodeId, START + 1_000_000) !== undefined).toBe(loop)
    }
  })

  test("every round is a new version with the whole state; the first comes after one period", async () => {
    const { announcer: a } = announcer()
    a.update({ policy: strict }, START)
    const versions: bigint[] = []
    const times: number[] = []
    for (let now = START; now <= START + 450_000; now += 1_000) {
      for (const sent of broadcasts(await a.run(now))) {
        versions.push(sent.version)
        times.push(now - START)
        // AUTH-R16: the policy is in all of them.
        expect(sent.allowedNodes).toEqual(strict.allowedNodes)
      }
    }
    expect(times).toEqual([0, 150_000, 300_000, 450_000])
    expect(versions).toEqual([...versions].sort((x, y) => (x < y ? -1 : 1)))
    expect(new Set(versions).size).toBe(4)
  })

  test("D13: a broadcast inside the throttle window is sent when it ends, the newest only; dueAt says when", async () => {
    const { announcer: a } = announcer()
    expect(broadcasts(await a.run(START)).length).toBe(1)
    a.update({ tags: ["x"] }, START + 1_000)
    a.update({ tags: ["y"] }, START + 2_000)
    expect(broadcasts(await a.run(START + 2_000))).toEqual([])
    expect(decodeAnnouncement(a.latest as Uint8Array).announcement.tags).toEqual(["y"])
    expect(a.dueAt()).toBe(START + 10_000)
    expect(broadcasts(await a.run(START + 10_000)).map((sent) => sent.tags)).toEqual([["y"]])
    expect(a.dueAt()).toBe(START + 150_000)
  })

  test("D10: versions go on after a restart, also when storage was lost", () => {
    const { announcer: a } = announcer({ stored: { generation: 2, lastVersion: BigInt(START) + 5_000n } })
    expect([a.state.lastVersion, a.state.generation]).toEqual([BigInt(START) + 5_001n, 2])
    expect(announcer().announcer.state.lastVersion).toBe(BigInt(START))
    expect(codeOf(() => readStoredSelf({ generation: 1 }))).toBe("StoreError")
  })

  test("D42: a clock that trusted observers correct writes their time, and only beyond five seconds", async () => {
    const { announcer: a } = announcer()
    a.writeOffsetMs = -4_000
    a.update({ tags: ["x"] }, START + 1)
    a.writeOffsetMs = 120_000
    a.update({ tags: ["y"] }, START + 10_000)
    const [sent] = broadcasts(await a.run(START + 10_000))
    expect([sent?.issuedMs, sent?.tags]).toEqual([BigInt(START) + 130_000n, ["y"]])
  })

  test("what changes while the signature is being made is in the announcement that is sent", async () => {
    const { announcer: a } = announcer()
    const running = a.run(START)
    await Promise.resolve()
    a.update({ tags: ["late"] }, START + 1)
    expect(broadcasts(await running).map((sent) => sent.tags)).toEqual([["late"]])
  })
})

test("AUTH-R16: a policy survives serving, a NAT change and a restart; a damaged store is no open policy", async () => {
  const groups = [new Uint8Array(32).fill(7)]
  const policy = { ...strict, allowedGroups: groups, strict: true }
  const { announcer: a } = announcer()
  a.update({ policy }, START)
  a.serve("echo", START)
  a.update({ nat: "symmetric" }, START)
  const persisted = (await a.run(START)).flatMap((action) => (action.kind === "persist" ? [action.self] : [])).at(-1)
  if (persisted === undefined) throw new Error("nothing persisted")
  const json = JSON.parse(JSON.stringify(writeStoredSelf(persisted)))
  const { announcer: again, index } = announcer({ stored: readStoredSelf(json), now: START - 1_000 })
  again.serve("echo", START)
  const own = index.get(alice.nodeId, START)?.announcement
  expect(own).toMatchObject({ allowedNodes: strict.allowedNodes, allowedGroups: groups, strictMembership: true })
  expect(own?.version).toBeGreaterThan(persisted.lastVersion)
  for (const change of [
    { strict: 1 },
    { allowedNodes: ["x"] },
    { allowedGroups: ["zz".repeat(32)] },
    { lastVersion: -1 },
    { generation: 2 ** 32 },
  ]) {
    expect(codeOf(() => readStoredSelf({ ...json, ...change }))).toBe("StoreError")
  }
})

describe("serving (3.4)", () => {
  test("the tag is in the index at once; a second registration changes nothing", () => {
    const { index, announcer: a } = announcer()
    expect(a.serve("Echo", START)).toBe("echo")
    expect(index.findServiceNodes("echo", START, { includeSelf: true })).toEqual([alice.nodeId])
    const version = a.state.lastVersion
    expect(codeOf(() => a.serve("echo", START))).toBe("AlreadyServing")
    expect([a.state.lastVersion, [...a.state.services]]).toEqual([version, ["echo"]])
    a.unserve("echo", START)
    expect(index.findServiceNodes("echo", START, { includeSelf: true })).toEqual([])
  })

  test("D17: with requirePolicy only a restricted node may serve", () => {
    const { announcer: a } = announcer({ requirePolicy: true })
    expect(codeOf(() => a.serve("echo", START))).toBe("PolicyRequired")
    a.update({ policy: strict }, START)
    expect(a.serve("echo", START)).toBe("echo")
  })

  test("what cannot be announced is refused and leaves everything as it was", () => {
    const { announcer: a } = announcer()
    a.update({ tags: ["a"] }, START)
    expect(codeOf(() => a.update({ tags: ["scope:b"] }, START))).toBe("ReservedPrefix")
    expect(
      codeOf(() =>
        a.update(
          { policy: { ...strict, allowedNodes: Array.from({ length: 65 }, (_, i) => (i + 1).toString(16).padStart(16, "0")) } },
          START,
        ),
      ),
    ).toBe("AllowListTooLong")
    expect(codeOf(() => a.serve("x".repeat(129), START))).toBe("TooLong")
    expect([a.state.facts.tags, a.state.facts.policy, a.state.services.size]).toEqual([["a"], OPEN_POLICY, 0])
    const full = new SelfState(alice, { generation: 0, lastVersion: 0n })
    for (let i = 0; i < 256; i++) full.addService(`s${i}`)
    expect(codeOf(() => full.addService("one-more"))).toBe("BadField")
    expect(full.services.size).toBe(256)
  })
})

describe("own announcements from elsewhere (2.1, D07, D40)", () => {
  const later = (n: bigint, fields = {}) =>
    signAnnouncement(announcementOf(alice, { version: BigInt(START) + n, allowedNodes: strict.allowedNodes, ...fields }), alice)

  test("an operator's later announcement gives its policy; older, forged and expired ones give nothing", async () => {
    const { index, announcer: a } = announcer()
    a.serve("echo", START)
    await a.run(START)
    expect(await a.adopt({ ...(await later(0n)), hopCount: 1 }, START)).toBe(false)
    const mallory = await testSigner(2)
    expect(
      await a.adopt(
        { ...(await signAnnouncement(announcementOf(alice, { version: BigInt(START) + 9n }), mallory)), hopCount: 1 },
        START,
      ),
    ).toBe(false)
    expect(await a.adopt({ ...(await later(9n, { issuedMs: 5n })), hopCount: 1 }, START)).toBe(false)
    expect(a.state.facts.policy).toEqual(OPEN_POLICY)
    expect(await a.adopt({ ...(await later(1_000n, { strictMembership: true })), hopCount: 1 }, START)).toBe(true)
    expect(a.state.facts.policy).toMatchObject({ allowedNodes: strict.allowedNodes, strict: true })
    // Re-announced above the adopted version, with the services of this node.
    const own = index.get(alice.nodeId, START)?.announcement
    expect([own?.version, own?.tags]).toEqual([BigInt(START) + 1_001n, ["nrpc:echo"]])
    expect(broadcasts(await a.run(START + 10_000)).length).toBe(1)
    // The same policy again at a later version: taken over silently.
    expect(await a.adopt({ ...(await later(5_000n, { strictMembership: true })), hopCount: 1 }, START + 10_000)).toBe(true)
    expect(broadcasts(await a.run(START + 30_000))).toEqual([])
  })

  test("three from a second owner of the key within a minute: nothing is adopted any more, and it is said", async () => {
    const { announcer: a } = announcer()
    await a.run(START)
    const adopted: boolean[] = []
    for (let i = 1n; i <= 4n; i++) adopted.push(await a.adopt(await later(i * 1_000n), START))
    expect(adopted).toEqual([true, true, false, false])
    const events = (await a.run(START)).flatMap((action) => (action.kind === "identity-conflict" ? [action.adopting] : []))
    expect(events).toEqual([true, true, false, false])
    expect(await a.adopt({ ...(await later(9_000n)), hopCount: 2 }, START + 60_000)).toBe(true)
  })

  test("the last generation is final", async () => {
    const { announcer: a } = announcer({ stored: { generation: 0xffffffff, lastVersion: 1n } })
    await expect(a.bumpGeneration(START)).rejects.toMatchObject({ code: "LimitExceeded" })
  })
})

describe("the index (2.9)", () => {
  const entry = (node: string, expiresAt: number, tags = ["t"]) =>
    new IndexEntry({
      announcement: { ...announcementOf(alice), nodeId: node, tags },
      own: false,
      expiresAt,
      acceptedAt: 0,
      hopCount: 0,
      certs: [],
      skewSeconds: 60,
    })

  test("above the bound the entry that ends first goes, protected ones stay; changes are counted", () => {
    const index = new CapabilityIndex({ capacity: 3, isProtected: (node) => node === "a" })
    let calls = 0
    const stop = index.onChange(() => calls++)
    index.put(entry("a", 5))
    index.put(entry("b", 20))
    index.put(entry("c", 10))
    index.put(entry("d", 15))
    expect(["a", "b", "c", "d"].map((node) => index.has(node))).toEqual([true, true, false, true])
    index.put(entry("e", 6))
    expect(index.has("e")).toBe(false)
    expect([index.sweep(16), index.size, index.changeGeneration, calls]).toEqual([2, 1, 6, 6])
    stop()
    index.delete("b")
    expect([index.size, index.changeGeneration, calls]).toEqual([0, 7, 6])
  })

  test("an expired entry is absent at once, and a replaced one leaves no tags behind", () => {
    const index = new CapabilityIndex()
    index.put(entry("a", 10, ["x", "y"]))
    index.put(entry("a", 20, ["y"]))
    expect([index.nodesWithTag("x", 0), index.nodesWithTag("y", 19), index.nodesWithTag("y", 20)]).toEqual([[], ["a"], []])
  })

  test("the highest version is kept a day past the lease, and a table full of protected nodes takes nobody in", () => {
    const history = new VersionHistory((node) => node.startsWith("p"), 2)
    const at = (nodeId: string, version: bigint) => ({ ...announcementOf(alice), nodeId, version })
    const hash = new Uint8Array(32)
    expect(history.accept(at("p1", 5n), hash)).toBe(true)
    const end = START + 300_000 + 86_460_000
    expect([history.judge(at("p1", 4n), hash, end - 1), history.judge(at("p1", 4n), hash, end)]).toEqual([
      "StaleVersion",
      "newer",
    ])
    expect([history.accept(at("x", 1n), hash), history.accept(at("p2", 1n), hash), history.accept(at("p3", 1n), hash)]).toEqual([
      true,
      true,
      false,
    ])
    expect(history.judge(at("x", 1n), hash, START)).toBe("newer")
  })
})

test("a neighbour's queue keeps its budget and drops the oldest (2.8)", () => {
  const queues = new NeighbourQueues()
  queues.open("n")
  for (let i = 0; i < 1_300; i++) queues.push("n", 0x10, Uint8Array.of(i & 255, i >> 8))
  queues.push("nobody", 0x10, new Uint8Array(1))
  expect(queues.dropped).toBe(276)
  const first = queues.take(START)
  expect([first.length, (first[0]?.payload[0] ?? 0) + 256 * (first[0]?.payload[1] ?? 0)]).toEqual([200, 276])
  expect([queues.take(START).length, queues.dueAt(START), queues.take(START + 1_000).length]).toEqual([0, START + 20, 50])
  queues.close("n")
  expect([queues.dueAt(START), queues.take(START + 9_000)]).toEqual([Number.POSITIVE_INFINITY, []])
})
