/** Publishing to channels: who gets what, by which right, and what ends it (control-plane 5.7). */
import { describe, expect, test } from "vitest"
import { FRAME_CHANNEL_DATA, FRAME_MEMBERSHIP } from "../wire/frame.ts"
import { codeOf } from "../wire/testing.ts"
import type { Bytes } from "../wire/types.ts"
import { channelHash } from "./channel-hash.ts"
import { delegateToken, issueToken } from "./issue.ts"
import { encodeChannelData, encodeMembership } from "./membership-frame.ts"
import { decodeToken, SCOPE } from "./permission-token.ts"
import { ALICE, BOB, CLEO, data, grant, Net, ROOT, registry, rooted, START } from "./test-channels.ts"
import { encodeChain } from "./token-chain.ts"

describe("publishing", () => {
  test("to subscribers in order; the receiver asks for the publisher's right itself (D33)", async () => {
    const net = new Net()
    const alice = net.add(ALICE, { registry: registry({ name: "a" }) })
    const bob = net.add(BOB, { registry: registry({ name: "a", ...rooted }) })
    await net.act(BOB, bob.subscribe(ALICE.nodeId, "a", {}, net.now))
    await alice.openChannel("a", data(), net.now)
    await net.act(ALICE, alice.publish("a", data(1), net.now))
    expect([net.delivered(BOB), net.answers(ALICE)]).toEqual([[], ["publish unauthorized"]])
    // Refused once, not sent again, until there is a better chain.
    expect(alice.publish("a", data(2), net.now)).toEqual([])
    await alice.openChannel("a", await grant(ALICE, SCOPE.PUBLISH), net.now)
    for (const n of [3, 4]) await net.act(ALICE, alice.publish("a", data(n), net.now))
    expect([net.delivered(BOB), net.answers(ALICE)]).toEqual([["a 3", "a 4"], ["publish ok"]])
  })

  test("CHAN-R13: data without an open handle, and an opening that nobody subscribed to, are dropped", async () => {
    const net = new Net()
    const alice = net.add(ALICE)
    net.add(BOB)
    const forged = encodeChannelData({ handle: 1, seq: 0, data: data(1) })
    expect(await alice.receive(BOB.nodeId, FRAME_CHANNEL_DATA, forged, net.now)).toEqual([])
    const open = encodeMembership({ kind: "PUBLISH_OPEN", nonce: 1n, handle: 1, name: "a", chain: data() })
    await alice.receive(BOB.nodeId, FRAME_MEMBERSHIP, open, net.now)
    expect(await alice.receive(BOB.nodeId, FRAME_CHANNEL_DATA, forged, net.now)).toEqual([])
    expect(alice.counters.unboundData).toBe(2)
  })

  test("without a right of one's own nothing is sent", async () => {
    const net = new Net()
    const alice = net.add(ALICE, { registry: registry({ name: "a", ...rooted }) })
    await expect(alice.openChannel("a", data(), net.now)).rejects.toMatchObject({ code: "NotAuthorized" })
    expect(codeOf(() => alice.publish("a", data(1), net.now))).toBe("UsageError")
    await alice.openChannel("a", await grant(ALICE, SCOPE.PUBLISH), net.now)
    expect(alice.publish("a", data(1), net.now)).toEqual([])
    net.floors.set(ROOT.entityId.join(), 2)
    expect(codeOf(() => alice.publish("a", data(1), net.now))).toBe("NotAuthorized")
  })

  test("CHAN-R14: whose right ended is taken off before one of the group is chosen; groups take turns", async () => {
    const net = new Net()
    const config = { name: "jobs", ...rooted, queueGroups: { w: "open" } } as const
    const alice = net.add(ALICE, { registry: registry(config) })
    const [bob, cleo] = [net.add(BOB), net.add(CLEO)]
    const short = { ttlSeconds: 100, skewSeconds: 0 }
    await net.act(
      BOB,
      bob.subscribe(ALICE.nodeId, "jobs", { chain: await grant(BOB, SCOPE.SUBSCRIBE, "jobs", short), group: "w" }, net.now),
    )
    await net.act(
      CLEO,
      cleo.subscribe(ALICE.nodeId, "jobs", { chain: await grant(CLEO, SCOPE.SUBSCRIBE, "jobs"), group: "w" }, net.now),
    )
    await alice.openChannel("jobs", await grant(ALICE, SCOPE.PUBLISH, "jobs"), net.now)
    for (const n of [1, 2, 3, 4]) await net.act(ALICE, alice.publish("jobs", data(n), net.now))
    expect([net.delivered(BOB), net.delivered(CLEO)]).toEqual([
      ["jobs 1", "jobs 3"],
      ["jobs 2", "jobs 4"],
    ])
    net.now += 161_000
    for (const n of [5, 6]) await net.act(ALICE, alice.publish("jobs", data(n), net.now))
    expect([net.delivered(BOB).length, net.delivered(CLEO).slice(2)]).toEqual([2, ["jobs 5", "jobs 6"]])
    expect(net.events.filter((event) => event.kind === "evicted")).toEqual([
      { at: ALICE.nodeId, kind: "evicted", role: "subscriber", node: BOB.nodeId, channel: "jobs" },
    ])
  })

  test("D32: a queue group needs to be open or a token of its own", async () => {
    const net = new Net()
    net.add(ALICE, {
      registry: registry(
        { name: "a", queueGroups: { open: "open" }, tokenRoots: [] },
        { name: "r", requireToken: true, tokenRoots: [ROOT.entityId] },
      ),
    })
    const bob = net.add(BOB)
    const ask = async (channel: string, group: string, chain?: Bytes) => {
      await net.act(BOB, bob.subscribe(ALICE.nodeId, channel, chain === undefined ? { group } : { group, chain }, net.now))
      return net.answers(BOB)[0]
    }
    expect(await ask("a", "open")).toBe("subscribe ok")
    expect(await ask("a", "constructor")).toBe("subscribe queue-group-denied")
    const everywhere = { channelHash: 0n }
    const wild = await grant(BOB, SCOPE.SUBSCRIBE | SCOPE.WILDCARD, "r", everywhere)
    expect(await ask("r", "w", await grant(BOB, SCOPE.SUBSCRIBE, "r"))).toBe("subscribe queue-group-denied")
    expect(await ask("r", "w", wild)).toBe("subscribe ok")
    expect(codeOf(() => bob.subscribe(ALICE.nodeId, "a", { group: "a/b" }, net.now))).toBe("UsageError")
  })

  test("CHAN-R6: a floor ends subscribers and publishers at the next sweep, in a chain only the subtree", async () => {
    const net = new Net()
    const alice = net.add(ALICE, { registry: registry({ name: "a", ...rooted }) })
    const [bob, cleo] = [net.add(BOB, { registry: registry({ name: "a", ...rooted }) }), net.add(CLEO)]
    const all = SCOPE.SUBSCRIBE | SCOPE.PUBLISH | SCOPE.DELEGATE
    const token = await issueToken(ROOT, {
      subject: BOB.entityId,
      scope: all,
      channelHash: channelHash("a"),
      ttlSeconds: 3_600,
      delegationDepth: 1,
      generation: 1,
      now: BigInt(START / 1000),
    })
    const child = await delegateToken(decodeToken(token), BOB, {
      subject: CLEO.entityId,
      restrict: all,
      generation: 4,
      now: BigInt(START / 1000),
      floorOf: () => 0,
    })
    await net.act(BOB, bob.subscribe(ALICE.nodeId, "a", { chain: encodeChain([token]) }, net.now))
    await net.act(CLEO, cleo.subscribe(ALICE.nodeId, "a", { chain: encodeChain([token, child]) }, net.now))
    await alice.openChannel("a", await grant(ALICE, SCOPE.PUBLISH), net.now)
    await net.act(ALICE, alice.publish("a", data(1), net.now))
    expect(alice.subscribersOf("a")).toEqual([BOB.nodeId, CLEO.nodeId])
    net.floors.set(BOB.entityId.join(), 5)
    expect(alice.tick(START + 29_999)).toEqual([])
    await net.act(ALICE, alice.tick(START + 30_000))
    expect(alice.subscribersOf("a")).toEqual([BOB.nodeId])
    net.floors.set(ROOT.entityId.join(), 2)
    expect([alice.sweep(START + 31_000).length, bob.sweep(START + 31_000)]).toEqual([
      1,
      [{ kind: "evicted", role: "publisher", node: ALICE.nodeId, channel: "a" }],
    ])
    expect(net.chains.droppedByGeneration).toBe(3)
  })

  test("leaving and coming back: the handle is opened anew, and what a session granted ends with it", async () => {
    const net = new Net()
    const alice = net.add(ALICE, { registry: registry({ name: "a" }) })
    const bob = net.add(BOB)
    await alice.openChannel("a", data(), net.now)
    const join = async () => net.act(BOB, bob.subscribe(ALICE.nodeId, "a", {}, net.now))
    await join()
    await net.act(ALICE, alice.publish("a", data(1), net.now))
    await net.act(BOB, bob.unsubscribe(ALICE.nodeId, "a", net.now))
    await net.act(ALICE, alice.publish("a", data(2), net.now))
    await join()
    await net.act(ALICE, alice.publish("a", data(3), net.now))
    await net.act(ALICE, alice.closeChannel("a"))
    expect(net.delivered(BOB)).toEqual(["a 1", "a 3"])
    alice.sessionClosed(BOB.nodeId)
    expect(alice.subscribersOf("a")).toEqual([])
    expect(await alice.receive(BOB.nodeId, FRAME_MEMBERSHIP, data(0), net.now)).toEqual([])
  })

  test("a channel's rate holds for each publisher", async () => {
    const net = new Net()
    const alice = net.add(ALICE, { registry: registry({ name: "a" }) })
    const bob = net.add(BOB, { registry: registry({ name: "a", maxRatePps: 2 }) })
    await net.act(BOB, bob.subscribe(ALICE.nodeId, "a", {}, net.now))
    await alice.openChannel("a", data(), net.now)
    for (const n of [1, 2, 3]) await net.act(ALICE, alice.publish("a", data(n), net.now))
    net.now += 500
    await net.act(ALICE, alice.publish("a", data(4), net.now))
    expect([net.delivered(BOB), bob.counters.overRate]).toEqual([["a 1", "a 2", "a 4"], 1])
  })

  test("frames that wait for signatures are bounded", async () => {
    const net = new Net()
    const alice = net.add(ALICE, { registry: registry({ name: "a", ...rooted }) })
    net.add(BOB)
    const ask = encodeMembership({ kind: "UNSUBSCRIBE", nonce: 1n, name: "a" })
    const all = await Promise.all(Array.from({ length: 300 }, () => alice.receive(BOB.nodeId, FRAME_MEMBERSHIP, ask, net.now)))
    expect([all.filter((actions) => actions.length === 1).length, alice.counters.overload]).toEqual([256, 44])
  })
})
