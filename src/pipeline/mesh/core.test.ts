import { beforeAll, describe, expect, test } from "vitest"
import { initFountainFromPackage } from "../../fountain/node.ts"
import { ContentKeys, StreamSealer } from "../../seal/inner/index.ts"
import { deriveTransitKey, OuterSealer, TransitKeyRegistry } from "../../seal/outer/index.ts"
import { utf8Encode } from "../../wire/bytes.ts"
import { encodeLaneData, LANE_DATA } from "../../wire/lane-message.ts"
import { BLINKING_DOT, CODEC_MDC, LAYER_BASE, UNCAPPED } from "../../wire/layers.ts"
import { encodeMediaPayload } from "../../wire/media-payload.ts"
import type { Bytes } from "../../wire/types.ts"
import { settle, TestNet, type TestNode } from "./test-net.ts"
import type { MeshStream } from "./types.ts"

beforeAll(initFountainFromPackage)

interface Call {
  net: TestNet
  alice: TestNode
  bob: TestNode
  stream: MeshStream
}

async function call(quality = {}, make: (net: TestNet) => MeshStream = (net) => net.video(), seed = 1): Promise<Call> {
  const net = new TestNet(seed)
  const [alice, bob] = [net.node("alice"), net.node("bob")]
  net.connect(alice, bob, quality)
  net.epoch(1n)
  const stream = make(net)
  expect(alice.core.publishStream(stream)).toEqual({ ok: true })
  await net.subscribe(alice, bob, stream)
  return { net, alice, bob, stream }
}

/** 30 frames per second, a keyframe first; returns what was sent by frame id. */
async function play({ net, alice, stream }: Call, count: number, from = 0, length = (id: number) => 500 + (id % 7) * 900) {
  const sent = new Map<number, Bytes>()
  for (let id = from; id < from + count; id++) {
    const temporalId = stream.kind === "video" ? id % 2 : 0
    sent.set(id, alice.send(stream, id, length(id), { keyframe: id === from, temporalId }))
    await net.advance(33)
  }
  await net.advance(100)
  return sent
}

function expectIntact(bob: TestNode, stream: MeshStream, sent: Map<number, Bytes>): Set<number> {
  const got = new Set<number>()
  for (const { frameId, frame } of bob.frames(stream)) {
    expect(got.has(frameId), `frame ${frameId} twice`).toBe(false)
    got.add(frameId)
    expect(new Uint8Array(frame.data)).toEqual(sent.get(frameId))
    expect(frame.ptsUs).toBe(frameId * 33_333)
  }
  return got
}

describe("a stream between two members", () => {
  test.each([
    ["fountain, profile 1", (net: TestNet) => net.video(true, 1)],
    ["fountain, profile 0", (net: TestNet) => net.video(true, 0)],
    ["fragments", (net: TestNet) => net.video(false)],
    ["a description (D-33)", (net: TestNet) => ({ ...net.video(), codecId: CODEC_MDC })],
    ["audio", (net: TestNet) => net.audio()],
  ])("%s arrives whole over a good network", async (_name, make) => {
    const c = await call({}, make)
    const length = c.stream.kind === "audio" ? () => 80 : undefined
    const sent = await play(c, 20, 0, length)
    expect(expectIntact(c.bob, c.stream, sent).size).toBe(20)
    const [first, second] = c.bob.frames(c.stream)
    expect([first!.frame.keyframe, second!.frame.keyframe]).toEqual([true, false])
    if (c.stream.kind === "video") expect(second!.frame.temporalId).toBe(1)
    else expect(first!.frame.durationMs).toBe(20)
    const [receive] = c.bob.core.stats().receive
    expect(receive).toMatchObject({ frames: 20, lostFrames: 0, from: ["alice"] })
  })

  test("a big keyframe passes the gates of two slow lanes, base layer first", async () => {
    const c = await call({ rate: 400 })
    const sent = await play(c, 4, 0, (id) => (id === 0 ? 40_000 : 2_000))
    expect(expectIntact(c.bob, c.stream, sent).size).toBe(4)
    const [link] = c.alice.core.stats().links
    expect(link!.lanes.some((lane) => lane.gateRefusals > 0)).toBe(true)
    expect(link!.shed).toBe(0)
  })

  test("a frame of several fountain objects arrives", async () => {
    const c = await call()
    const sent = await play(c, 2, 0, (id) => (id === 0 ? 250_000 : 100))
    expect(expectIntact(c.bob, c.stream, sent).size).toBe(2)
  })

  test("loss, reordering and duplicates: what comes is intact and comes once; most comes", async () => {
    for (const seed of [1, 2, 3]) {
      const c = await call({ loss: 0.05, jitterMs: 40, duplicates: 0.05 }, undefined, seed)
      const sent = await play(c, 100)
      expect(expectIntact(c.bob, c.stream, sent).size).toBeGreaterThan(95)
      const [receive] = c.bob.core.stats().receive
      const [link] = c.alice.core.stats().links
      // What repair symbols did not save was sent again.
      expect(receive!.repairedFrames).toBeGreaterThan(0)
      expect(link!.rtxSent).toBeGreaterThan(5)
      expect(c.bob.drops("outer", "LinkReplay")).toBeGreaterThan(0)
      const lanes = c.bob.core.stats().links[0]!.lanes
      expect(lanes.reduce((sum, lane) => sum + lane.lostMessages, 0)).toBeGreaterThan(5)
      const reported = c.alice.core.stats().links[0]!.lanes.filter((lane) => lane.role === "video")
      for (const lane of reported) expect(lane.reportedLoss).toBeGreaterThan(0)
    }
  })

  test("messages that only overtake each other count as no repair", async () => {
    const c = await call({ jitterMs: 25 })
    const sent = await play(c, 80)
    expect(expectIntact(c.bob, c.stream, sent).size).toBe(80)
    expect(c.bob.frames(c.stream).some((f) => f.repaired)).toBe(true)
    expect(c.bob.core.stats().receive[0]!.repairedFrames).toBe(0)
  })

  test("a stalled link sheds old messages instead of delaying new ones", async () => {
    const c = await call({ rate: 30 })
    await play(c, 60, 0, () => 4_000)
    const [link] = c.alice.core.stats().links
    expect(link!.shed).toBeGreaterThan(10)
    // What would follow the lost base frame is not sent in vain; a keyframe is asked for instead.
    expect(c.alice.toPublisher.filter((message) => message.type === "keyframe").length).toBeGreaterThan(1)
    expect(link!.queued).toBeLessThan(60)
    for (const lane of link!.lanes) expect(lane.bufferedAmount).toBeLessThan(9_200 + 1_200)
  })
})

describe("subscriptions", () => {
  test("policies decide per subscriber; a capped one gets the base layer without repair", async () => {
    const net = new TestNet()
    const [alice, bob, carol] = [net.node("alice"), net.node("bob"), net.node("carol")]
    net.connect(alice, bob)
    net.connect(alice, carol)
    net.epoch(1n)
    const stream = net.video()
    alice.core.publishStream(stream)
    await net.subscribe(alice, bob, stream, UNCAPPED)
    await net.subscribe(alice, carol, stream, BLINKING_DOT)
    await play({ net, alice, bob, stream }, 20)
    expect(bob.frames(stream).length).toBe(20)
    expect(carol.frames(stream).map((f) => f.frameId)).toEqual([0, 2, 4, 6, 8, 10, 12, 14, 16, 18])
    const [toBob, toCarol] = alice.core.stats().links.map((l) => l.lanes.reduce((sum, lane) => sum + lane.sentMessages, 0))
    expect(toCarol).toBeLessThan(toBob! / 2)
    expect(alice.core.stats().send[0]!.subscribers).toEqual(["bob", "carol"])
    expect(alice.core.setSubscriberPolicy(stream.streamId, "carol", UNCAPPED)).toEqual({ ok: true })
    await play({ net, alice, bob, stream }, 4, 20)
    expect(carol.frames(stream).length).toBe(14)
  })

  test("a link that stalls or dies does not touch the others", async () => {
    const net = new TestNet()
    const [alice, bob, carol] = [net.node("alice"), net.node("bob"), net.node("carol")]
    net.connect(alice, bob)
    net.connect(alice, carol, { rate: 1 })
    net.epoch(1n)
    const stream = net.video()
    alice.core.publishStream(stream)
    await net.subscribe(alice, bob, stream)
    await net.subscribe(alice, carol, stream)
    const sent = await play({ net, alice, bob, stream }, 20)
    for (const laneId of [1, 2, 3]) net.lane("alice", "carol", laneId).close()
    for (const [id, bytes] of await play({ net, alice, bob, stream }, 20, 20)) sent.set(id, bytes)
    expect(expectIntact(bob, stream, sent).size).toBe(40)
    alice.core.removeLink("carol")
    expect(alice.core.stats().send[0]!.subscribers).toEqual(["bob"])
    expect(alice.core.stats().links.map((l) => l.peer)).toEqual(["bob"])
  })

  test("refusals are answers", async () => {
    const { net, alice, bob, stream } = await call()
    const subNonce = net.bytes(16)
    const ask = { streamId: stream.streamId, peer: "bob", subNonce, policy: UNCAPPED }
    expect(await alice.core.addSubscriber(ask)).toEqual({ ok: true })
    expect(await alice.core.addSubscriber(ask)).toEqual({ ok: false, error: "TransitKeyReuse" })
    expect(await alice.core.addSubscriber({ ...ask, peer: "mallory" })).toEqual({ ok: false, error: "SessionClosed" })
    const unknown = net.bytes(32)
    expect(await alice.core.addSubscriber({ ...ask, streamId: unknown })).toEqual({ ok: false, error: "StreamNotFound" })
    expect(alice.core.removeSubscriber(unknown, "bob")).toEqual({ ok: false, error: "SubscriberNotFound" })
    expect(alice.core.setSubscriberPolicy(stream.streamId, "x", UNCAPPED)).toEqual({ ok: false, error: "SubscriberNotFound" })
    expect(await bob.core.subscribeStream({ ...stream, from: "mallory", subNonce })).toEqual({
      ok: false,
      error: "SessionClosed",
    })
    expect(alice.core.removeSubscriber(stream.streamId, "bob")).toEqual({ ok: true })
  })

  test("a new subscription asks for a keyframe and gets nothing before it", async () => {
    const { net, alice, bob, stream } = await call()
    expect(alice.toPublisher.filter((m) => m.type === "keyframe")).toHaveLength(1)
    alice.send(stream, 0, 500, { keyframe: false })
    await net.advance(50)
    expect(bob.frames(stream)).toHaveLength(0)
    alice.send(stream, 1, 500, { keyframe: true })
    alice.send(stream, 2, 500, { keyframe: false })
    await net.advance(50)
    // Frames of one moment are sealed side by side; putting them in order is the receiver's part.
    expect(
      bob
        .frames(stream)
        .map((f) => f.frameId)
        .sort(),
    ).toEqual([1, 2])
  })

  test("subscribing again goes on without a hole: the old key opens for two seconds", async () => {
    const c = await call({ delayMs: 60 })
    const { net, alice, bob, stream } = c
    const sent = await play(c, 5)
    const subNonce = net.bytes(16)
    alice.send(stream, 5, 700)
    const inFlight = sent.set(5, new Uint8Array())
    expect(inFlight.size).toBe(6)
    await net.advance(20)
    await bob.core.subscribeStream({ ...stream, from: "alice", subNonce })
    await net.advance(60)
    expect(bob.frames(stream).map((f) => f.frameId)).toContain(5)
    await alice.core.addSubscriber({ streamId: stream.streamId, peer: "bob", subNonce, policy: UNCAPPED })
    alice.send(stream, 6, 700, { keyframe: true })
    await net.advance(100)
    expect(bob.frames(stream).map((f) => f.frameId)).toEqual([0, 1, 2, 3, 4, 5, 6])
    expect(bob.core.stats().stages.outer).toEqual({})
  })

  test("the encoder rests after five seconds without a subscriber and wakes with the next", async () => {
    const { net, alice, bob, stream } = await call()
    alice.core.removeSubscriber(stream.streamId, "bob")
    await net.advance(5_100)
    expect(alice.toPublisher.at(-1)).toMatchObject({ type: "active", active: false })
    expect(alice.core.stats().send[0]!.active).toBe(false)
    await net.subscribe(alice, bob, stream)
    expect(alice.toPublisher.slice(-2).map((m) => m.type)).toEqual(["active", "keyframe"])
    expect(alice.events.filter((e) => e.type === "stream-active").map((e) => e.active)).toEqual([false, true])
  })

  test("requests for keyframes go to the publisher from subscribers only, and up at most every 300 ms", async () => {
    const { net, alice, bob, stream } = await call()
    const key = bob.core.stats().receive.length
    expect(key).toBe(1)
    const before = alice.toPublisher.length
    alice.core.requestKeyframe(stream.streamId, "mallory")
    expect(alice.toPublisher.length).toBe(before)
    alice.core.requestKeyframe(stream.streamId, "bob")
    expect(alice.toPublisher.length).toBe(before + 1)
    const streamKey = Buffer.from(stream.streamId).toString("hex")
    for (let i = 0; i < 7; i++) {
      bob.core.needKeyframe(streamKey)
      await net.advance(100)
    }
    const wanted = bob.events.filter((e) => e.type === "keyframe-wanted")
    expect(wanted).toHaveLength(3)
    expect(wanted[0]).toEqual({ type: "keyframe-wanted", streamId: stream.streamId, from: "alice" })
  })
})

describe("silence", () => {
  test("keep-alives hold a muted stream up; real silence is told", async () => {
    const c = await call({}, (net) => net.audio())
    await play(c, 2, 0, () => 50)
    await c.net.advance(4_000)
    expect(c.bob.events.some((e) => e.type === "stream-silent")).toBe(false)
    expect(c.bob.events.filter((e) => e.type === "stream-started")).toHaveLength(1)
    const heard = c.bob.events.filter((e) => e.type === "heard")
    expect(heard.length).toBeGreaterThanOrEqual(3)
    expect(heard.length).toBeLessThanOrEqual(6)
    c.alice.core.removeSubscriber(c.stream.streamId, "bob")
    await c.net.advance(4_000)
    const silent = c.bob.events.filter((e) => e.type === "stream-silent")
    expect(silent.length).toBe(2)
    expect(silent[0]!.silentMs).toBeGreaterThanOrEqual(1_500)
  })
})

describe("epochs", () => {
  test("changes without a lost frame, whoever learns of the commit first", async () => {
    for (const late of ["alice", "bob"] as const) {
      const c = await call({ delayMs: 20, jitterMs: 10 })
      const { net, alice, bob, stream } = c
      const sent = await play(c, 5)
      const rootSecret = net.bytes(32)
      const install = (node: TestNode) =>
        node.core.keys({ type: "epoch", epoch: 2n, rootSecret: rootSecret.slice(), members: 2, sealNow: late === "bob" })
      install(late === "alice" ? bob : alice)
      for (const [id, bytes] of await play(c, 5, 5)) sent.set(id, bytes)
      if (late === "bob") {
        expect(bob.core.stats().receive[0]!.held).toBeGreaterThan(0)
        expect(bob.events.filter((e) => e.type === "unknown-epoch")).toContainEqual({
          type: "unknown-epoch",
          epoch: 2n,
          from: "alice",
        })
      }
      install(late === "alice" ? alice : bob)
      await settle()
      for (const [id, bytes] of await play(c, 10, 10)) sent.set(id, bytes)
      expect([...expectIntact(bob, stream, sent)].sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, i) => i))
      expect(alice.core.stats()).toMatchObject({ epoch: 2n, sealEpoch: 2n })
      expect(bob.core.stats().stages.hold).toEqual({})
    }
  })

  test("a frame whose key came late counts as come when its chunks did: the path was not slower", async () => {
    const c = await call()
    const { net, alice, bob, stream } = c
    const rootSecret = net.epoch(2n, [alice], true)
    await play(c, 3)
    const before = 1_700_000_000_000_000 + net.now * 1_000
    await net.advance(500)
    bob.core.keys({ type: "epoch", epoch: 2n, rootSecret: rootSecret.slice(), members: 2, sealNow: true })
    await settle()
    expect(bob.frames(stream).map(({ frameId }) => frameId)).toEqual([0, 1, 2])
    for (const { arrivalUs } of bob.frames(stream)) expect(arrivalUs).toBeLessThanOrEqual(before)
  })

  test("after a removal nothing is sealed with the old key, and the removed member opens nothing", async () => {
    const c = await call()
    const { net, alice, bob, stream } = c
    await play(c, 3)
    net.epoch(2n, [alice], true)
    await play(c, 5, 3)
    expect(bob.frames(stream)).toHaveLength(3)
    await net.advance(2_500)
    expect(bob.drops("hold", "UnknownEpoch")).toBeGreaterThan(5)
    expect(bob.core.stats().receive[0]!.held).toBe(0)
  })

  test("an erased mesh opens and seals nothing", async () => {
    const c = await call()
    await play(c, 2)
    c.alice.core.keys({ type: "erase" })
    c.bob.core.keys({ type: "erase" })
    await play(c, 2, 2)
    expect(c.bob.frames(c.stream)).toHaveLength(2)
    expect(c.alice.drops("send", "UnknownEpoch")).toBe(2)
    expect(c.alice.core.stats().epoch).toBeUndefined()
  })
})

describe("several neighbours", () => {
  test("a chunk that two parents bring is delivered once, and either parent may go", async () => {
    const net = new TestNet()
    const [alice, carol, bob] = [net.node("alice"), net.node("carol"), net.node("bob")]
    const sessions = { alice: net.connect(alice, bob), carol: net.connect(carol, bob) }
    const rootSecret = net.epoch(1n)
    const stream = net.video(false)
    const keys = new ContentKeys()
    keys.install(1n, rootSecret, 0)
    const sealer = new StreamSealer({ streamId: stream.streamId, keys })
    const hops = new Map<"alice" | "carol", OuterSealer>()
    for (const parent of ["alice", "carol"] as const) {
      const subNonce = net.bytes(16)
      expect(await bob.core.subscribeStream({ ...stream, from: parent, subNonce })).toEqual({ ok: true })
      const transitKey = await deriveTransitKey(sessions[parent], stream.streamId, parent, "bob", subNonce)
      const registry = new TransitKeyRegistry()
      hops.set(parent, await OuterSealer.create({ transitKey, linkId: utf8Encode("bob"), registry }))
    }
    let frameId = 0
    const send = async (...parents: ("alice" | "carol")[]) => {
      const facts = { kind: 1, keyframe: true, lastFragment: true, discontinuity: false, aux: 0, ptsUs: 0n }
      const plaintext = encodeMediaPayload({ ...facts, frameId: frameId++, fragIndex: 0, fragCount: 1, body: net.bytes(10) })
      const chunk = await sealer.seal(plaintext, stream.codecId, LAYER_BASE)
      for (const parent of parents) {
        net.lane("bob", parent, 2).inject(encodeLaneData(frameId, 0, await hops.get(parent)!.seal(chunk)))
      }
      await settle()
    }
    await send("alice", "carol")
    await send("carol", "alice")
    expect(bob.core.stats().receive[0]).toMatchObject({ frames: 2, chunks: 2, duplicates: 2, from: ["alice", "carol"] })
    bob.core.removeLink("alice")
    await send("alice", "carol")
    expect(bob.core.stats().receive[0]).toMatchObject({ frames: 3, from: ["carol"] })
    bob.core.unsubscribeStream(stream.streamId, "carol")
    expect(bob.core.stats().receive).toEqual([])
    await send("carol")
    expect(bob.frames(stream)).toHaveLength(3)
  })

  test("every message on a lane is one packet long at most", async () => {
    const c = await call()
    let longest = 0
    c.net.tap = (bytes) => {
      longest = Math.max(longest, bytes.length)
      if (bytes[0] === LANE_DATA) expect(bytes.length).toBeLessThanOrEqual(1_156)
      return [bytes]
    }
    await play(c, 30, 0, (id) => 1 + id * 333)
    expect(longest).toBeGreaterThan(1_000)
  })
})
