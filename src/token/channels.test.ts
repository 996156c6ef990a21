/** Subscribing to channels: who is let in, and what any bytes do (control-plane 5.7). */
import { describe, expect, test } from "vitest"
import { FRAME_MEMBERSHIP } from "../wire/frame.ts"
import { checkCodec } from "../wire/testing.ts"
import type { PeerFacts } from "./channel-access.ts"
import { channelHash } from "./channel-hash.ts"
import { issueToken } from "./issue.ts"
import { decodeChannelData, decodeMembership, encodeChannelData, encodeMembership } from "./membership-frame.ts"
import { SCOPE } from "./permission-token.ts"
import { ALICE, BOB, CLEO, data, grant, Net, ROOT, registry, rooted, START } from "./test-channels.ts"
import { encodeChain } from "./token-chain.ts"

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

  test("CHAN-R16: a new session is no way around the silence, nor around the count", async () => {
    const net = new Net()
    const alice = net.add(ALICE, { registry: registry({ name: "ok" }) })
    const bob = net.add(BOB)
    const ask = async (name: string) => {
      await net.act(BOB, bob.subscribe(ALICE.nodeId, name, {}, net.now))
      return net.answers(BOB)[0]
    }
    const again = () => {
      alice.sessionClosed(BOB.nodeId)
      alice.sessionOpened({ node: BOB.nodeId, entity: BOB.entityId })
    }
    for (let i = 0; i < 16; i++) {
      expect(await ask("no")).toBe("subscribe unauthorized")
      again()
    }
    expect(await ask("ok")).toBe("subscribe rate-limited")
    again()
    net.now += 29_999
    expect(await ask("ok")).toBe("subscribe rate-limited")
    again()
    net.now += 1
    expect(await ask("ok")).toBe("subscribe ok")
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
