import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { fromHex, toHex, utf8Encode } from "../../wire/bytes.ts"
import { encodeChunk, encodeChunkHeader } from "../../wire/chunk.ts"
import type { SealProfile } from "../../wire/types.ts"
import { sealInner } from "../inner/seal-inner.ts"
import { deriveTransitKey } from "./link-keys.ts"
import { deriveOuterNonce } from "./outer-nonce.ts"
import { OuterOpener, streamIdOfFrame } from "./outer-opener.ts"
import { OuterSealer } from "./outer-sealer.ts"
import { openOuter, sealOuter } from "./seal-outer.ts"
import { LinkCounter, MAX_ENTRIES_PER_LINK, TransitKeyRegistry } from "./transit-registry.ts"

const STREAM = new Uint8Array(32).fill(0x11)
const TRANSIT = new Uint8Array(32).fill(0x33)
const LINK = utf8Encode("link-7")
const layer = { spatial: 1, temporal: 2, quality: 0 }

/** The first 52 bytes are a header, the rest stands for an inner ciphertext. */
function innerChunk(length = 40, seq = 0n): Uint8Array {
  const out = new Uint8Array(52 + length).fill(9)
  out.set(encodeChunkHeader({ streamId: STREAM, epoch: 1n, chunkSeq: seq, codecId: 1, layer }))
  return out
}

async function ends(profile: SealProfile = 1, window = 4096) {
  const registry = new TransitKeyRegistry()
  const sealer = await OuterSealer.create({ transitKey: TRANSIT, linkId: LINK, profile, registry })
  const opener = await OuterOpener.create({ transitKey: TRANSIT, linkId: LINK, profile, window })
  return { registry, sealer, opener }
}

describe("hop layer", () => {
  it("known answers of av-mesh 2.6", async () => {
    expect(toHex(deriveOuterNonce(LINK, 42n))).toBe("90a5d48aaf8e8804987ff6ed")
    const header = { streamId: STREAM, epoch: 1n, chunkSeq: 0n, codecId: 1, layer }
    const tails = [
      "986fb52c739ec086da1d4b5a1f208e7d6506582c1a2d646c176ecb228096385a7cb8dc863c",
      "986fb52c7350002618aaec8bdb07bd457fec9ed587f25cf4ea5066308c3da28dc39fd8645b",
    ]
    for (const profile of [0, 1] as const) {
      const inner = await sealInner(utf8Encode("hello"), new Uint8Array(32).fill(0x22), header, profile)
      const wire = encodeChunk(await sealOuter(inner, TRANSIT, LINK, 42n, profile))
      const head = `${"11".repeat(32)}0000000000000001000000000000000001010200`
      expect(toHex(wire)).toBe(head + tails[profile])
    }
    const key = await deriveTransitKey(new Uint8Array(32).fill(0x66), STREAM, "alice", "bob", new Uint8Array(16).fill(0x77))
    expect(toHex(key)).toBe("82c819d1c7204ef3beb83425af605100f422bea6d3e828add61d7764b5834408")
  })

  it.each([0, 1] as const)("profile %i: the hot path makes and reads the same bytes as the plain functions", async (profile) => {
    const { sealer, opener } = await ends(profile)
    for (let seq = 0; seq < 5; seq++) {
      const chunk = innerChunk(30, BigInt(seq))
      const frame = await sealer.seal(chunk, 8)
      expect(toHex(frame.slice(0, 8))).toBe("00".repeat(8))
      const header = { streamId: STREAM, epoch: 1n, chunkSeq: BigInt(seq), codecId: 1, layer }
      const plain = await sealOuter({ ...header, innerCiphertext: chunk.slice(52) }, TRANSIT, LINK, BigInt(seq), profile)
      expect(toHex(frame.slice(8 + 9))).toBe(toHex(encodeChunk(plain)))
      expect(toHex(streamIdOfFrame(frame.subarray(8)) ?? new Uint8Array(0))).toBe(toHex(STREAM))
      const result = await opener.open(frame.subarray(8))
      expect(result).toEqual({ kind: "chunk", linkSeq: BigInt(seq), innerChunk: chunk })
      expect((await openOuter(plain, TRANSIT, LINK, BigInt(seq), profile)).innerCiphertext).toEqual(chunk.slice(52))
    }
  })

  it("carries keep-alives in the same numbering", async () => {
    const { sealer, opener } = await ends()
    const first = await sealer.keepAlive(STREAM, 3)
    const second = await sealer.seal(innerChunk())
    expect(await opener.open(second)).toMatchObject({ kind: "chunk", linkSeq: 1n })
    expect(await opener.open(first.subarray(3))).toEqual({ kind: "keep-alive", linkSeq: 0n })
    expect(await opener.open(first.subarray(3))).toMatchObject({ kind: "dropped", error: "LinkReplay", outcome: "Duplicate" })
    const forged = await sealer.keepAlive(STREAM)
    forged[56] = (forged[56] ?? 0) ^ 1
    expect(await opener.open(forged)).toMatchObject({ kind: "dropped", error: "OuterAead" })
    expect(streamIdOfFrame(first.subarray(3))).toEqual(STREAM)
    expect(streamIdOfFrame(new Uint8Array(40))).toBeUndefined()
  })

  it("delivers each frame once even when copies are opened at the same time", async () => {
    const { sealer, opener } = await ends()
    const frame = await sealer.seal(innerChunk())
    const results = await Promise.all([opener.open(frame), opener.open(frame), opener.open(frame)])
    expect(results.filter((result) => result.kind === "chunk")).toHaveLength(1)
    expect(results.filter((result) => result.kind === "dropped" && result.error === "LinkReplay")).toHaveLength(2)
  })

  it("a forged number does not move the window", async () => {
    const { sealer, opener } = await ends(1, 64)
    const good = await sealer.seal(innerChunk())
    const forged = good.slice()
    new DataView(forged.buffer).setBigUint64(1, 1_000_000n)
    expect(await opener.open(forged)).toMatchObject({ kind: "dropped", error: "OuterAead" })
    expect(await opener.open(good)).toMatchObject({ kind: "chunk" })
  })

  it("drops every changed bit: profile 1 covers the header too", async () => {
    const { sealer, opener } = await ends()
    const frame = await sealer.seal(innerChunk())
    for (let at = 1; at < frame.length; at++) {
      const changed = frame.slice()
      changed[at] = (changed[at] ?? 0) ^ 0x10
      expect(await opener.open(changed)).toMatchObject({ kind: "dropped", error: "OuterAead" })
    }
  })

  it("takes any bytes for a frame without throwing", async () => {
    const { opener } = await ends()
    const frame = fc.uint8Array({ maxLength: 160, size: "max" }).map((bytes) => {
      if (bytes.length > 0) bytes[0] = (bytes[0] ?? 0) % 4
      return bytes
    })
    const codes = new Set<string>()
    await fc.assert(
      fc.asyncProperty(frame, async (bytes) => {
        const result = await opener.open(bytes)
        expect(result.kind).toBe("dropped")
        if (result.kind === "dropped") codes.add(result.error)
      }),
      { numRuns: 10_000 },
    )
    expect([...codes].sort()).toEqual(["LinkFrameInvalid", "OuterAead", "WireTooShort"])
    const long = new Uint8Array(1_048_576 + 84 + 10)
    long[0] = 1
    expect(await opener.open(long)).toEqual({ kind: "dropped", error: "WireTooLong" })
    // D-1: between header and the smallest sealed chunk no key is touched.
    expect(await opener.open(long.slice(0, 9 + 83))).toEqual({ kind: "dropped", error: "OuterAead" })
  })
})

describe("transit keys", () => {
  it("are never installed twice", async () => {
    const { registry } = await ends()
    const again = OuterSealer.create({ transitKey: TRANSIT, linkId: LINK, registry })
    await expect(again).rejects.toMatchObject({ code: "TransitKeyReuse" })
    await expect(OuterSealer.create({ transitKey: TRANSIT, linkId: utf8Encode("link-8"), registry })).resolves.toBeDefined()
  })

  it("end at 2^32 frames", () => {
    const sequence = new TransitKeyRegistry().install(TRANSIT, LINK)
    expect([sequence.take(), sequence.take(), sequence.next]).toEqual([0, 1, 2])
    const late = new LinkCounter(2 ** 32 - 1)
    expect(late.take()).toBe(2 ** 32 - 1)
    expect(() => late.take()).toThrow(expect.objectContaining({ code: "LinkSeqExhausted" }))
  })

  it("are remembered to a bound per receiver: one that fills its share leaves room for the others", () => {
    const registry = new TransitKeyRegistry()
    const key = (i: number) => new Uint8Array(new Uint32Array([i, 0, 0, 0, 0, 0, 0, 0]).buffer)
    const greedy = utf8Encode("greedy")
    let installed = 0
    const fill = () => {
      for (; ; installed++) registry.install(key(installed), greedy)
    }
    expect(fill).toThrow(expect.objectContaining({ code: "LimitExceeded" }))
    expect(installed).toBe(MAX_ENTRIES_PER_LINK)
    expect(registry.install(key(0), LINK).next).toBe(0)
    expect(() => registry.install(key(0), LINK)).toThrow(expect.objectContaining({ code: "TransitKeyReuse" }))
  })

  it("need a link id of 1..255 bytes and 32 key bytes", async () => {
    const registry = new TransitKeyRegistry()
    for (const length of [0, 256]) {
      expect(() => deriveOuterNonce(new Uint8Array(length), 0n)).toThrow(expect.objectContaining({ code: "LinkIdInvalid" }))
    }
    const short = OuterSealer.create({ transitKey: new Uint8Array(31), linkId: LINK, registry })
    await expect(short).rejects.toMatchObject({ code: "KeyInvalid" })
  })

  it("differ in every input", async () => {
    const session = new Uint8Array(32).fill(0x66)
    const nonce = new Uint8Array(16)
    const keys = await Promise.all([
      deriveTransitKey(session, STREAM, "alice", "bob", nonce),
      deriveTransitKey(session, STREAM, "bob", "alice", nonce),
      deriveTransitKey(session, STREAM, "aliceb", "ob", nonce),
      deriveTransitKey(
        session,
        STREAM,
        "alice",
        "bob",
        nonce.map(() => 1),
      ),
      deriveTransitKey(session, fromHex("22".repeat(32)), "alice", "bob", nonce),
      deriveTransitKey(
        session.map(() => 1),
        STREAM,
        "alice",
        "bob",
        nonce,
      ),
    ])
    expect(new Set(keys.map(toHex)).size).toBe(keys.length)
  })
})
