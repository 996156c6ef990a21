import { beforeAll, describe, expect, test } from "vitest"
import { initFountainFromPackage } from "../../fountain/node.ts"
import { deriveTransitKey, OuterSealer, TransitKeyRegistry } from "../../seal/outer/index.ts"
import { utf8Encode } from "../../wire/bytes.ts"
import { writeChunkHeader } from "../../wire/chunk.ts"
import { encodeLaneNack, LANE_DATA, LANE_HEADER_LENGTH, writeLaneHeader } from "../../wire/lane-message.ts"
import { CODEC_FOUNTAIN, LAYER_BASE, UNCAPPED } from "../../wire/layers.ts"
import type { Bytes, ChunkHeader } from "../../wire/types.ts"
import { settle, TestNet, type TestNode } from "../mesh/test-net.ts"
import type { MeshStream } from "../mesh/types.ts"

beforeAll(initFountainFromPackage)

/**
 * alice publishes; `rob` hands on to bea. `mal` is a second parent of rob with a real subscription, and a child of rob; nothing else
 * about it is honest.
 */
async function scene(keyless: boolean) {
  const net = new TestNet(11)
  const alice = net.node("alice")
  const rob = keyless ? net.relay("rob") : net.node("rob", { enabled: true })
  const [bea, mal] = [net.node("bea"), net.node("mal")]
  net.connect(alice, rob)
  net.connect(rob, bea)
  const malKey = net.connect(rob, mal)
  net.epoch(1n, [alice, bea, ...(keyless ? [] : [rob as TestNode])])
  const stream = net.video()
  alice.core.publishStream(stream)
  await net.subscribe(alice, rob, stream, UNCAPPED, { deliver: !keyless })
  await net.subscribe(rob, bea, stream)
  const subNonce = net.bytes(16)
  await rob.core.subscribeStream({ ...stream, from: "mal", subNonce, deliver: !keyless })
  const transitKey = await deriveTransitKey(malKey, stream.streamId, "mal", "rob", subNonce)
  const sealer = await OuterSealer.create({ transitKey, linkId: utf8Encode("rob"), registry: new TransitKeyRegistry() })
  const lane = net.lane("rob", "mal", 2)
  let laneSeq = 0
  /** Gives rob a chunk over mal's subscription, or any bytes as a link frame. */
  const give = (frame: Bytes) => {
    const message = new Uint8Array(LANE_HEADER_LENGTH + frame.length)
    message.set(frame, LANE_HEADER_LENGTH)
    writeLaneHeader(message, LANE_DATA, laneSeq++ & 0xffffff, 0)
    lane.inject(message)
  }
  const offer = async (header: Partial<ChunkHeader>, length = 200) => {
    const chunk = new Uint8Array(52 + length)
    const usual = { streamId: stream.streamId, epoch: 1n, chunkSeq: 0n, codecId: CODEC_FOUNTAIN, layer: LAYER_BASE }
    writeChunkHeader(chunk, { ...usual, ...header })
    chunk.set(net.bytes(length), 52)
    give(await sealer.seal(chunk))
  }
  /** alice sends frames; all of them must be shown at bea. */
  const honestGoesOn = async (first: number, count = 10) => {
    const before = bea.frames(stream).length
    for (let frame = first; frame < first + count; frame++) {
      alice.send(stream, frame, 2_500)
      await net.advance(33)
    }
    await net.advance(200)
    expect(bea.frames(stream).length - before).toBe(count)
  }
  return { net, alice, rob, bea, mal, stream, give, offer, honestGoesOn }
}

describe.each([
  ["a member", false],
  ["a keyless relay", true],
] as const)("%s goes on serving honest children while a parent or child", (_, keyless) => {
  test("sends garbage of every length, wrong keys and bent frames", async () => {
    const { net, rob, give, honestGoesOn } = await scene(keyless)
    await honestGoesOn(0)
    for (let length = 0; length < 200; length += 3) give(net.bytes(length))
    for (const first of [1, 2, 3, 0]) give(Uint8Array.of(first, ...net.bytes(120)))
    await honestGoesOn(10)
    const { stages, relay } = rob.core.stats()
    expect(Object.values(stages.outer).reduce((a, b) => a + b, 0)).toBeGreaterThan(60)
    expect(relay.streams[0]!.children.map(({ peer }) => peer)).toEqual(["bea"])
  })

  test("replays frames that were good once, on this link or another one", async () => {
    const { net, rob, bea, stream, honestGoesOn } = await scene(keyless)
    const seen: { bytes: Bytes; from: string; laneId: number }[] = []
    net.tap = (bytes, { from, to, laneId }) => {
      if (to === "rob" && laneId === 2) seen.push({ bytes: bytes.slice(), from, laneId })
      return [bytes]
    }
    await honestGoesOn(0)
    const chunks = rob.core.stats().relay.streams[0]!.chunks
    for (const { bytes, from, laneId } of seen) {
      net.lane("rob", from, laneId).inject(bytes)
      net.lane("rob", "mal", 2).inject(bytes)
      net.lane("rob", "bea", 2).inject(bytes)
    }
    await settle()
    expect(rob.core.stats().relay.streams[0]!.chunks).toBe(chunks)
    expect(rob.core.stats().stages.outer.LinkReplay).toBeGreaterThan(0)
    await honestGoesOn(10)
    expect(bea.frames(stream)).toHaveLength(20)
  })

  test("changes headers on the way: no chunk with a changed header is handed on (D-8)", async () => {
    const { net, bea, stream, alice, rob, honestGoesOn } = await scene(keyless)
    const bent = new Set<string>()
    net.tap = (bytes, { from, to, laneId }) => {
      if (from !== "alice" || to !== "rob" || laneId === 1 || bytes.length < 150 || net.random() < 0.7) return [bytes]
      const copy = bytes.slice()
      const at = LANE_HEADER_LENGTH + 9 + 48 + Math.floor(net.random() * 4)
      copy[at] = copy[at]! ^ 1
      bent.add(`${bytes.length}`)
      return [copy]
    }
    for (let frame = 0; frame < 20; frame++) {
      alice.send(stream, frame, 2_500)
      await net.advance(33)
    }
    await net.advance(200)
    expect(bent.size).toBeGreaterThan(0)
    expect(rob.core.stats().stages.outer.OuterAead).toBeGreaterThan(0)
    expect(bea.drops("inner", "InnerAead")).toBe(0)
    net.tap = (bytes) => [bytes]
    await honestGoesOn(20)
  })

  test("brings chunks of other streams, and chunks nobody subscribed to it for", async () => {
    const { net, rob, bea, offer, honestGoesOn } = await scene(keyless)
    await honestGoesOn(0)
    const { chunks } = rob.core.stats().relay.streams[0]!
    for (let n = 0; n < 50; n++) await offer({ streamId: net.bytes(32), chunkSeq: BigInt(n) })
    await net.advance(20)
    expect(rob.core.stats().stages.outer.UnknownStream).toBe(50)
    expect(rob.core.stats().relay.streams[0]!.chunks).toBe(chunks)
    expect(bea.drops("outer", "UnknownStream")).toBe(0)
    await honestGoesOn(10)
  })

  test("floods: more than is opened at a time is dropped unread, and the flood of one link costs the others nothing", async () => {
    const { net, rob, give, honestGoesOn } = await scene(keyless)
    await honestGoesOn(0)
    const frame = new Uint8Array(1_100)
    frame.set([1], 0)
    for (let n = 0; n < 3_000; n++) give(frame)
    await settle()
    expect(rob.core.stats().links.find(({ peer }) => peer === "mal")!.drops.UnknownStream).toBeGreaterThan(0)
    await net.advance(5)
    await honestGoesOn(10)
  })

  test("makes up numbers and epochs that are far ahead", async () => {
    const { net, offer, honestGoesOn } = await scene(keyless)
    await honestGoesOn(0)
    for (const [epoch, chunkSeq] of [
      [1n, 2n ** 62n],
      [2n ** 63n, 1n],
      [7n, 2n ** 63n],
      [2n, 5n],
    ] as const) {
      await offer({ epoch, chunkSeq })
    }
    await net.advance(50)
    await honestGoesOn(10)
  })

  test("asks for what it never got, and for more than there is", async () => {
    const { net, rob, honestGoesOn } = await scene(keyless)
    await honestGoesOn(0)
    for (let n = 0; n < 200; n++) {
      const laneSeqs = Array.from({ length: 64 }, (_unused, i) => (n * 64 + i) & 0xffffff)
      net.lane("rob", "mal", 1).inject(encodeLaneNack(2, laneSeqs))
      rob.core.requestKeyframe(net.bytes(32), "mal")
    }
    await net.advance(50)
    await honestGoesOn(10)
    expect(rob.core.stats().links.find(({ peer }) => peer === "mal")!.rtxSent).toBe(0)
  })

  test("subscribes again and again, to everything", async () => {
    const { net, rob, stream, honestGoesOn } = await scene(keyless)
    await honestGoesOn(0)
    const answers: string[] = []
    for (let n = 0; n < 400; n++) {
      const streamId = n % 2 === 0 ? stream.streamId : net.bytes(32)
      const answer = await rob.core.addSubscriber({ streamId, peer: "mal", subNonce: net.bytes(16), policy: UNCAPPED })
      answers.push(answer.ok ? "ok" : answer.error)
    }
    expect(answers.filter((answer) => answer === "CapacityExceeded").length).toBeGreaterThan(200)
    expect(rob.core.stats().relay.subscribers).toBeLessThanOrEqual(32)
    await honestGoesOn(10)
    await net.advance(9_000)
    expect(rob.core.stats().relay.streams).toHaveLength(1)
  })
})

test("a member checks what a parent with forged chunks brings before it hands it on, so that good copies get through", async () => {
  const { net, alice, rob, bea, stream, offer } = await scene(false)
  // mal knows which numbers come next and is always first with a forgery.
  let next = 0n
  for (let frame = 0; frame < 60; frame++) {
    for (let n = 0; n < 8; n++) await offer({ chunkSeq: next + BigInt(n) })
    await settle()
    alice.send(stream, frame, 2_500)
    await net.advance(33)
    next = BigInt(alice.core.stats().send[0]!.chunks)
  }
  await net.advance(200)
  // The first forgery is handed on unseen; from then on mal's chunks go nowhere.
  expect(bea.frames(stream).length).toBeGreaterThanOrEqual(58)
  expect(bea.drops("inner", "InnerAead")).toBeLessThan(20)
  expect((rob as TestNode).drops("inner", "InnerAead")).toBeGreaterThan(300)
})

test("a relay that was never given a key cannot read what it hands on", async () => {
  const net = new TestNet()
  const [alice, bea] = [net.node("alice"), net.node("bea")]
  // As much of a member as can be without the group: it subscribes to everything, as if to show it.
  const rob = net.node("rob", { enabled: true })
  net.connect(alice, rob)
  net.connect(rob, bea)
  net.epoch(1n, [alice, bea])
  const streams: MeshStream[] = [net.video(), net.audio()]
  for (const stream of streams) {
    alice.core.publishStream(stream)
    await net.subscribe(alice, rob, stream)
    await net.subscribe(rob, bea, stream)
  }
  for (let frame = 0; frame < 10; frame++) {
    for (const stream of streams) alice.send(stream, frame, 100, stream.kind === "audio" ? { durationMs: 20 } : {})
    await net.advance(33)
  }
  await net.advance(3_000)
  for (const stream of streams) {
    expect(bea.frames(stream)).toHaveLength(10)
    expect(rob.frames(stream)).toEqual([])
  }
  expect(rob.core.stats().epoch).toBeUndefined()
})
