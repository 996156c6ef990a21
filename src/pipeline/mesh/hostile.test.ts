import fc from "fast-check"
import { beforeAll, describe, expect, test } from "vitest"
import { initFountainFromPackage } from "../../fountain/node.ts"
import { ContentKeys, StreamSealer } from "../../seal/inner/index.ts"
import { deriveTransitKey, OuterSealer, TransitKeyRegistry } from "../../seal/outer/index.ts"
import { utf8Encode } from "../../wire/bytes.ts"
import { encodeFountainBody } from "../../wire/fountain-body.ts"
import { encodeLaneData, encodeLaneReport, LANE_DATA, LANE_HEADER_LENGTH, writeLaneHeader } from "../../wire/lane-message.ts"
import { CODEC_FOUNTAIN, CODEC_OPUS, LAYER_BASE } from "../../wire/layers.ts"
import { encodeMediaPayload, type MediaPayload } from "../../wire/media-payload.ts"
import type { Bytes } from "../../wire/types.ts"
import { MAX_OPENING } from "./hop/inbound.ts"
import { type FakeLane, settle, TestNet, type TestNode } from "./test-net.ts"
import type { MeshStream } from "./types.ts"

beforeAll(initFountainFromPackage)

interface Scene {
  net: TestNet
  alice: TestNode
  bob: TestNode
  stream: MeshStream
  /** Delivers to bob on lane 2. */
  toBob: FakeLane
  sessionKey: Bytes
  rootSecret: Bytes
}

async function scene(make = (net: TestNet) => net.video()): Promise<Scene> {
  const net = new TestNet()
  const [alice, bob] = [net.node("alice"), net.node("bob")]
  const sessionKey = net.connect(alice, bob)
  const rootSecret = net.epoch(1n)
  const stream = make(net)
  alice.core.publishStream(stream)
  await net.subscribe(alice, bob, stream)
  return { net, alice, bob, stream, toBob: net.lane("bob", "alice", 2), sessionKey, rootSecret }
}

/** A member that seals whatever it likes, correctly. */
async function evilMember({ net, bob, stream, sessionKey, rootSecret, toBob }: Scene, root = rootSecret, session = sessionKey) {
  const subNonce = net.bytes(16)
  await bob.core.subscribeStream({ ...stream, from: "alice", subNonce })
  const transitKey = await deriveTransitKey(session, stream.streamId, "alice", "bob", subNonce)
  const registry = new TransitKeyRegistry()
  const outer = await OuterSealer.create({ transitKey, linkId: utf8Encode("bob"), registry, profile: stream.sealProfile })
  const keys = new ContentKeys()
  keys.install(1n, root, 0)
  const inner = new StreamSealer({ streamId: stream.streamId, keys, profile: stream.sealProfile })
  let laneSeq = 0
  return async (plaintext: Bytes, codecId = CODEC_FOUNTAIN) => {
    const message = await outer.seal(await inner.seal(plaintext, codecId, LAYER_BASE), LANE_HEADER_LENGTH)
    writeLaneHeader(message, LANE_DATA, laneSeq++, 0)
    toBob.inject(message)
    await settle()
  }
}

function payload(more: Partial<MediaPayload> = {}): Bytes {
  const facts = { kind: 3, keyframe: true, lastFragment: true, discontinuity: false, aux: 0, ptsUs: 0n, frameId: 0 }
  return encodeMediaPayload({ ...facts, fragIndex: 0, fragCount: 1, body: new Uint8Array(0), ...more })
}

/** The stream still works and nothing but the given frames came out. */
async function expectAlive({ net, alice, bob, stream }: Scene, frameId = 1_000): Promise<void> {
  const before = bob.frames(stream).length
  const bytes = alice.send(stream, frameId, 3_000, { keyframe: true })
  await net.advance(60)
  const frames = bob.frames(stream)
  expect(frames.length).toBe(before + 1)
  expect(new Uint8Array(frames.at(-1)!.frame.data)).toEqual(bytes)
}

describe("a hostile neighbour", () => {
  test("garbage of any length is dropped and counted, and the stream goes on", async () => {
    const s = await scene()
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.uint8Array({ maxLength: 150, size: "max" }), fc.uint8Array({ minLength: 1_150, maxLength: 1_160 })),
        fc.constantFrom(undefined, 0x10, 0x11, 0x12, 0x13),
        async (bytes, first) => {
          if (first !== undefined && bytes.length > 0) bytes[0] = first
          s.toBob.inject(bytes)
        },
      ),
      { numRuns: 10_000 },
    )
    await settle()
    expect(s.bob.frames(s.stream)).toHaveLength(0)
    expect(s.bob.drops("lane", "LaneFrameInvalid")).toBeGreaterThan(100)
    expect(s.bob.drops("outer", "UnknownStream") + s.bob.drops("outer", "WireTooShort")).toBeGreaterThan(100)
    await expectAlive(s)
  })

  test("any changed byte of a real message is refused by the seals; so are cuts and additions", async () => {
    const s = await scene()
    const messages: Bytes[] = []
    s.net.tap = (bytes, { to }) => {
      if (to === "bob" && bytes[0] === LANE_DATA) messages.push(bytes)
      return []
    }
    s.alice.send(s.stream, 0, 2_500, { keyframe: true })
    await s.net.advance(20)
    s.net.tap = (bytes) => [bytes]
    expect(messages.length).toBeGreaterThan(3)
    const change = fc.record({
      which: fc.nat(messages.length - 1),
      at: fc.nat(2_000),
      bit: fc.integer({ min: 1, max: 255 }),
      how: fc.constantFrom("flip", "cut", "grow"),
    })
    await fc.assert(
      fc.asyncProperty(change, async ({ which, at, bit, how }) => {
        const original = messages[which]!
        // The 8 lane bytes are not sealed: they only count.
        const place = 8 + (at % (original.length - 8))
        const bytes =
          how === "cut" ? original.slice(0, place) : how === "grow" ? Uint8Array.of(...original, bit) : original.slice()
        if (how === "flip") bytes[place]! ^= bit
        s.toBob.inject(bytes)
      }),
      { numRuns: 2_000 },
    )
    await settle()
    expect(s.bob.frames(s.stream)).toHaveLength(0)
    expect(s.bob.core.stats().receive[0]!.chunks).toBe(0)
    expect(s.bob.drops("outer", "OuterAead")).toBeGreaterThan(500)
    // None of it moved the replay window: the real messages are still fresh.
    for (const message of messages) s.toBob.inject(message)
    await settle()
    expect(s.bob.frames(s.stream)).toHaveLength(1)
  })

  test("replays are refused", async () => {
    const s = await scene()
    s.net.tap = (bytes, { to }) => (to === "bob" ? [bytes, bytes, bytes] : [bytes])
    s.alice.send(s.stream, 0, 5_000, { keyframe: true })
    await s.net.advance(30)
    expect(s.bob.frames(s.stream)).toHaveLength(1)
    expect(s.bob.drops("outer", "LinkReplay")).toBeGreaterThan(8)
    expect(s.bob.core.stats().receive[0]!.duplicates).toBe(0)
  })

  test("a message of another link or with the wrong link key opens nothing", async () => {
    const s = await scene()
    const send = await evilMember(s, s.rootSecret, s.net.bytes(32))
    await send(payload())
    expect(s.bob.drops("outer", "OuterAead")).toBe(1)
    const carol = s.net.node("carol")
    s.net.connect(carol, s.bob)
    const copied: Bytes[] = []
    s.net.tap = (bytes, { to }) => {
      if (to === "bob" && bytes[0] === LANE_DATA) copied.push(bytes)
      return []
    }
    s.alice.send(s.stream, 0, 500, { keyframe: true })
    await s.net.advance(20)
    for (const bytes of copied) s.net.lane("bob", "carol", 2).inject(bytes)
    await settle()
    expect(s.bob.drops("outer", "UnknownStream")).toBe(copied.length)
    expect(s.bob.frames(s.stream)).toHaveLength(0)
  })

  test("a flood is cut off before it costs cryptography, and memory of the counters stays bounded", async () => {
    const s = await scene()
    const body = new Uint8Array(9 + 52 + 100)
    body[0] = 1
    body.set(s.stream.streamId, 9)
    for (let i = 0; i < MAX_OPENING + 300; i++) s.toBob.inject(encodeLaneData(i, 0, body))
    await settle()
    expect(s.bob.drops("outer", "LimitExceeded")).toBe(300)
    await expectAlive(s)
  })

  test("reports about lanes that are not there, old ones and absurd ones change nothing that matters", async () => {
    const s = await scene()
    const entry = { highest: 5, received: 4_000_000_000, bytes: 0, minDelayUs: 0, count: 0, spread: 0 }
    for (const reportSeq of [0, 5, 1, 40_000, 65_535]) {
      const entries = [2, 77, 255].map((laneId) => ({ ...entry, laneId }))
      s.toBob.inject(encodeLaneReport({ reportSeq, nowUs: 0, entries }))
    }
    await settle()
    for (const lane of s.bob.core.stats().links[0]!.lanes) {
      if (lane.reportedLoss !== undefined) expect(lane.reportedLoss).toBeGreaterThanOrEqual(0)
    }
    await expectAlive(s)
  })
})

describe("a hostile member", () => {
  test("without the content key it makes no frame; counted against the neighbour", async () => {
    const s = await scene()
    const send = await evilMember(s, s.net.bytes(32))
    await send(payload())
    expect(s.bob.drops("inner", "InnerAead")).toBe(1)
    expect(s.bob.core.stats().links[0]!.drops.InnerAead).toBe(1)
    expect(s.bob.frames(s.stream)).toHaveLength(0)
  })

  test("well-sealed nonsense is refused by name", async () => {
    const s = await scene()
    const send = await evilMember(s)
    await send(new Uint8Array(0))
    await send(Uint8Array.of(2, 1, 0, 0))
    await send(payload({ kind: 2, body: new Uint8Array(10) }), CODEC_OPUS)
    await send(payload({ ptsUs: 2n ** 60n }))
    const body = {
      symbolId: 0,
      nSource: 1,
      kRepair: 0,
      symbolSize: 4,
      contentLength: 4,
      contentKind: 2,
      symbol: new Uint8Array(4),
    }
    await send(payload({ body: encodeFountainBody(body) }))
    for (const wrong of [{ nSource: 0 }, { nSource: 60_000 }, { contentLength: 5 }, { symbolId: 9 }]) {
      await send(payload({ frameId: 7, body: encodeFountainBody({ ...body, contentKind: 1, ...wrong }) }))
    }
    expect(s.bob.frames(s.stream)).toHaveLength(0)
    expect(s.bob.drops("payload", "PayloadVersion")).toBe(1)
    expect(s.bob.drops("payload", "PayloadInvalid")).toBe(8)
  })

  test("a frame number far ahead does not shut the stream", async () => {
    const s = await scene()
    await expectAlive(s, 0)
    const send = await evilMember(s)
    const body = {
      symbolId: 0,
      nSource: 2,
      kRepair: 0,
      symbolSize: 64,
      contentLength: 128,
      contentKind: 1,
      symbol: new Uint8Array(64),
    }
    await send(payload({ frameId: 0x7fff_ffff, body: encodeFountainBody(body) }))
    await expectAlive(s, 2)
    await expectAlive(s, 4)
  })

  test("any authentic plaintext is either media or a typed refusal", async () => {
    const s = await scene()
    const send = await evilMember(s)
    const small = fc.integer({ min: 0, max: 3 })
    const symbol = fc
      .record({
        symbolId: small,
        nSource: small,
        kRepair: small,
        contentLength: fc.nat(200),
        contentKind: fc.constantFrom(1, 2, 4),
      })
      .chain((about) =>
        fc
          .constantFrom(0, 1, 8, 64, 72)
          .map((symbolSize) => encodeFountainBody({ ...about, symbolSize, symbol: new Uint8Array(symbolSize) })),
      )
    const media = fc.record({
      kind: fc.constantFrom(1, 2, 3, 4, 127),
      frameId: fc.oneof(fc.nat(40), fc.nat(0xffffffff)),
      fragIndex: small,
      fragCount: fc.constantFrom(1, 2, 3, 65_535),
      ptsUs: fc.constantFrom(0n, 1n),
      body: fc.oneof(symbol, fc.uint8Array({ maxLength: 60 })),
    })
    const plaintext = fc.oneof(media.map(payload), fc.uint8Array({ maxLength: 100 }))
    await fc.assert(
      fc.asyncProperty(plaintext, (bytes) => send(bytes)),
      { numRuns: 3_000 },
    )
    const [receive] = s.bob.core.stats().receive
    expect(receive!.chunks).toBe(3_000)
    for (const { frame } of s.bob.frames(s.stream)) expect(frame.data.byteLength).toBeLessThan(1_000)
  })

  test("chunks of epochs that do not exist are held within limits and then gone", async () => {
    const s = await scene()
    const subNonce = s.net.bytes(16)
    await s.bob.core.subscribeStream({ ...s.stream, from: "alice", subNonce })
    const transitKey = await deriveTransitKey(s.sessionKey, s.stream.streamId, "alice", "bob", subNonce)
    const outer = await OuterSealer.create({ transitKey, linkId: utf8Encode("bob"), registry: new TransitKeyRegistry() })
    const keys = new ContentKeys()
    keys.install(2n, s.net.bytes(32), 0)
    const inner = new StreamSealer({ streamId: s.stream.streamId, keys })
    for (let i = 0; i < 2_500; i++) {
      const message = await outer.seal(await inner.seal(new Uint8Array(1_000), CODEC_FOUNTAIN, LAYER_BASE), LANE_HEADER_LENGTH)
      writeLaneHeader(message, LANE_DATA, i, 0)
      s.toBob.inject(message)
      if (i % 100 === 0) await settle()
    }
    await settle()
    const held = s.bob.core.stats().receive[0]!.held
    expect(held).toBeGreaterThan(1_000)
    expect(held * 1_000).toBeLessThan(2 * 1_048_576)
    expect(s.bob.drops("hold", "UnknownEpoch")).toBe(2_500 - held)
    expect(s.bob.events.filter((e) => e.type === "unknown-epoch")).toHaveLength(1)
    await s.net.advance(2_100)
    expect(s.bob.core.stats().receive[0]!.held).toBe(0)
    await s.net.subscribe(s.alice, s.bob, s.stream)
    await expectAlive(s)
  })
})
