import { beforeEach, describe, expect, test } from "vitest"
import { secureRandom } from "../crypto/index.ts"
import { deriveInnerNonce, openChunk, sealInner } from "../seal/inner/index.ts"
import { LinkCounter, MAX_LINK_SEQ, openOuter, sealOuter, TransitKeyRegistry } from "../seal/outer/index.ts"
import { utf8Encode } from "../wire/bytes.ts"
import { encodeChunkHeader } from "../wire/chunk.ts"
import { isAvError } from "../wire/errors.ts"
import { BLINKING_DOT, CODEC_AV1_SVC, CODEC_OPAQUE, LAYER_BASE, UNCAPPED } from "../wire/layers.ts"
import type { Bytes, ChunkLayer, InnerSealed, SealedAvChunk } from "../wire/types.ts"
import { RelayNode, type RelayNodeOptions } from "./relay-node.ts"

const stream: Bytes = new Uint8Array(32).fill(7)
const other: Bytes = new Uint8Array(32).fill(8)
const dek = secureRandom(32)
const plaintext = utf8Encode("one frame of a picture")
let relay: RelayNode
let seq = 0n

beforeEach(() => {
  relay = new RelayNode()
  seq = 0n
})

function inner(layer: ChunkLayer = LAYER_BASE, codecId = CODEC_AV1_SVC): Promise<InnerSealed> | InnerSealed {
  return sealInner(plaintext, dek, { streamId: stream, epoch: 3n, chunkSeq: seq++, codecId, layer }, 1)
}

/** Subscribes and returns the key. */
function join(peer: string, policy = UNCAPPED, node = relay): Bytes {
  const key = secureRandom(32)
  node.subscribe(stream, peer, key, policy)
  return key
}

const refused = (run: () => void, code: string, details: object = {}) => {
  try {
    run()
  } catch (error) {
    expect(isAvError(error) && { code: error.code, ...error.details }).toMatchObject({ code, ...details })
    return
  }
  throw new Error(`not refused with ${code}`)
}

describe("forward", () => {
  test.each([1, 4, 16, 50])("seals for %i subscribers, each with its own key, from number 0 on", async (n) => {
    const keys = new Map(Array.from({ length: n }, (_, i) => [`peer-${i}`, join(`peer-${i}`)]))
    const chunk = await inner()
    const { outs, failures } = await relay.forward(stream, chunk)
    expect(failures).toEqual([])
    expect(outs.map(({ subscriber }) => subscriber)).toEqual([...keys.keys()])
    for (const { subscriber, sealed, linkSeq } of outs) {
      expect(linkSeq).toBe(0n)
      expect(encodeChunkHeader(sealed)).toEqual(encodeChunkHeader(chunk))
      const opened = await openOuter(sealed, keys.get(subscriber)!, utf8Encode(subscriber), 0n, 1)
      expect(opened.innerCiphertext).toEqual(chunk.innerCiphertext)
      expect(await openChunk(sealed, keys.get(subscriber)!, utf8Encode(subscriber), 0n, dek, 1)).toEqual(plaintext)
    }
  })

  test("counts what is admitted, for each subscriber by itself", async () => {
    const [dot, all] = [join("dot", BLINKING_DOT), join("all")]
    const seen: Record<string, bigint[]> = { dot: [], all: [] }
    for (const layer of [LAYER_BASE, { spatial: 2, temporal: 2, quality: 2 }, LAYER_BASE]) {
      for (const out of (await relay.forward(stream, await inner(layer))).outs) {
        seen[out.subscriber]!.push(out.linkSeq)
        const key = out.subscriber === "dot" ? dot : all
        await expect(openOuter(out.sealed, key, utf8Encode(out.subscriber), out.linkSeq, 1)).resolves.toBeDefined()
      }
    }
    expect(seen).toEqual({ dot: [0n, 1n], all: [0n, 1n, 2n] })
  })

  test("follows three policies, and a new one at once", async () => {
    join("low", { maxSpatial: 0, maxTemporal: 0, maxQuality: 0 })
    join("mid", { maxSpatial: 1, maxTemporal: 1, maxQuality: 1 })
    join("high", { maxSpatial: 2, maxTemporal: 2, maxQuality: 2 })
    const to = async (n: number) => {
      const { outs } = await relay.forward(stream, await inner({ spatial: n, temporal: n, quality: n }))
      return outs.map(({ subscriber }) => subscriber)
    }
    expect([await to(2), await to(0), await to(1)]).toEqual([["high"], ["low", "mid", "high"], ["mid", "high"]])
    relay.setPolicy(stream, "low", UNCAPPED)
    expect(await to(2)).toEqual(["low", "high"])
    refused(() => relay.setPolicy(stream, "nobody", UNCAPPED), "SubscriberNotFound", { subscriber: "nobody" })
  })

  test("nobody admits the chunk: an empty success; opaque chunks are for all (D-4)", async () => {
    join("dot", BLINKING_DOT)
    const upper = { spatial: 1, temporal: 0, quality: 0 }
    expect(await relay.forward(stream, await inner(upper))).toEqual({ outs: [], failures: [] })
    const opaque = { ...(await inner()), codecId: CODEC_OPAQUE, layer: upper }
    expect((await relay.forward(stream, opaque)).outs).toHaveLength(1)
  })

  test("a chunk of another stream and an unknown stream are refused (D-19.2)", async () => {
    join("bob")
    const foreign = { ...(await inner()), streamId: other }
    await expect(relay.forward(stream, foreign)).rejects.toMatchObject({ code: "StreamMismatch" })
    await expect(relay.forward(other, foreign)).rejects.toMatchObject({ code: "StreamNotFound" })
  })

  test("one child that cannot be sealed for costs the others nothing (D-19.3)", async () => {
    const real = new TransitKeyRegistry()
    const registry: RelayNodeOptions["registry"] = {
      install: (key, linkId) =>
        linkId.length === utf8Encode("worn-out").length ? new LinkCounter(MAX_LINK_SEQ) : real.install(key, linkId),
    }
    const node = new RelayNode({ registry })
    for (const peer of ["ann", "worn-out", "cid"]) join(peer, UNCAPPED, node)
    const { outs, failures } = await node.forward(stream, await inner())
    expect(outs.map(({ subscriber }) => subscriber)).toEqual(["ann", "cid"])
    expect(failures).toMatchObject([{ subscriber: "worn-out", error: { code: "OuterSealFailed" } }])
  })

  test("chunks handed on at the same time never share a number", async () => {
    join("bob")
    const chunks = await Promise.all(Array.from({ length: 20 }, () => inner()))
    const results = await Promise.all(chunks.map((chunk) => relay.forward(stream, chunk)))
    const numbers = results.flatMap(({ outs }) => outs.map(({ linkSeq }) => linkSeq))
    expect(new Set(numbers).size).toBe(20)
  })
})

describe("the roster", () => {
  test("a new subscription of a peer replaces key and policy, and numbers start again; the old key is worth nothing", async () => {
    const before = join("bob")
    await relay.forward(stream, await inner())
    const after = join("bob", BLINKING_DOT)
    expect(relay.subscriberCount(stream)).toBe(1)
    const { outs } = await relay.forward(stream, await inner())
    expect(outs[0]!.linkSeq).toBe(0n)
    await expect(openOuter(outs[0]!.sealed, before, utf8Encode("bob"), 0n, 1)).rejects.toMatchObject({ code: "OuterAead" })
    await expect(openOuter(outs[0]!.sealed, after, utf8Encode("bob"), 0n, 1)).resolves.toBeDefined()
  })

  test("a key is never installed twice, and a refusal changes nothing (D-5.3)", async () => {
    const key = join("bob")
    refused(() => relay.subscribe(stream, "bob", key, BLINKING_DOT), "TransitKeyReuse")
    expect((await relay.forward(stream, await inner({ spatial: 3, temporal: 0, quality: 0 }))).outs).toHaveLength(1)
    relay.unsubscribe(stream, "bob")
    refused(() => relay.subscribe(stream, "bob", key, UNCAPPED), "TransitKeyReuse")
    expect(relay.subscriberCount(stream)).toBe(0)
  })

  test("unsubscribe ends it; unknown streams and subscribers are named", async () => {
    join("ann")
    join("bob")
    relay.unsubscribe(stream, "ann")
    expect((await relay.forward(stream, await inner())).outs.map(({ subscriber }) => subscriber)).toEqual(["bob"])
    expect([relay.isSubscribed(stream, "ann"), relay.isSubscribed(stream, "bob")]).toEqual([false, true])
    refused(() => relay.unsubscribe(stream, "ann"), "SubscriberNotFound")
    refused(() => relay.unsubscribe(other, "bob"), "SubscriberNotFound")
    relay.unsubscribe(stream, "bob")
    await expect(relay.forward(stream, await inner())).rejects.toMatchObject({ code: "StreamNotFound" })
    expect(relay.subscriberCount(other)).toBe(0)
  })

  test("keeps its promises and says which one would be broken (D-19.5)", () => {
    const path = (...choices: number[]) => Uint8Array.from(choices)
    const node = new RelayNode({ limits: { maxStreams: 1, maxSubscribersPerStream: 2, uplinkMbps: 5 } })
    const ask = (of: Bytes, peer: string, bitrateMbps: number) => () =>
      node.subscribe(of, peer, secureRandom(32), UNCAPPED, { bitrateMbps })
    ask(stream, "ann", 2.5)()
    refused(ask(stream, "bob", 3), "CapacityExceeded", { limit: "uplink_mbps" })
    ask(stream, "bob", 2.5)()
    ask(stream, "ann", 2.5)()
    refused(ask(stream, "cid", 0), "CapacityExceeded", { limit: "max_subscribers_per_stream" })
    refused(ask(other, "ann", 0), "CapacityExceeded", { limit: "max_streams" })
    node.unsubscribe(stream, "ann")
    node.unsubscribe(stream, "bob")
    ask(other, "ann", 5)()

    const parts = new RelayNode({
      limits: { maxStreams: 9, maxSubscribersPerStream: 9, subStreams: [{ path: path(0, 1), uplinkMbps: 4, maxSubscribers: 2 }] },
    })
    const part = (peer: string, bitrateMbps: number, subStreamPath?: Bytes) => () =>
      parts.subscribe(stream, peer, secureRandom(32), UNCAPPED, {
        bitrateMbps,
        ...(subStreamPath === undefined ? {} : { subStreamPath }),
      })
    refused(part("ann", 1), "CapacityExceeded", { limit: "sub_stream" })
    refused(part("ann", 1, path(0)), "CapacityExceeded", { limit: "sub_stream" })
    part("ann", 3, path(0, 1))()
    refused(part("bob", 2, path(0, 1)), "CapacityExceeded", { limit: "sub_stream_uplink_mbps" })
    part("bob", 1, path(0, 1))()
    refused(part("cid", 0, path(0, 1)), "CapacityExceeded", { limit: "sub_stream_max_subscribers" })
  })
})

describe("forwardChunk", () => {
  const upKey = secureRandom(32)
  const me = utf8Encode("relay")
  const fromParent = async (chunk: InnerSealed, linkSeq: bigint, key = upKey) => sealOuter(chunk, key, me, linkSeq, 1)

  test("five hops over four relays leave header and inner bytes as they were", async () => {
    const chunk = await inner({ spatial: 1, temporal: 2, quality: 3 })
    let key: Bytes = upKey
    let at = "relay"
    let sealed: SealedAvChunk = await fromParent(chunk, 0n)
    for (const next of ["r2", "r3", "r4", "viewer"]) {
      const node = new RelayNode()
      const nextKey = join(next, UNCAPPED, node)
      const { outs } = await node.forwardChunk(stream, sealed, key, utf8Encode(at), 0n)
      sealed = outs[0]!.sealed
      const opened = await openOuter(sealed, nextKey, utf8Encode(next), 0n, 1)
      expect(opened.innerCiphertext).toEqual(chunk.innerCiphertext)
      expect(encodeChunkHeader(sealed)).toEqual(encodeChunkHeader(chunk))
      key = nextKey
      at = next
    }
    expect(await openChunk(sealed, key, utf8Encode("viewer"), 0n, dek, 1)).toEqual(plaintext)
  })

  test("wrong key, number, link or a changed header do not open, and nothing goes out (D-19.6)", async () => {
    join("bob")
    const sealed = await fromParent(await inner(), 5n)
    const attempts: [SealedAvChunk, Bytes, Bytes, bigint][] = [
      [sealed, secureRandom(32), me, 5n],
      [sealed, upKey, utf8Encode("somebody"), 5n],
      [sealed, upKey, me, 6n],
      [{ ...sealed, layer: { spatial: 0, temporal: 1, quality: 0 } }, upKey, me, 5n],
      [{ ...sealed, codecId: CODEC_OPAQUE }, upKey, me, 5n],
      [{ ...sealed, ciphertext: sealed.ciphertext.subarray(0, 10) }, upKey, me, 5n],
    ]
    for (const attempt of attempts) {
      await expect(relay.forwardChunk(stream, ...attempt)).rejects.toMatchObject({ code: "OuterOpenFailed" })
      await expect(relay.forwardChunk(other, ...attempt)).rejects.toMatchObject({ code: "OuterOpenFailed" })
    }
    const { outs } = await relay.forwardChunk(stream, sealed, upKey, me, 5n)
    expect(outs[0]!.linkSeq).toBe(0n)
  })

  test("the second parent's copy goes no further; what is new from it does (D-19.7)", async () => {
    join("bob")
    const second = secureRandom(32)
    const [a, b] = [await inner(), await inner()]
    expect((await relay.forwardChunk(stream, await fromParent(a, 0n), upKey, me, 0n)).outs).toHaveLength(1)
    expect(await relay.forwardChunk(stream, await fromParent(a, 0n, second), second, me, 0n)).toMatchObject({ duplicate: true })
    expect(await relay.forwardChunk(stream, await fromParent(a, 1n), upKey, me, 1n)).toMatchObject({ duplicate: true })
    const { outs } = await relay.forwardChunk(stream, await fromParent(b, 1n, second), second, me, 1n)
    expect(outs.map(({ linkSeq }) => linkSeq)).toEqual([1n])
  })

  test("a parent that makes up numbers and epochs harms only what it brings itself", async () => {
    join("bob")
    const liar = secureRandom(32)
    const forged = async (epoch: bigint, chunkSeq: bigint) => ({ ...(await inner()), epoch, chunkSeq })
    for (const [n, chunk] of [await forged(3n, 2n ** 60n), await forged(2n ** 63n, 0n), await forged(99n, 0n)].entries()) {
      await relay.forwardChunk(stream, await fromParent(chunk, BigInt(n), liar), liar, me, BigInt(n))
    }
    seq = 100n
    for (const n of [10n, 11n, 12n]) {
      const { outs } = await relay.forwardChunk(stream, await fromParent(await inner(), n), upKey, me, n)
      expect(outs).toHaveLength(1)
    }
  })
})

test("what a relay holds does not open the content: every key it knows fails on the inner layer", async () => {
  const upKey = secureRandom(32)
  const downKey = join("bob")
  const chunk = await inner()
  const { outs } = await relay.forwardChunk(
    stream,
    await sealOuter(chunk, upKey, utf8Encode("relay"), 0n, 1),
    upKey,
    utf8Encode("relay"),
    0n,
  )
  for (const key of [upKey, downKey]) {
    await expect(openChunk(outs[0]!.sealed, downKey, utf8Encode("bob"), 0n, key, 1)).rejects.toMatchObject({ code: "InnerAead" })
  }
  expect(chunk.innerCiphertext).not.toEqual(plaintext)
  expect(deriveInnerNonce(stream, 3n, 0n)).toHaveLength(12)
})
