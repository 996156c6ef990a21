import { describe, expect, it } from "vitest"
import { roomCapacityId, signCapacity } from "../identity/capacity.ts"
import { signerFromSeeds } from "../identity/signer.ts"
import type { SignedRelayCapacity } from "../wire/capacity.ts"
import { AvError } from "../wire/errors.ts"
import { admitAdvertisement, EPOCH_GRACE_MS, RecentEpochs } from "./admission.ts"
import { AdvertisementBook, MAX_ADVERTISERS } from "./advertisement-book.ts"
import { CapacityGossip } from "./capacity-gossip.ts"
import { capacity, START } from "./test-parents.ts"

const roomId = new Uint8Array(32).fill(1)
const room = roomCapacityId(roomId)
const stream = new Uint8Array(32).fill(2)
const keys = { ed25519: new Uint8Array(32), mlDsa65: new Uint8Array(1952) }

/** An advertisement whose "signature" is the word `good`. */
function ad(keyId: string, age = 0, change: Partial<SignedRelayCapacity> = {}): SignedRelayCapacity {
  return {
    advertiserKeyId: keyId,
    capacity: capacity({ measuredAtUnixMs: BigInt(START - age) }),
    streamId: room,
    epoch: 5n,
    signatureEd25519Base64: "good",
    signatureMlDsa65Base64: "good",
    ...change,
  }
}

function bookOf(unknown: string[] = []): { book: AdvertisementBook; checked: () => number } {
  let checked = 0
  const book = new AdvertisementBook({
    roomCapacityId: room,
    directory: { keysOf: (keyId) => (unknown.includes(keyId) ? undefined : keys) },
    isStream: (id) => id[0] === 2,
    verify: async (signed) => {
      checked++
      if (signed.signatureEd25519Base64 !== "good") throw new AvError("SignatureInvalid")
    },
  })
  book.enterEpoch(5n, START)
  return { book, checked: () => checked }
}

const offer = async (book: AdvertisementBook, signed: SignedRelayCapacity, now = START, from = "n") => {
  const verdict = await book.offer(signed, from, now)
  return verdict.kind === "refused" ? verdict.code : verdict.kind
}
const names = (book: AdvertisementBook, now = START) =>
  book.candidates(stream, now).map(({ signedCapacity }) => signedCapacity.advertiserKeyId)

describe("recent epochs", () => {
  it("count for 10 s after their end, several of them", () => {
    const epochs = new RecentEpochs()
    for (const [epoch, at] of [
      [1n, 0],
      [2n, 500],
      [3n, 900],
    ] as const)
      epochs.enter(epoch, at)
    expect([1n, 2n, 3n, 4n].map((epoch) => epochs.isRecent(epoch, 1_000))).toEqual([true, true, true, false])
    expect(epochs.isRecent(1n, 500 + EPOCH_GRACE_MS)).toBe(true)
    expect(epochs.isRecent(1n, 501 + EPOCH_GRACE_MS)).toBe(false)
    expect(epochs.isRecent(3n, 1e9)).toBe(true)
  })
})

describe("admission with real signatures", () => {
  it("goes through all steps in their order", async () => {
    const signer = await signerFromSeeds(new Uint8Array(32).fill(1), new Uint8Array(32).fill(2))
    const own = { ed25519: signer.entityId, mlDsa65: signer.mlDsaPublicKey }
    const signed = await signCapacity(capacity(), room, 5n, signer.keyId, signer)
    const context = {
      directory: { keysOf: (keyId: string) => (keyId === signer.keyId ? own : undefined) },
      streamIds: [stream, room],
      isEpochRecent: (epoch: bigint) => epoch === 5n,
      nowUnixMs: BigInt(START),
    }
    const result = (change: Partial<SignedRelayCapacity>, other: object = {}) =>
      admitAdvertisement({ ...signed, ...change }, { ...context, ...other }).then(
        ({ signedCapacity }) => signedCapacity.advertiserKeyId,
        (error: AvError) => error.code,
      )
    expect(await result({})).toBe(signer.keyId)
    expect(await result({ advertiserKeyId: "x", epoch: 9n })).toBe("AdvertiserUnknown")
    expect(await result({ epoch: 9n })).toBe("BindingMismatch")
    expect(await result({}, { streamIds: [stream] })).toBe("BindingMismatch")
    expect(await result({ capacity: capacity({ uplinkMbps: 21 }) }, { nowUnixMs: 0n })).toBe("SignatureInvalid")
    expect(await result({}, { nowUnixMs: BigInt(START + 30_000), newest: BigInt(START + 1) })).toBe("Stale")
    expect(await result({}, { nowUnixMs: BigInt(START - 5_001) })).toBe("Stale")
    expect(await result({}, { newest: BigInt(START + 1) })).toBe("Rollback")
    expect(await result({}, { newest: BigInt(START) })).toBe(signer.keyId)
  })
})

describe("the book", () => {
  it("keeps the newest of each relay and knows what it has seen without checking it again", async () => {
    const { book, checked } = bookOf()
    expect(await offer(book, ad("a", 100))).toBe("admitted")
    expect(await offer(book, ad("a", 100), START, "m")).toBe("known")
    expect(await offer(book, ad("a", 200))).toBe("Rollback")
    expect(checked()).toBe(1)
    expect(await offer(book, ad("a", 0))).toBe("admitted")
    expect(names(book)).toEqual(["a"])
    expect(names(book, START + 30_000)).toEqual([])
  })

  it("does not let a forged advertisement shadow the right one", async () => {
    const { book } = bookOf()
    expect(await offer(book, ad("a", 0, { signatureEd25519Base64: "bad!" }))).toBe("SignatureInvalid")
    expect(await offer(book, ad("a"))).toBe("admitted")
  })

  it("refuses who is unknown, other streams, other epochs, the stale and the future, before checking signatures", async () => {
    const { book, checked } = bookOf(["x"])
    expect(await offer(book, ad("x"))).toBe("AdvertiserUnknown")
    expect(await offer(book, ad("a", 0, { streamId: new Uint8Array(32).fill(3) }))).toBe("BindingMismatch")
    expect(await offer(book, ad("a", 0, { epoch: 4n }))).toBe("BindingMismatch")
    expect(await offer(book, ad("a", 0, { epoch: 500n }))).toBe("BindingMismatch")
    expect(await offer(book, ad("a", 30_000))).toBe("Stale")
    expect(await offer(book, ad("a", -5_001))).toBe("Stale")
    expect(checked()).toBe(0)
  })

  it("parks what is signed for an epoch ahead until it gets there", async () => {
    const { book } = bookOf()
    expect(await offer(book, ad("a", 0, { epoch: 6n }))).toBe("parked")
    expect(names(book)).toEqual([])
    expect(book.enterEpoch(6n, START + 100).map(({ advertiserKeyId }) => advertiserKeyId)).toEqual(["a"])
    expect(names(book)).toEqual(["a"])
  })

  it("prefers the newer of a relay's advertisements for the room and for the stream", async () => {
    const { book } = bookOf()
    const special = capacity({ measuredAtUnixMs: BigInt(START - 50), uplinkMbps: 3 })
    await offer(book, ad("a", 100))
    await offer(book, ad("a", 0, { streamId: stream, capacity: special }))
    const uplink = () => book.candidates(stream, START)[0]?.signedCapacity.capacity.uplinkMbps
    expect(uplink()).toBe(3)
    expect(book.candidates(new Uint8Array(32).fill(4), START)[0]?.signedCapacity.capacity.uplinkMbps).toBe(20)
    expect(await offer(book, ad("a", 0), START + 1_500)).toBe("admitted")
    expect(uplink()).toBe(20)
  })

  it("admits two per advertiser and second", async () => {
    const { book } = bookOf()
    const verdicts: string[] = []
    for (const age of [30, 20, 10]) verdicts.push(await offer(book, ad("a", age)))
    expect(verdicts).toEqual(["admitted", "admitted", "LimitExceeded"])
    expect(await offer(book, ad("a", 5), START + 1_000)).toBe("admitted")
  })

  it("checks 50 per neighbour and second, fewer when the signatures are bad, and others are not affected", async () => {
    const { book, checked } = bookOf()
    const verdicts: string[] = []
    for (let i = 0; i < 60; i++) verdicts.push(await offer(book, ad(`r${i}`)))
    expect(verdicts.filter((verdict) => verdict === "admitted")).toHaveLength(50)
    expect(verdicts.slice(50)).toEqual(new Array(10).fill("LimitExceeded"))
    const before = checked()
    for (let i = 0; i < 60; i++) await offer(book, ad(`s${i}`, 0, { signatureEd25519Base64: "bad" }), START, "liar")
    expect(checked() - before).toBe(5)
    expect(await offer(book, ad("honest"), START, "other")).toBe("admitted")
    expect(await offer(book, ad("late"), START + 1_000)).toBe("admitted")
  })

  it("is bounded, and makes room by forgetting the stale", async () => {
    const { book } = bookOf()
    for (let i = 0; i < MAX_ADVERTISERS; i++) await offer(book, ad(`r${i}`, 100), START, `n${i}`)
    expect(await offer(book, ad("more"))).toBe("LimitExceeded")
    expect(book.size).toBe(MAX_ADVERTISERS)
    const later = START + 30_000
    book.enterEpoch(5n, later)
    expect(await offer(book, ad("more", -29_000), later)).toBe("admitted")
    expect(book.size).toBe(1)
  })

  it("forgets who left", async () => {
    const { book } = bookOf()
    await offer(book, ad("a"))
    book.forgetAdvertiser("a")
    expect(names(book)).toEqual([])
  })
})

describe("gossip", () => {
  it("goes once to every link but the one it came from and the advertiser's own", () => {
    const gossip = new CapacityGossip()
    for (const link of ["a", "b", "c", "r"]) gossip.openLink(link, START)
    gossip.push(ad("r"), "a")
    expect(gossip.take(START).map(({ to }) => to)).toEqual(["b", "c"])
    expect(gossip.take(START + 1_000)).toEqual([])
  })

  it("is paced to 50 per link and second, newest only", () => {
    const gossip = new CapacityGossip()
    gossip.openLink("b", START)
    for (let i = 0; i < 200; i++) {
      gossip.push(ad(`r${i}`, 100))
      gossip.push(ad(`r${i}`, 0))
    }
    expect(gossip.waiting).toBe(200)
    const sent = gossip.take(START)
    for (let now = START + 100; now <= START + 1_000; now += 100) sent.push(...gossip.take(now))
    expect(sent.length).toBe(60)
    expect(sent[0]?.signed.capacity.measuredAtUnixMs).toBe(BigInt(START))
    expect(new Set(sent.map(({ signed }) => signed.advertiserKeyId)).size).toBe(60)
    gossip.closeLink("b")
    expect(gossip.waiting).toBe(0)
  })
})
