import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { toHex, utf8Encode } from "../../wire/bytes.ts"
import { decodeChunk } from "../../wire/chunk.ts"
import { CODEC_OPAQUE, LAYER_BASE } from "../../wire/layers.ts"
import { OuterOpener, OuterSealer, TransitKeyRegistry } from "../outer/index.ts"
import { ContentKeys, PREVIOUS_EPOCH_MS } from "./content-keys.ts"
import { ChunkDedup, DedupRing } from "./dedup.ts"
import { deriveStreamDek, deriveStreamId } from "./epoch-keys.ts"
import { deriveInnerNonce } from "./inner-nonce.ts"
import { InnerOpener } from "./inner-opener.ts"
import { openInner, sealInner } from "./seal-inner.ts"
import { StreamSealer } from "./stream-sealer.ts"

const STREAM = new Uint8Array(32).fill(0x11)
const ROOT = new Uint8Array(32).fill(0x55)
const layer = { spatial: 1, temporal: 2, quality: 0 }

function keysOf(epoch = 1n, root = ROOT): ContentKeys {
  const keys = new ContentKeys()
  keys.install(epoch, root, 0)
  return keys
}

describe("end-to-end layer", () => {
  it("known answers of av-mesh 2.6", async () => {
    expect(toHex(deriveInnerNonce(STREAM, 1n, 0n))).toBe("a3eb7c906988214f7dfd3ced")
    const dek = new Uint8Array(32).fill(0x22)
    const inner = await sealInner(utf8Encode("hello"), dek, { streamId: STREAM, epoch: 1n, chunkSeq: 0n, codecId: 1, layer })
    expect(toHex(inner.innerCiphertext)).toBe("73d1c5e6b5e62e4fa64086e1dbc75916ef4b898355")
    const streamDek = await deriveStreamDek(ROOT, STREAM, 1n)
    expect(toHex(streamDek)).toBe("f2dc5fe683db1c30d36a8d55a4f07aa6b794222e88aacf72c970468939f336b4")
    const id = deriveStreamId({
      sealProfile: 1,
      roomId: utf8Encode("room"),
      publisherKeyId: "alice",
      trackLabel: "cam",
      subStreamPath: new Uint8Array(0),
      instance: new Uint8Array(16).fill(0x88),
    })
    expect(toHex(id)).toBe("dc9ed33bb115984e678cab957425edb4e7bf108841e447f08f4623088cd0913c")
  })

  it.each([0, 1] as const)("profile %i: publisher to receiver over two hops, any payload", async (profile) => {
    const keys = keysOf()
    const sealer = new StreamSealer({ streamId: STREAM, keys, profile })
    const opener = new InnerOpener({ streamId: STREAM, keys: keysOf(), profile })
    const registry = new TransitKeyRegistry()
    const hop = async (fill: number) => {
      const [transitKey, linkId] = [new Uint8Array(32).fill(fill), utf8Encode(`peer-${fill}`)]
      const options = { transitKey, linkId, profile }
      return { sealer: await OuterSealer.create({ ...options, registry }), opener: await OuterOpener.create(options) }
    }
    const hops = [await hop(1), await hop(2)]
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 1_200, size: "max" }), fc.nat({ max: 254 }), async (payload, codecId) => {
        const sealed = await sealer.seal(payload, codecId, layer)
        let chunk = sealed
        for (const { sealer: outer, opener: open } of hops) {
          const result = await open.open(await outer.seal(chunk))
          if (result.kind !== "chunk") throw new Error(result.kind)
          chunk = result.innerChunk
        }
        expect(chunk).toEqual(sealed)
        const opened = await opener.open(chunk)
        expect(opened).toMatchObject({ kind: "opened", plaintext: payload })
        expect(await opener.open(chunk)).toMatchObject({ kind: "duplicate" })
      }),
      { numRuns: 100 },
    )
  })

  it("the sealer makes what sealInner makes", async () => {
    const sealer = new StreamSealer({ streamId: STREAM, keys: keysOf() })
    const chunk = await sealer.seal(utf8Encode("x"), 1, layer)
    const { ciphertext, ...header } = decodeChunk(chunk)
    const dek = await deriveStreamDek(ROOT, STREAM, 1n)
    const inner = await sealInner(utf8Encode("x"), dek, header, 1)
    expect(ciphertext).toEqual(inner.innerCiphertext)
    expect(await openInner(inner, dek, 1)).toEqual(utf8Encode("x"))
    await expect(openInner(inner, ROOT, 1)).rejects.toMatchObject({ code: "InnerAead" })
  })

  it("refuses what must not be sealed", async () => {
    const sealer = new StreamSealer({ streamId: STREAM, keys: keysOf() })
    await expect(sealer.seal(new Uint8Array(1), CODEC_OPAQUE, layer)).rejects.toMatchObject({ code: "OpaqueLayerNotBase" })
    await expect(sealer.seal(new Uint8Array(1_048_577), 1, layer)).rejects.toMatchObject({ code: "PlaintextTooLarge" })
    expect(sealer.nextChunkSeq).toBe(0)
    expect(await sealer.seal(new Uint8Array(0), CODEC_OPAQUE, LAYER_BASE)).toHaveLength(52 + 16)
    const early = new StreamSealer({ streamId: STREAM, keys: new ContentKeys() })
    await expect(early.seal(new Uint8Array(1), 1, layer)).rejects.toMatchObject({ code: "UnknownEpoch" })
  })

  it("drops changed, foreign and cut chunks as values", async () => {
    const sealer = new StreamSealer({ streamId: STREAM, keys: keysOf() })
    const opener = new InnerOpener({ streamId: STREAM, keys: keysOf() })
    const chunk = await sealer.seal(utf8Encode("payload"), 1, layer)
    for (let at = 0; at < chunk.length; at++) {
      const changed = chunk.slice()
      changed[at] = (changed[at] ?? 0) ^ 0x80
      const expected = at < 32 ? { error: "UnknownStream" } : at < 40 ? { kind: "unknown-epoch" } : { error: "InnerAead" }
      expect(await opener.open(changed)).toMatchObject(expected)
    }
    expect(await opener.open(chunk.slice(0, 60))).toMatchObject({ error: "WireTooShort" })
    // None of the failed attempts burned the number of the good copy (D-28).
    expect(await opener.open(chunk)).toMatchObject({ kind: "opened" })
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 120, size: "max" }), async (bytes) => {
        expect((await opener.open(bytes)).kind).not.toBe("opened")
      }),
      { numRuns: 10_000 },
    )
  })
})

describe("nonce discipline (D-3)", () => {
  it("never repeats a nonce under one key in a randomised session", async () => {
    const step = fc.oneof(
      { weight: 8, arbitrary: fc.constant("seal" as const) },
      { weight: 1, arbitrary: fc.constant("epoch" as const) },
      { weight: 1, arbitrary: fc.constant("fork" as const) },
      { weight: 1, arbitrary: fc.constant("too-large" as const) },
      { weight: 1, arbitrary: fc.constant("burst" as const) },
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const keys = keysOf()
        const sealers = [0, 1].map(
          (fill) => new StreamSealer({ streamId: new Uint8Array(32).fill(fill), keys, profile: fill === 0 ? 0 : 1 }),
        )
        const used = new Set<string>()
        let [epoch, root] = [1n, 1]
        const seal = async (sealer: StreamSealer) => {
          const key = `${root}/${toHex(sealer.streamId)}`
          const header = decodeChunk(await sealer.seal(new Uint8Array(3), 1, layer))
          const pair = `${key}/${toHex(deriveInnerNonce(header.streamId, header.epoch, header.chunkSeq))}`
          expect(used.has(pair)).toBe(false)
          used.add(pair)
        }
        for (const kind of steps) {
          if (kind === "seal") for (const sealer of sealers) await seal(sealer)
          else if (kind === "burst") await Promise.all(sealers.flatMap((sealer) => [seal(sealer), seal(sealer), seal(sealer)]))
          else if (kind === "too-large") await sealers[0]?.seal(new Uint8Array(1_048_577), 1, layer).catch(() => undefined)
          else {
            if (kind === "epoch") epoch++
            keys.install(epoch, new Uint8Array(32).fill(++root), 0)
          }
        }
      }),
      { numRuns: 60 },
    )
  })

  it("refuses a number it used, and stops at the budget", async () => {
    const sealer = new StreamSealer({ streamId: STREAM, keys: keysOf(), profile: 0 })
    await sealer.seal(new Uint8Array(1), 1, layer, 5)
    expect(sealer.nextChunkSeq).toBe(6)
    for (const seq of [0, 5])
      await expect(sealer.seal(new Uint8Array(1), 1, layer, seq)).rejects.toMatchObject({ code: "ChunkSeqReuse" })
    sealer.setRosterSize(2 ** 31)
    await sealer.seal(new Uint8Array(1), 1, layer)
    await expect(sealer.seal(new Uint8Array(1), 1, layer)).rejects.toMatchObject({ code: "DekExhausted" })
  })

  it("a new epoch's key starts a new budget", async () => {
    const keys = keysOf()
    const sealer = new StreamSealer({ streamId: STREAM, keys, profile: 0 })
    sealer.setRosterSize(2 ** 32)
    await sealer.seal(new Uint8Array(1), 1, layer)
    await expect(sealer.seal(new Uint8Array(1), 1, layer)).rejects.toMatchObject({ code: "DekExhausted" })
    keys.install(2n, new Uint8Array(32), 0)
    await expect(sealer.seal(new Uint8Array(1), 1, layer)).resolves.toBeDefined()
  })
})

describe("content keys (D-16)", () => {
  it("keep one previous epoch for ten seconds, for opening only", async () => {
    const keys = keysOf(1n)
    const sealer = new StreamSealer({ streamId: STREAM, keys })
    const opener = new InnerOpener({ streamId: STREAM, keys })
    const old = [await sealer.seal(new Uint8Array(1), 1, layer), await sealer.seal(new Uint8Array(1), 1, layer)]
    keys.install(2n, new Uint8Array(32).fill(2), 1_000)
    expect(keys.epoch).toBe(2n)
    expect(decodeChunk(await sealer.seal(new Uint8Array(1), 1, layer)).epoch).toBe(2n)
    keys.expire(1_000 + PREVIOUS_EPOCH_MS - 1)
    expect(await opener.open(old[0] ?? new Uint8Array(0))).toMatchObject({ kind: "opened" })
    keys.expire(1_000 + PREVIOUS_EPOCH_MS)
    expect(await opener.open(old[1] ?? new Uint8Array(0))).toMatchObject({ kind: "unknown-epoch" })
    keys.install(3n, new Uint8Array(32).fill(3), 20_000)
    keys.install(4n, new Uint8Array(32).fill(4), 20_001)
    expect([keys.has(2n), keys.has(3n), keys.has(4n)]).toEqual([false, true, true])
    keys.clear()
    expect([keys.has(3n), keys.has(4n), keys.epoch]).toEqual([false, false, undefined])
  })

  it("a resolved fork replaces the secret of an epoch", async () => {
    const [keys, other] = [keysOf(1n), keysOf(1n)]
    const chunk = await new StreamSealer({ streamId: STREAM, keys }).seal(new Uint8Array(1), 1, layer)
    other.install(1n, new Uint8Array(32).fill(9), 0)
    expect(await new InnerOpener({ streamId: STREAM, keys: other }).open(chunk)).toMatchObject({ error: "InnerAead" })
    other.install(1n, ROOT, 0)
    expect(await new InnerOpener({ streamId: STREAM, keys: other }).open(chunk)).toMatchObject({ kind: "opened" })
  })
})

describe("duplicates", () => {
  it("two epochs are remembered, the lowest goes first", () => {
    const dedup = new ChunkDedup()
    expect([dedup.commit(1n, 0n), dedup.commit(1n, 0n), dedup.commit(2n, 0n), dedup.peek(2n, 0n)]).toEqual([
      "Fresh",
      "Duplicate",
      "Fresh",
      "Duplicate",
    ])
    expect(dedup.commit(3n, 0n)).toBe("Fresh")
    expect([dedup.peek(1n, 0n), dedup.peek(2n, 0n), dedup.peek(3n, 5_000n)]).toEqual(["Fresh", "Duplicate", "Fresh"])
  })

  it("the ring forgets after its capacity", () => {
    const ring = new DedupRing(2)
    expect([
      ring.observe(1n, 1n),
      ring.observe(1n, 1n),
      ring.observe(1n, 2n),
      ring.observe(1n, 3n),
      ring.observe(1n, 1n),
    ]).toEqual([true, false, true, true, true])
    expect(() => new DedupRing(0)).toThrow(expect.objectContaining({ code: "UsageError" }))
  })
})
