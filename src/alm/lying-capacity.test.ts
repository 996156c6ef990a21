import { describe, expect, it } from "vitest"
import { utf8Decode, utf8Encode } from "../wire/bytes.ts"
import { capacityFromWire, capacityToWire, type RelayCapacity, type SignedRelayCapacity } from "../wire/capacity.ts"
import { isAvError } from "../wire/errors.ts"
import { AdvertisementBook } from "./advertisement-book.ts"
import { capacity, ParentWorld, START } from "./test-parents.ts"

const stream = new Uint8Array(32).fill(2)
const words = { ed25519: "A".repeat(86).concat("=="), mlDsa: "A".repeat(4_412) }

function signed(change: Partial<RelayCapacity>): SignedRelayCapacity {
  return {
    advertiserKeyId: "liar",
    capacity: capacity(change),
    streamId: stream,
    epoch: 1n,
    signatureEd25519Base64: words.ed25519,
    signatureMlDsa65Base64: words.mlDsa,
  }
}

/** Of a room with a nearest relay that promises more than it holds, and three honest ones. */
const relays = () => ({ liar: { rttMs: 1 }, ann: { rttMs: 40 }, bob: { rttMs: 50 }, cid: { rttMs: 60 } })

/** What children of this peer get: it hands on what any of its parents brings. */
function childrenAreServed(world: ParentWorld): boolean {
  return world.feeding.some((keyId) => keyId !== "liar")
}

describe("a relay that promises what it does not have", () => {
  it("delivers half: it is left, stays away for a minute and more, and there is a feed all the time", () => {
    const world = new ParentWorld(relays())
    world.run(1_000)
    expect(world.feeding).toEqual(["ann", "liar"])
    const began = world.now
    world.run(60_000, () => {
      if ((world.now - began) % 1_000 === 0) {
        for (const keyId of world.feeding)
          world.manager.measured(keyId, { share: keyId === "liar" ? 0.5 : 1, lateMs: 0 }, world.now)
      }
      expect(childrenAreServed(world)).toBe(true)
    })
    expect(world.feeding).toEqual(["ann", "bob"])
    expect(world.actions("subscribe").filter(({ parent }) => parent === "liar")).toHaveLength(1)
  })

  it("delivers late, the same", () => {
    const world = new ParentWorld(relays())
    world.run(1_000)
    world.run(20_000, () => {
      if ((world.now - START) % 1_000 !== 0) return
      for (const keyId of world.feeding) {
        world.manager.measured(keyId, { share: 1, lateMs: keyId === "liar" ? 1_500 : 0 }, world.now)
      }
    })
    expect(world.feeding).toEqual(["ann", "bob"])
  })

  it("accepts and never delivers: given up after its silence, asked less and less often", () => {
    const world = new ParentWorld(relays())
    world.silent = new Set(["liar"])
    world.run(3_000)
    expect(world.feeding).toEqual(["ann", "bob"])
    world.run(120_000, () => expect(childrenAreServed(world)).toBe(true))
    expect(world.actions("subscribe").filter(({ parent }) => parent === "liar").length).toBeLessThanOrEqual(6)
  })

  it("refuses everybody: the next one is asked at once, and it no more than once in its growing pause", () => {
    const world = new ParentWorld({ ...relays(), liar: { rttMs: 1, refuses: "CapacityExceeded" } })
    world.run(500)
    expect(world.feeding).toEqual(["ann", "bob"])
    world.run(120_000, () => expect(childrenAreServed(world)).toBe(true))
    expect(world.actions("subscribe").filter(({ parent }) => parent === "liar").length).toBeLessThanOrEqual(6)
  })

  it("says no number, infinity, less than nothing: no such promise gets into the book, and the honest one does not suffer", async () => {
    const book = new AdvertisementBook({
      roomCapacityId: stream,
      directory: { keysOf: () => ({ ed25519: new Uint8Array(32), mlDsa65: new Uint8Array(1_952) }) },
      isStream: () => false,
      verify: () => Promise.resolve(),
    })
    book.enterEpoch(1n, START)
    const text = utf8Decode(capacityToWire(signed({ uplinkMbps: 20 })))
    for (const uplink of ["-1", "1e39", "-1e39", "1e999", "NaN", '"20"', "null"]) {
      const lie = text.replace(/("uplink_mbps":)[^,}]+/, `$1${uplink}`)
      expect(lie).toContain(`"uplink_mbps":${uplink}`)
      const admitted = await (async () => book.offer(capacityFromWire(utf8Encode(lie)), "n", START))().then(
        ({ kind }) => kind,
        (error: unknown) => (isAvError(error) ? error.code : "untyped"),
      )
      expect(["refused", "CapacityInvalid", "WireDecode"]).toContain(admitted)
    }
    expect(book.candidates(stream, START)).toEqual([])
    expect((await book.offer({ ...signed({}), advertiserKeyId: "ann" }, "n", START)).kind).toBe("admitted")
  })
})
