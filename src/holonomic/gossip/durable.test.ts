/** Which durable claims count at a cut, whatever the order in which they came. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { MemoryHoloStorage } from "../../store/holo/memory.ts"
import { fromHex, toHex } from "../../wire/bytes.ts"
import { consentBytes, trustGrantBytes, trustRevokeBytes } from "../claims/bodies.ts"
import { testClaim } from "../content/testing.ts"
import { codeOfRejection, keysOf, testPeer } from "../testing.ts"
import { emptyRoot } from "../witness/merkle.ts"
import { bucketDigests, differingBuckets, leavesAnswer } from "./buckets.ts"
import { ClaimBook, SCOPE_SELF } from "./claim-book.ts"
import { type DurableBody, type DurableClaim, isRevocation, type LiveFacts, liveAt, readDurable } from "./durable.ts"

const NOTHING: LiveFacts = { holdsManifest: () => false, holdsAggregation: () => false }
let counter = 0
const claimOf = (body: DurableBody, signerPeerId: string, signedAt = 1, leaf = counter++): DurableClaim => ({
  hash: leaf.toString(16).padStart(64, "0"),
  leaf: Uint8Array.of(leaf >> 8, leaf & 255),
  signerPeerId,
  signedAtUnixMs: BigInt(signedAt),
  cohortScope: "mesh",
  body,
})
const grant = (from: string, to: string, at: number, expires = 0, signedAt = 1) =>
  claimOf(
    {
      kind: "trust_grant",
      grant: {
        granter: from,
        grantee: to,
        grantedAtUnixMs: BigInt(at),
        chainDepth: 0,
        weight: 255,
        expiresAtUnixMs: BigInt(expires),
      },
    },
    from,
    signedAt,
  )
const revoke = (from: string, to: string, at: number) =>
  claimOf({ kind: "trust_revoke", revoke: { granter: from, grantee: to, revokedAtUnixMs: BigInt(at) } }, from)
const consent = (signer: string, state: number, at: number, expires = 0, contentId = "c") =>
  claimOf(
    {
      kind: "consent_state",
      consent: { contentId, corpusKind: "blob", state, atUnixMs: BigInt(at), expiresAtUnixMs: BigInt(expires) },
    },
    signer,
  )
const live = (claims: DurableClaim[], cut = 100, facts = NOTHING) => new Set(liveAt(claims, BigInt(cut), facts))

test("trust: the newest of a pair, not expired, not taken back at the same time or later", () => {
  const [old, newer, other] = [grant("a", "b", 10), grant("a", "b", 20), grant("b", "a", 5)]
  expect(live([newer, old, other])).toEqual(new Set([newer, other]))
  const [same, larger] = [grant("a", "b", 20), grant("a", "b", 20)]
  expect(live([larger, same])).toEqual(new Set([larger]))
  expect(live([grant("a", "b", 10, 100)])).toEqual(new Set())
  const lasting = grant("a", "b", 10, 101)
  expect(live([lasting])).toEqual(new Set([lasting]))
  // The newest counts, or none: an older one does not come back when it ends.
  expect(live([old, grant("a", "b", 30, 50)])).toEqual(new Set())
  const [early, late] = [revoke("a", "b", 19), revoke("a", "b", 20)]
  expect(live([newer, early])).toEqual(new Set([newer, early]))
  expect(live([newer, late, early])).toEqual(new Set([late]))
  expect(live([grant("a", "b", 10, 0, 101)])).toEqual(new Set())
})

test("consent: revocations stay for ever, each of them; grants end", () => {
  const [first, second] = [consent("a", 2, 5), consent("a", 2, 6)]
  expect(live([first, second])).toEqual(new Set([first, second]))
  const [old, newer, others] = [consent("a", 1, 5), consent("a", 1, 6), consent("b", 1, 5)]
  expect(live([old, newer, others])).toEqual(new Set([newer, others]))
  expect(live([newer, others, first])).toEqual(new Set([others, first]))
  expect(live([consent("a", 1, 5, 100)])).toEqual(new Set())
  expect([isRevocation(first.body), isRevocation(newer.body), isRevocation(revoke("a", "b", 1).body)]).toEqual([
    true,
    false,
    true,
  ])
})

test("manifests and folds count while they are here", () => {
  const [manifest, fold] = [
    claimOf({ kind: "content_manifest", hash: "aa" }, "a"),
    claimOf({ kind: "aggregation", hash: "bb" }, "a"),
  ]
  expect(live([manifest, fold])).toEqual(new Set())
  expect(live([manifest, fold], 100, { ...NOTHING, holdsManifest: (hash) => hash === "aa" })).toEqual(new Set([manifest]))
  expect(live([manifest, fold], 100, { ...NOTHING, holdsAggregation: (hash) => hash === "bb" })).toEqual(new Set([fold]))
})

test("the order in which claims came does not matter", () => {
  const name = fc.constantFrom("a", "b", "\u00e9", "\u{1f600}")
  const time = fc.integer({ min: 1, max: 6 })
  const one = fc.oneof(
    fc.tuple(name, name, time, fc.constantFrom(0, 3, 9)).map(([x, y, at, end]) => grant(x, y, at, end)),
    fc.tuple(name, name, time).map(([x, y, at]) => revoke(x, y, at)),
    fc
      .tuple(name, fc.constantFrom(1, 2), time, fc.constantFrom(0, 3, 9))
      .map(([x, state, at, end]) => consent(x, state, at, end)),
  )
  fc.assert(
    fc.property(
      fc
        .array(one, { maxLength: 12 })
        .chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))),
      ([list, shuffled]) => {
        expect(live(shuffled, 5)).toEqual(live(list, 5))
        // Another claim never brings a revocation down.
        for (const claim of live(list, 5))
          if (isRevocation(claim.body)) expect(live([...list, grant("z", "z", 1)], 5)).toContain(claim)
      },
    ),
  )
})

test("only what says what its kind says, about its own signer, is durable", () => {
  const base = { claimVersion: 1, signerPeerId: "a" }
  const body = { granter: "a", grantee: "b", grantedAtUnixMs: 1n, chainDepth: 0, weight: 1, expiresAtUnixMs: 0n }
  const state = { contentId: "c", corpusKind: "b", state: 3, atUnixMs: 1n, expiresAtUnixMs: 0n }
  const cases: [string, Uint8Array, boolean][] = [
    ["trust_grant", trustGrantBytes(body), true],
    ["trust_grant", trustGrantBytes({ ...body, granter: "b" }), false],
    ["trust_revoke", trustRevokeBytes({ granter: "a", grantee: "b", revokedAtUnixMs: 1n }), true],
    ["trust_revoke", trustRevokeBytes({ granter: "b", grantee: "b", revokedAtUnixMs: 1n }), false],
    ["consent_state", consentBytes({ ...state, state: 2 }), true],
    ["consent_state", consentBytes(state), false],
    ["content_manifest", new Uint8Array(32), true],
    ["aggregation", new Uint8Array(31), false],
    ["holding_claim", new Uint8Array(32), false],
  ]
  for (const [claimKind, claimBytes, durable] of cases) {
    expect(readDurable({ ...base, claimKind, claimBytes }) !== undefined, claimKind).toBe(durable)
    expect(readDurable({ ...base, claimKind, claimBytes, claimVersion: 2 })).toBeUndefined()
  }
})

test("a book takes verified claims once, keeps them over a restart, and tells nobody what is private", async () => {
  const [peer, storage] = [await testPeer(1), new MemoryHoloStorage()]
  const body = { granter: peer.keyId, grantedAtUnixMs: 1n, chainDepth: 0, weight: 255, expiresAtUnixMs: 0n }
  const [open, hidden] = await Promise.all(
    ["b", "c"].map((grantee) => testClaim(peer, "trust_grant", trustGrantBytes({ ...body, grantee }))),
  )
  const book = await ClaimBook.open(storage, NOTHING)
  expect(toHex(book.leavesAt(10_000n).root)).toBe(toHex(emptyRoot()))
  expect(await codeOfRejection(() => book.add({ ...open! }, keysOf(peer), 1n))).toBe("UsageError")
  const other = await testClaim(peer, "bootstrap_hello", new Uint8Array(32))
  expect(await codeOfRejection(() => book.add(other, keysOf(peer), 1n))).toBe("Malformed")
  const added = await book.add(open!, keysOf(peer), 1n)
  expect(await book.add(open!, keysOf(peer), 1n)).toBeUndefined()
  const secret = (await book.add(hidden!, keysOf(peer), 1n, SCOPE_SELF))!
  const again = await ClaimBook.open(storage, NOTHING)
  for (const one of [book, again]) {
    expect(one.size).toBe(2)
    expect(one.leavesAt(10_000n).hashes).toEqual([fromHex(added!.hash)])
    expect(one.leavesAt(999n).hashes).toEqual([])
    expect((await one.claim(added!.hash))?.claim.claimBytes).toEqual(open!.claimBytes)
    expect(await one.claim(secret.hash)).toBeUndefined()
    expect(one.grantsAt(10_000n).map(({ granteePeerId }) => granteePeerId)).toEqual(["b", "c"])
  }
  // A record that was changed is no claim any more.
  const key = (await storage.list("holo/claim/"))[0]!
  const damaged = (await storage.get(key))!
  damaged[40]! ^= 1
  await storage.batch([{ put: [key, damaged] }])
  expect((await ClaimBook.open(storage, NOTHING)).size).toBe(1)
})

test("long lists of leaves are compared by buckets and read in pages", () => {
  const sorted = Array.from({ length: 2_500 }, (_, i) => {
    const hash = new Uint8Array(32)
    new DataView(hash.buffer).setUint16(0, i * 20)
    return hash
  })
  const answer = leavesAnswer(sorted, { epochId: 1n })
  expect([answer.count, answer.hashes, answer.buckets?.length]).toEqual([2_500, undefined, 256])
  const less = sorted.filter((_, i) => i !== 1_000)
  expect(differingBuckets(bucketDigests(less), answer.buckets!)).toEqual([sorted[1_000]![0]])
  const inBucket = leavesAnswer(sorted, { epochId: 1n, bucket: 3 })
  expect(inBucket.hashes!.every(([first]) => first === 3)).toBe(true)
  const page = leavesAnswer(sorted, { epochId: 1n, next: sorted[9]! })
  expect([page.hashes!.length, page.hashes![0], page.next]).toEqual([1_000, sorted[10], sorted[1_009]])
  expect(leavesAnswer(sorted, { epochId: 1n, next: sorted[2_000]! }).next).toBeUndefined()
})
