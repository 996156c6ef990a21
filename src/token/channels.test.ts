/** Channels between nodes: who is let in, what is delivered, and what ends it (control-plane 5.7). */
import { describe, expect, test } from "vitest"
import { signerFromSeeds } from "../identity/index.ts"
import { FRAME_CHANNEL_DATA, FRAME_MEMBERSHIP } from "../wire/frame.ts"
import { checkCodec, codeOf } from "../wire/testing.ts"
import type { Bytes, NodeId } from "../wire/types.ts"
import type { PeerFacts } from "./channel-access.ts"
import { channelHash } from "./channel-hash.ts"
import { type ChannelAction, ChannelNode, type ChannelNodeOptions } from "./channel-node.ts"
import { ChannelRegistry } from "./channel-registry.ts"
import { delegateToken, issueToken } from "./issue.ts"
import { decodeChannelData, decodeMembership, encodeChannelData, encodeMembership } from "./membership-frame.ts"
import { decodeToken, SCOPE } from "./permission-token.ts"
import { ChainVerifier, encodeChain } from "./token-chain.ts"

const START = 1_760_000_000_000
const signers = await Promise.all([1, 2, 3, 4].map((n) => signerFromSeeds(new Uint8Array(32).fill(n))))
const [ROOT, ALICE, BOB, CLEO] = signers as [Signer, Signer, Signer, Signer]
type Signer = Awaited<ReturnType<typeof signerFromSeeds>>

/** A chain of one token from {@link ROOT}. */
async function grant(subject: Signer, scope: number, channel = "a", fields = {}): Promise<Bytes> {
  const token = await issueToken(ROOT, {
    subject: subject.entityId,
    scope,
    channelHash: channelHash(channel),
    ttlSeconds: 3_600,
    generation: 1,
    now: BigInt(START / 1000),
    ...fields,
  })
  return encodeChain([token])
}

/** Nodes joined each to each, under one clock; frames arrive in order and at once. */
class Net {
  now = START
  readonly nodes = new Map<NodeId, ChannelNode>()
  readonly events: ({ at: NodeId } & ChannelAction)[] = []
  readonly floors = new Map<string, number>()
  readonly chains = new ChainVerifier()

  add(signer: Signer, options: Partial<ChannelNodeOptions> = {}): ChannelNode {
    let nonce = 0n
    const node = new ChannelNode({
      self: { node: signer.nodeId, entity: signer.entityId },
      chains: this.chains,
      floorOf: (issuer) => this.floors.get(issuer.join()) ?? 0,
      random: () => ++nonce,
      now: this.now,
      ...options,
    })
    for (const [other, machine] of this.nodes) {
      machine.sessionOpened({ node: signer.nodeId, entity: signer.entityId })
      node.sessionOpened({ node: other, entity: signers.find((s) => s.nodeId === other)?.entityId ?? new Uint8Array() })
    }
    this.nodes.set(signer.nodeId, node)
    return node
  }

  /** Carries out what `at` wants, and everything that follows. */
  async act(at: Signer, actions: ChannelAction[]): Promise<void> {
    for (const action of actions) {
      if (action.kind !== "send") {
        this.events.push({ at: at.nodeId, ...action })
        continue
      }
      const to = signers.find((s) => s.nodeId === action.to) as Signer
      await this.act(to, (await this.nodes.get(to.nodeId)?.receive(at.nodeId, action.type, action.payload, this.now)) ?? [])
    }
  }

  /** Results of requests of `at` since the last call. */
  answers(at: Signer): string[] {
    const mine = this.events.filter((event) => event.at === at.nodeId && event.kind === "answer")
    for (const event of mine) this.events.splice(this.events.indexOf(event), 1)
    return mine.flatMap((event) => (event.kind === "answer" ? [`${event.request} ${event.result}`] : []))
  }

  delivered(at: Signer): string[] {
    return this.events.flatMap((event) =>
      event.at === at.nodeId && event.kind === "deliver" ? [`${event.channel} ${event.data.join()}`] : [],
    )
  }
}

function registry(...configs: Parameters<ChannelRegistry["register"]>[0][]): ChannelRegistry {
  const out = new ChannelRegistry()
  for (const config of configs) out.register(config)
  return out
}

const rooted = { requireToken: true, tokenRoots: [ROOT.entityId] }
const data = (...bytes: number[]) => Uint8Array.from(bytes)

describe("the registry (5.2)", () => {
  test("exact wins, then the longest prefix of whole segments; operators are not overwritten", () => {
    const r = registry({ name: "A/B", priority: 1 }, { name: "a/", priority: 2 }, { name: "a/b/c/", priority: 3 })
    expect(["a/b", "a/x", "a/b/c/d", "a/b/cd", "a", "ab/c"].map((name) => r.lookup(name)?.priority)).toEqual([
      1,
      2,
      3,
      2,
      undefined,
      undefined,
    ])
    expect([r.registerIfAbsent({ name: "a/b", priority: 9 }), r.registerIfAbsent({ name: "n" })]).toEqual([false, true])
    expect(r.lookup("a/b")?.priority).toBe(1)
    r.unregister("A/b")
    expect(r.lookup("a/b")?.priority).toBe(2)
    expect(codeOf(() => r.register({ name: "//" }))).toBe("Malformed")
  })

  test("CHAN-R2: tokens without roots let nobody in, and whoever registers it is warned", async () => {
    const net = new Net()
    const r = new ChannelRegistry()
    expect(r.register({ name: "a", requireToken: true })).toBe("nobody-authorized")
    expect(r.register({ name: "b", ...rooted })).toBeUndefined()
    net.add(ALICE, { registry: r })
    const bob = net.add(BOB)
    await net.act(BOB, bob.subscribe(ALICE.nodeId, "a", { chain: await grant(BOB, SCOPE.SUBSCRIBE) }, net.now))
    expect(net.answers(BOB)).toEqual(["subscribe unauthorized"])
  })
})

describe("subscribing (5.7)", () => {
  test("CHAN-R1, R3, R4, R8: a rooted chain in the right hand, under any spelling of the name", async () => {
    const net = new Net()
    // Roots alone make tokens required.
    const alice = net.add(ALICE, { registry: registry({ name: "Captions", tokenRoots: [ROOT.entityId] }) })
    const bob = net.add(BOB)
    const self = encodeChain([
      await issueToken(BOB, {
        subject: BOB.entityId,
        scope: SCOPE.SUBSCRIBE,
        channelHash: channelHash("captions"),
        ttlSeconds: 60,
        generation: 0,
        now: BigInt(START / 1000),
      }),
    ])
    const attempts = [
      undefined,
      self,
      await grant(CLEO, SCOPE.SUBSCRIBE, "captions"),
      await grant(BOB, SCOPE.PUBLISH, "captions"),
      await grant(BOB, SCOPE.SUBSCRIBE, "captions"),
    ]
    for (const chain of attempts)
      await net.act(BOB, bob.subscribe(ALICE.nodeId, "CAPTIONS", chain === undefined ? {} : { chain }, net.now))
    expect(net.answers(BOB)).toEqual([...Array(4).fill("subscribe unauthorized"), "subscribe ok"])
    expect(alice.subscribersOf("captions")).toEqual([BOB.nodeId])
  })

  test("CHAN-R9: unknown channels are denied, with and without a registry, unless a node without one says otherwise", async () => {
    for (const [options, expected] of [
      [{}, "unauthorized"],
      [{ registry: registry() }, "unauthorized"],
      [{ registry: registry(), unregisteredChannels: "open" }, "unauthorized"],
      [{ registry: registry(), exposeUnknownChannels: true }, "unknown-channel"],
      [{ unregisteredChannels: "open" }, "ok"],
    ] as const) {
      const net = new Net()
      net.add(ALICE, options)
      const bob = net.add(BOB)
      await net.act(BOB, bob.subscribe(ALICE.nodeId, "a", {}, net.now))
      expect(net.answers(BOB)).toEqual([`subscribe ${expected}`])
    }
  })

  test("CHAN-R7: a declared tag passes a filter and fails a token gate; subnets keep strangers out", async () => {
    const facts: PeerFacts = {
      hasTag: (_node, tag) => tag === "vip",
      subnetOf: (node) => (node === BOB.nodeId ? data(1) : undefined),
      ownSubnet: () => data(1),
    }
    const net = new Net()
    net.add(ALICE, {
      peers: facts,
      registry: registry(
        { name: "filter", subscribeCaps: ["vip"] },
        { name: "other", subscribeCaps: ["vip", "x"] },
        { name: "gate", subscribeCaps: ["vip"], ...rooted },
        { name: "near", visibility: "subnet-local" },
      ),
    })
    const [bob, cleo] = [net.add(BOB), net.add(CLEO)]
    for (const name of ["filter", "other", "gate", "near"]) await net.act(BOB, bob.subscribe(ALICE.nodeId, name, {}, net.now))
    expect(net.answers(BOB)).toEqual(["subscribe ok", "subscribe unauthorized", "subscribe unauthorized", "subscribe ok"])
    await net.act(CLEO, cleo.subscribe(ALICE.nodeId, "near", {}, net.now))
    expect(net.answers(CLEO)).toEqual(["subscribe unauthorized"])
  })

  test("CHAN-R16: sixteen refusals in a minute are followed by half a minute of silence", async () => {
    const net = new Net()
    net.add(ALICE, { registry: registry({ name: "ok" }) })
    const bob = net.add(BOB)
    const ask = async (name: string) => {
      await net.act(BOB, bob.subscribe(ALICE.nodeId, name, {}, net.now))
      return net.answers(BOB)[0]
    }
    for (let i = 0; i < 16; i++) {
      expect(await ask("no")).toBe("subscribe unauthorized")
      net.now += 1_000
    }
    expect(await ask("ok")).toBe("subscribe rate-limited")
    net.now += 28_999
    expect(await ask("ok")).toBe("subscribe rate-limited")
    net.now += 1
    expect(await ask("ok")).toBe("subscribe ok")
    // Slower than that it never comes to it.
    for (let i = 0; i < 40; i++) {
      net.now += 4_000
      expect(await ask("no")).toBe("subscribe unauthorized")
    }
  })

  test("at most 1024 channels a peer; one held already may be asked for again", async () => {
    const net = new Net()
    const alice = net.add(ALICE, { registry: registry({ name: "c/" }) })
    net.add(BOB)
    const ask = async (name: string) => {
      const [ack] = await alice.receive(
        BOB.nodeId,
        FRAME_MEMBERSHIP,
        encodeMembership({ kind: "SUBSCRIBE", nonce: 1n, name, chain: data(), group: "" }),
        net.now,
      )
      const frame = ack?.kind === "send" ? decodeMembership(ack.payload) : undefined
      return frame?.kind === "ACK" ? frame.reason : undefined
    }
    for (let i = 0; i < 1_024; i++) if ((await ask(`c/${i}`)) !== "ok") throw new Error(`channel ${i}`)
    expect([await ask("c/more"), await ask("c/5")]).toEqual(["too-many-channels", "ok"])
  })

  test("an answer that never comes is a timeout, one that nobody asked for is nothing", async () => {
    const net = new Net()
    const alice = net.add(ALICE)
    net.add(BOB)
    alice.subscribe(BOB.nodeId, "a", {}, net.now)
    expect([alice.tick(START + 4_999), alice.tick(START + 5_000)]).toEqual([
      [],
      [{ kind: "answer", request: "subscribe", to: BOB.nodeId, channel: "a", result: "timeout" }],
    ])
    const stray = encodeMembership({ kind: "ACK", nonce: 77n, accepted: true, reason: "ok" })
    expect(await alice.receive(BOB.nodeId, FRAME_MEMBERSHIP, stray, net.now)).toEqual([])
    expect(alice.counters.unexpectedAcks).toBe(1)
  })

  test("a request that cannot be read is answered so, if it has a number", async () => {
    const net = new Net()
    const alice = net.add(ALICE)
    net.add(BOB)
    const bad = encodeMembership({ kind: "UNSUBSCRIBE", nonce: 9n, name: "x" }).with(10, 0x58)
    const [ack] = await alice.receive(BOB.nodeId, FRAME_MEMBERSHIP, bad, net.now)
    expect(ack?.kind === "send" ? decodeMembership(ack.payload) : ack).toEqual({
      kind: "ACK",
      nonce: 9n,
      accepted: false,
      reason: "malformed",
    })
    expect(await alice.receive(BOB.nodeId, FRAME_MEMBERSHIP, data(9), net.now)).toEqual([])
    expect(alice.counters.malformed).toBe(2)
  })
})

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

test("any bytes as membership and data frames", async () => {
  const chain = await grant(BOB, SCOPE.SUBSCRIBE)
  checkCodec({
    decode: decodeMembership,
    encode: encodeMembership,
    codes: ["Malformed"],
    samples: [
      encodeMembership({ kind: "SUBSCRIBE", nonce: 5n, name: "a/b", chain, group: "g" }),
      encodeMembership({ kind: "UNSUBSCRIBE", nonce: 5n, name: "a/b" }),
      encodeMembership({ kind: "ACK", nonce: 5n, accepted: false, reason: "rate-limited" }),
      encodeMembership({ kind: "PUBLISH_OPEN", nonce: 5n, handle: 7, name: "a/b", chain }),
      encodeMembership({ kind: "PUBLISH_CLOSE", handle: 7 }),
    ],
  })
  checkCodec({
    decode: decodeChannelData,
    encode: encodeChannelData,
    codes: ["Malformed"],
    samples: [encodeChannelData({ handle: 1, seq: 2, data: data(3) })],
  })
})
