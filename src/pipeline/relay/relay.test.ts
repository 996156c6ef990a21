import { beforeAll, describe, expect, test } from "vitest"
import { sha256Sync } from "../../crypto/index.ts"
import { initFountainFromPackage } from "../../fountain/node.ts"
import { toHex } from "../../wire/bytes.ts"
import { BLINKING_DOT, UNCAPPED } from "../../wire/layers.ts"
import type { Bytes } from "../../wire/types.ts"
import { TestNet, type TestNode, type TestRelay } from "../mesh/test-net.ts"
import type { MeshEvent, MeshStream } from "../mesh/types.ts"

beforeAll(initFountainFromPackage)

const events = <T extends MeshEvent["type"]>(of: { events: MeshEvent[] }, type: T) =>
  of.events.filter((event): event is Extract<MeshEvent, { type: T }> => event.type === type)

/** A frame in few letters, so that a failure can be read. */
const print = (bytes: Bytes) => toHex(sha256Sync(bytes)).slice(0, 12)

/** Sends `count` frames, 33 ms apart, and waits for what is on its way. */
async function send(
  net: TestNet,
  from: TestNode,
  stream: MeshStream,
  count: number,
  first = 0,
  length = 3_000,
): Promise<string[]> {
  const sent: string[] = []
  for (let frame = first; frame < first + count; frame++) {
    sent.push(print(from.send(stream, frame, length, { temporalId: frame % 2 })))
    await net.advance(33)
  }
  await net.advance(150)
  return sent
}

const inOrder = (node: TestNode, stream: MeshStream) => node.frames(stream).sort((a, b) => a.frameId - b.frameId)
const received = (node: TestNode, stream: MeshStream) =>
  inOrder(node, stream).map(({ frame }) => print(new Uint8Array(frame.data)))

/** alice publishes; everybody else is linked to the relay only. */
async function tree(childNames: string[], relay: (net: TestNet) => TestNode | TestRelay, make = (net: TestNet) => net.video()) {
  const net = new TestNet()
  const alice = net.node("alice")
  const middle = relay(net)
  const children = childNames.map((name) => net.node(name))
  net.connect(alice, middle)
  for (const child of children) net.connect(middle, child)
  net.epoch(1n)
  const stream = make(net)
  alice.core.publishStream(stream)
  return { net, alice, middle, children, stream }
}

describe.each(["a member", "a relay without any key"])("%s hands a stream on", (kind) => {
  const keyless = kind !== "a member"
  const middle = (net: TestNet) => (keyless ? net.relay("rob") : net.node("rob", { enabled: true }))

  test("to three children: each gets every frame, the publisher sends one copy", async () => {
    const { net, alice, middle: rob, children, stream } = await tree(["bea", "cid", "dan"], middle)
    await net.subscribe(alice, rob, stream, UNCAPPED, { deliver: !keyless })
    for (const child of children) await net.subscribe(rob, child, stream)
    await net.advance(50)
    const sent = await send(net, alice, stream, 30)
    for (const child of children) expect(received(child, stream)).toEqual(sent)
    if (!keyless) expect(received(rob as TestNode, stream)).toEqual(sent)
    expect(alice.core.stats().send[0]!.subscribers).toEqual(["rob"])
    const { relay } = rob.core.stats()
    expect(relay.subscribers).toBe(3)
    expect(relay.streams).toMatchObject([
      { from: ["alice"], duplicates: 0, children: [{ peer: "bea" }, { peer: "cid" }, { peer: "dan" }] },
    ])
    const { chunks, children: handed, bitrate } = relay.streams[0]!
    // Of repair each link gets what it needs.
    for (const child of handed) expect(child.chunks).toBeGreaterThanOrEqual(chunks - 2)
    expect(bitrate).toBeGreaterThan(30 * 3_000 * 8 * 0.6)
    expect(relay.admittedBitrate).toBeGreaterThan(3 * 400_000)
  })

  test("sound goes on over the audio lane", async () => {
    const { net, alice, middle: rob, children, stream } = await tree(["bea"], middle, (net) => net.audio())
    await net.subscribe(alice, rob, stream, UNCAPPED, { deliver: !keyless })
    await net.subscribe(rob, children[0]!, stream)
    for (let frame = 0; frame < 20; frame++) {
      alice.send(stream, frame, 80, { durationMs: 20 })
      await net.advance(20)
    }
    await net.advance(50)
    expect(received(children[0]!, stream)).toHaveLength(20)
    const lanes = rob.core.stats().links.find(({ peer }) => peer === "bea")!.lanes
    expect(lanes.find(({ role }) => role === "audio")!.sentMessages).toBeGreaterThanOrEqual(20)
    expect(lanes.filter(({ role }) => role === "video").every(({ sentMessages }) => sentMessages === 0)).toBe(true)
  })

  test("repairs its own links with what it holds, and asks nobody above", async () => {
    const net = new TestNet(7)
    const [alice, rob, bea] = [net.node("alice"), middle(net), net.node("bea")]
    net.connect(alice, rob)
    net.connect(rob, bea, { loss: 0.03, videoLanes: 3 })
    net.epoch(1n)
    const stream = net.video()
    alice.core.publishStream(stream)
    await net.subscribe(alice, rob, stream, UNCAPPED, { deliver: !keyless })
    await net.subscribe(rob, bea, stream)
    const sent = await send(net, alice, stream, 60)
    expect(received(bea, stream).length).toBeGreaterThanOrEqual(sent.length - 1)
    const [up, down] = ["alice", "bea"].map((peer) => rob.core.stats().links.find((link) => link.peer === peer)!)
    expect(down!.rtxSent).toBeGreaterThan(0)
    expect(up!.nackSent).toBe(0)
  })
})

describe("a relay", () => {
  const lively = (net: TestNet) => net.node("rob", { enabled: true })

  test("sheds by policy, child by child, and wants from above what its children want between them", async () => {
    const { net, alice, middle: rob, children, stream } = await tree(["bea", "cid"], (net) => net.relay("rob"))
    const [bea, cid] = children as [TestNode, TestNode]
    const dot = { ...BLINKING_DOT, maxQuality: 255 }
    await net.subscribe(alice, rob, stream, UNCAPPED, { deliver: false })
    await net.subscribe(rob, bea, stream, dot)
    const demands = () => events(rob as TestRelay, "relay-demand").map(({ policy }) => policy)
    expect(demands()).toEqual([dot])
    await net.subscribe(rob, cid, stream)
    await net.advance(260)
    expect(demands()).toEqual([dot, UNCAPPED])
    await send(net, alice, stream, 20)
    expect(bea.frames(stream).every(({ frame }) => frame.temporalId === 0)).toBe(true)
    expect([bea, cid].map((child) => child.frames(stream).length)).toEqual([10, 20])
    rob.core.setSubscriberPolicy(stream.streamId, "cid", dot)
    rob.core.setSubscriberPolicy(stream.streamId, "cid", UNCAPPED)
    rob.core.setSubscriberPolicy(stream.streamId, "cid", dot)
    await net.advance(260)
    expect(demands()).toEqual([dot, UNCAPPED, dot])
    for (const child of ["bea", "cid"]) rob.core.removeSubscriber(stream.streamId, child)
    await net.advance(3_010)
    expect(demands()).toEqual([dot, UNCAPPED, dot, undefined])
    expect(rob.core.stats().relay).toMatchObject({ subscribers: 0, admittedBitrate: 0, streams: [] })
  })

  test("is asked for a stream it does not have: says what it needs, and after 5 s that nobody brings it (D-45)", async () => {
    const { net, alice, middle: rob, children, stream } = await tree(["bea"], (net) => net.relay("rob"))
    const asked = { streamId: stream.streamId, peer: "bea", subNonce: net.bytes(16), policy: UNCAPPED, via: ["alice"] }
    expect(await rob.core.addSubscriber(asked)).toEqual({ ok: true })
    expect(events(rob as TestRelay, "relay-demand")).toMatchObject([{ policy: UNCAPPED, via: ["alice"] }])
    await net.advance(5_010)
    const children_ = [{ peer: "bea", subNonce: asked.subNonce }]
    expect(events(rob as TestRelay, "no-upstream")).toMatchObject([{ streamId: stream.streamId, children: children_ }])
    // Asked again, and found in time.
    await net.subscribe(rob, children[0]!, stream)
    await net.advance(1_000)
    await net.subscribe(alice, rob, stream, UNCAPPED, { deliver: false })
    const sent = await send(net, alice, stream, 10)
    expect(received(children[0]!, stream)).toEqual(sent)
    await net.advance(6_000)
    expect(events(rob as TestRelay, "no-upstream")).toHaveLength(1)
  })

  test("shows a stream to be alive only while the source is heard (D-39)", async () => {
    const { net, alice, middle: rob, children, stream } = await tree(["bea"], lively, (net) => net.audio())
    await net.subscribe(alice, rob, stream)
    await net.subscribe(rob, children[0]!, stream)
    const silent = () => events(children[0]!, "stream-silent").length
    // A muted microphone: keep-alives come through.
    await net.advance(4_000)
    expect(silent()).toBe(0)
    alice.core.removeLink("rob")
    await net.advance(1_400)
    expect(silent()).toBe(0)
    await net.advance(1_300)
    expect(silent()).toBeGreaterThan(0)
  })

  test("two relays that feed each other do not keep each other alive", async () => {
    const net = new TestNet()
    const [alice, rob, sue] = [net.node("alice"), net.node("rob", { enabled: true }), net.node("sue", { enabled: true })]
    net.connect(alice, rob)
    net.connect(rob, sue)
    net.epoch(1n)
    const stream = net.video()
    alice.core.publishStream(stream)
    await net.subscribe(alice, rob, stream)
    await net.subscribe(rob, sue, stream)
    await net.subscribe(sue, rob, stream)
    const sent = await send(net, alice, stream, 10)
    expect([received(rob, stream), received(sue, stream)]).toEqual([sent, sent])
    // Nothing goes back to where it came from.
    expect(sue.core.stats().relay.streams[0]!.children).toMatchObject([{ peer: "rob", chunks: 0 }])
    alice.core.removeLink("rob")
    await net.advance(4_000)
    expect(events(sue, "stream-silent").length).toBeGreaterThan(0)
    expect(events(rob, "stream-silent").some(({ from }) => from === "sue")).toBe(true)
  })

  test("asks for a keyframe by itself for a new child, and gathers what its children ask (RM-19)", async () => {
    const { net, alice, middle: rob, children, stream } = await tree(["bea", "cid", "dan"], (net) => net.relay("rob"))
    await net.subscribe(alice, rob, stream, UNCAPPED, { deliver: false })
    const wanted = () => events(rob as TestRelay, "keyframe-wanted").length
    await net.subscribe(rob, children[0]!, stream)
    expect(wanted()).toBe(1)
    await net.advance(400)
    for (const child of children.slice(1)) await net.subscribe(rob, child, stream)
    for (const child of children) rob.core.requestKeyframe(stream.streamId, child.name)
    rob.core.requestKeyframe(stream.streamId, "somebody")
    expect(wanted()).toBe(2)
    await net.advance(310)
    expect(wanted()).toBe(3)
    await net.advance(1_000)
    expect(wanted()).toBe(3)
  })

  test("keeps its limits and names them", async () => {
    const limits = { maxStreams: 1, maxSubscribers: 2, maxSubscribersPerStream: 2, uplinkBitrate: 1_200_000 }
    const { net, alice, middle: rob, children, stream } = await tree(["bea", "cid", "dan"], (net) => net.relay("rob", limits))
    await net.subscribe(alice, rob, stream, UNCAPPED, { deliver: false })
    const ask = (peer: string, streamId = stream.streamId) =>
      rob.core.addSubscriber({ streamId, peer, subNonce: net.bytes(16), policy: UNCAPPED })
    expect(await ask("bea")).toEqual({ ok: true })
    expect(await ask("cid", net.bytes(32))).toEqual({ ok: false, error: "CapacityExceeded", limit: "max_streams" })
    expect(await ask("bea")).toEqual({ ok: true })
    // What comes in is measured: a second copy would be too much.
    await send(net, alice, stream, 75)
    expect(await ask("cid")).toEqual({ ok: false, error: "CapacityExceeded", limit: "uplink_mbps" })
    expect(children).toHaveLength(3)
    expect(rob.core.stats().relay.refused).toEqual({ max_streams: 1, uplink_mbps: 1 })
    rob.core.removeSubscriber(stream.streamId, "bea")
    expect(await ask("cid")).toEqual({ ok: true })
    expect(await ask("dan", new Uint8Array(32))).toMatchObject({ limit: "max_streams" })
  })

  test("takes nothing on beyond a limit that was set meanwhile, keeps whom it serves, and goes on when it is lifted", async () => {
    const { net, alice, middle: rob, stream } = await tree(["bea", "cid"], (net) => net.relay("rob"))
    await net.subscribe(alice, rob, stream, UNCAPPED, { deliver: false })
    const ask = (peer: string) =>
      rob.core.addSubscriber({ streamId: stream.streamId, peer, subNonce: net.bytes(16), policy: UNCAPPED })
    expect(await ask("bea")).toEqual({ ok: true })
    rob.core.limitUplink(600_000)
    expect(await ask("cid")).toEqual({ ok: false, error: "CapacityExceeded", limit: "uplink_mbps" })
    expect(rob.core.stats().relay.streams[0]?.children.map(({ peer }) => peer)).toEqual(["bea"])
    rob.core.limitUplink(undefined)
    expect(await ask("cid")).toEqual({ ok: true })
  })

  test("hands nothing on unless it was told to", async () => {
    const { net, alice, middle: rob, stream } = await tree(["bea"], (net) => net.node("rob"))
    await net.subscribe(alice, rob, stream)
    const asked = { streamId: stream.streamId, peer: "bea", subNonce: net.bytes(16), policy: UNCAPPED }
    expect(await rob.core.addSubscriber(asked)).toEqual({ ok: false, error: "StreamNotFound" })
  })

  test("goes on handing on when it no longer looks itself, and can look again", async () => {
    const { net, alice, middle, children, stream } = await tree(["bea"], lively)
    const rob = middle as TestNode
    await net.subscribe(alice, rob, stream)
    await net.subscribe(rob, children[0]!, stream)
    await send(net, alice, stream, 10)
    rob.core.deliverStream(stream.streamId, false)
    await send(net, alice, stream, 10, 10)
    expect([rob, children[0]!].map((node) => node.frames(stream).length)).toEqual([10, 20])
    rob.core.deliverStream(stream.streamId, true)
    await send(net, alice, stream, 10, 20)
    expect([rob, children[0]!].map((node) => node.frames(stream).length)).toEqual([20, 30])
    expect(rob.core.stats().stages.inner).toEqual({})
  })

  test("wants to look itself while its subscription is still being made", async () => {
    const { net, alice, middle, stream } = await tree(["bea"], lively)
    const rob = middle as TestNode
    const subNonce = net.bytes(16)
    const asked = rob.core.subscribeStream({ ...stream, from: "alice", subNonce, deliver: false })
    rob.core.deliverStream(stream.streamId, true)
    expect(await asked).toEqual({ ok: true })
    await alice.core.addSubscriber({ streamId: stream.streamId, peer: "rob", subNonce, policy: UNCAPPED })
    expect(received(rob, stream)).toEqual([])
    expect(await send(net, alice, stream, 5)).toEqual(received(rob, stream))
  })

  test("a child whose link is too narrow gets the base layer; the others get everything", async () => {
    const net = new TestNet(3)
    net.startRate = 2_000_000
    const [alice, rob, bea, cid] = [net.node("alice"), net.relay("rob"), net.node("bea"), net.node("cid")]
    net.connect(alice, rob)
    net.connect(rob, bea, { bottleneck: { rate: 66, buffer: 12_000 } })
    net.connect(rob, cid)
    net.epoch(1n)
    const stream = net.video()
    alice.core.publishStream(stream)
    await net.subscribe(alice, rob, stream, UNCAPPED, { deliver: false })
    await net.subscribe(rob, bea, stream)
    await net.subscribe(rob, cid, stream)
    await send(net, alice, stream, 240)
    const [child] = rob.core.stats().relay.streams[0]!.children
    expect(child).toMatchObject({ peer: "bea", fits: "base" })
    const late = bea.frames(stream).filter(({ frameId }) => frameId >= 160)
    expect(late.filter(({ frame }) => frame.temporalId === 0).length).toBeGreaterThanOrEqual(34)
    expect(cid.frames(stream).length).toBeGreaterThanOrEqual(238)
  })
})

describe("two parents", () => {
  async function diamond(more: (which: "rob" | "sue") => { symbolRange?: [number, number] } = () => ({})) {
    const net = new TestNet(5)
    const [alice, rob, sue, bea] = [net.node("alice"), net.relay("rob"), net.relay("sue"), net.node("bea", { enabled: true })]
    const cid = net.node("cid")
    for (const relay of [rob, sue]) {
      net.connect(alice, relay)
      net.connect(relay, bea)
    }
    net.connect(bea, cid)
    net.epoch(1n)
    const stream = net.video()
    alice.core.publishStream(stream)
    for (const relay of [rob, sue]) await net.subscribe(alice, relay, stream, UNCAPPED, { deliver: false })
    await net.subscribe(rob, bea, stream, UNCAPPED, more("rob"))
    await net.subscribe(sue, bea, stream, UNCAPPED, more("sue"))
    return { net, alice, rob, sue, bea, cid, stream }
  }

  test("bring every chunk twice; it is shown and handed on once, and either parent alone is enough", async () => {
    const { net, alice, rob, bea, cid, stream } = await diamond()
    await net.subscribe(bea, cid, stream)
    const sent = await send(net, alice, stream, 20)
    expect([received(bea, stream), received(cid, stream)]).toEqual([sent, sent])
    const [receives] = bea.core.stats().receive
    expect(receives!.duplicates).toBeGreaterThan(40)
    const [relayed] = bea.core.stats().relay.streams
    expect(relayed!.duplicates).toBe(receives!.duplicates)
    expect(relayed!.children[0]!.chunks).toBeLessThanOrEqual(relayed!.chunks)
    rob.core.close()
    const more = await send(net, alice, stream, 20, 20)
    expect(received(cid, stream)).toEqual([...sent, ...more])
  })

  test("each of a part of the symbols: complete, with little coming twice (D-29)", async () => {
    const { net, alice, rob, sue, bea, stream } = await diamond((which) => ({
      symbolRange: which === "rob" ? [0, 4] : [4, 65_536],
    }))
    const sent: string[] = []
    for (let frame = 0; frame < 40; frame++) {
      sent.push(print(alice.send(stream, frame, 8_000)))
      await net.advance(33)
    }
    await net.advance(150)
    expect(received(bea, stream)).toEqual(sent)
    const [all, low, high] = [
      rob.core.stats().relay.streams[0]!.chunks,
      ...[rob, sue].map(({ core }) => core.stats().relay.streams[0]!.children[0]!.chunks),
    ] as [number, number, number]
    expect(low).toBeLessThan(0.65 * all)
    expect(high).toBeLessThan(0.75 * all)
    expect(low + high).toBeGreaterThanOrEqual(all)
    expect(events(bea, "stream-silent")).toEqual([])
  })

  test("the publisher can be one of them", async () => {
    const net = new TestNet(9)
    const [alice, rob, bea] = [net.node("alice"), net.relay("rob"), net.node("bea")]
    net.connect(alice, rob)
    net.connect(alice, bea)
    net.connect(rob, bea)
    net.epoch(1n)
    const stream = net.video()
    alice.core.publishStream(stream)
    await net.subscribe(alice, rob, stream, UNCAPPED, { deliver: false })
    await net.subscribe(alice, bea, stream, UNCAPPED, { symbolRange: [0, 3] })
    await net.subscribe(rob, bea, stream, UNCAPPED, { symbolRange: [3, 65_536] })
    const sent: string[] = []
    for (let frame = 0; frame < 30; frame++) {
      // Small ones among them, which have no repair at their ends: nothing is left out there either.
      sent.push(print(alice.send(stream, frame, frame % 3 === 0 ? 1_800 : 7_000)))
      await net.advance(33)
    }
    await net.advance(150)
    expect(received(bea, stream)).toEqual(sent)
  })
})
