/** Witnesses taken in: every check in its place, contradictions kept for ever, and no epoch twice, also after a restart. */
import { expect, test } from "vitest"
import { sha256Sync } from "../../crypto/index.ts"
import type { IdentitySigner } from "../../identity/index.ts"
import { MemoryHoloStorage } from "../../store/holo/memory.ts"
import { toBase64, utf8Encode } from "../../wire/bytes.ts"
import type { ErrorCode } from "../../wire/errors.ts"
import { checkCodec, codeOf } from "../../wire/testing.ts"
import { CrashingStorage, codeOfRejection, keysOf, testPeer } from "../testing.ts"
import { type EquivocationProof, provenEquivocation } from "./equivocation.ts"
import { decodeEquivocationProof, decodeWitness, encodeEquivocationProof, encodeWitness } from "./json.ts"
import { WitnessLedger } from "./ledger.ts"
import { emptyRoot } from "./merkle.ts"
import { AntiRollbackState } from "./rollback.ts"
import { type WholenessWitness, type WitnessStatement, witnessPreimage } from "./witness.ts"

const CLOCK = { currentEpoch: 100n, nowUnixMs: 6_000_000n }
const root = (text: string) => sha256Sync(utf8Encode(text))

async function witnessOf(peer: IdentitySigner, change: Partial<WitnessStatement> = {}): Promise<WholenessWitness> {
  const statement = {
    peerId: peer.keyId,
    epochId: 100n,
    merkleRoot: root("a"),
    leafCount: 1,
    claimNamespaces: ["trust_grant@m", "consent_state@m"],
    observedAtUnixMs: 6_000_000n,
    witnessVersion: 1,
    ...change,
  }
  const { ed, pq } = await peer.signHybrid(witnessPreimage(statement))
  return { ...statement, signature: toBase64(ed), signatureMlDsa65: toBase64(pq), pqcKeyId: peer.keyId }
}

test("each check refuses by its own name and stores nothing", async () => {
  const [peer, other] = await Promise.all([testPeer(1), testPeer(2)])
  const good = await witnessOf(peer)
  const cases: [ErrorCode, WholenessWitness, IdentitySigner?][] = [
    ["UnsupportedVersion", { ...good, witnessVersion: 2 }],
    ["ForbiddenNamespace", { ...good, claimNamespaces: ["Anonymous:x"] }],
    ["ForbiddenNamespace", { ...good, claimNamespaces: ["a:SELF"] }],
    ["DuplicateNamespace", { ...good, claimNamespaces: ["a", "a"] }],
    ["LeafCountMismatch", { ...good, claimNamespaces: [] }],
    ["LeafCountMismatch", { ...good, leafCount: 0 }],
    ["LeafCountMismatch", { ...good, merkleRoot: emptyRoot() }],
    ["EpochInFuture", { ...good, epochId: 106n }],
    ["PqcMissing", { ...good, signatureMlDsa65: "" }],
    // The second half covers the first: with another first one both are over something else.
    ["BothSignaturesInvalid", { ...good, signature: (await witnessOf(peer, { epochId: 99n })).signature }],
    ["PqcSignatureInvalid", { ...good, signatureMlDsa65: "AAAA" }],
    ["BothSignaturesInvalid", { ...good, leafCount: 2 }],
    ["BothSignaturesInvalid", good, other],
    ["CanonicalSerializationFailed", { ...good, pqcKeyId: "x", peerId: "\ud800" }],
    ["KeyInvalid", await witnessOf(peer, { peerId: other.keyId })],
  ]
  for (const [code, witness, keys = peer] of cases) {
    const storage = new MemoryHoloStorage()
    const ledger = await WitnessLedger.open(storage, other.keyId)
    expect(await codeOfRejection(() => ledger.ingest(witness, keysOf(keys), CLOCK))).toBe(code)
    expect(await storage.list("")).toEqual([])
    expect(ledger.highestSeen(peer.keyId)).toBeUndefined()
  }
})

test("the right classical half with the wrong message for it alone is told from the rest", async () => {
  const peer = await testPeer(1)
  const ledger = await WitnessLedger.open(new MemoryHoloStorage(), "us")
  const good = await witnessOf(peer)
  const keys = { ...keysOf(peer), ed25519: (await testPeer(2)).entityId }
  expect(await codeOfRejection(() => ledger.ingest(good, keys, CLOCK))).toBe("ClassicalSignatureInvalid")
})

test("no epoch twice and none that is older, also after a restart", async () => {
  const [peer, us] = await Promise.all([testPeer(1), testPeer(2)])
  const storage = new MemoryHoloStorage()
  const ledger = await WitnessLedger.open(storage, us.keyId)
  await ledger.ingest(await witnessOf(us), keysOf(us), CLOCK)
  expect(await ledger.ingest(await witnessOf(peer), keysOf(peer), CLOCK)).toEqual({ kind: "Identical" })
  const again = async (change: Partial<WitnessStatement>) => {
    const reopened = await WitnessLedger.open(new MemoryHoloStorage({ contents: storage.contents }), us.keyId)
    const witness = await witnessOf(peer, change)
    return codeOfRejection(() => reopened.ingest(witness, keysOf(peer), CLOCK))
  }
  expect(await again({})).toBe("Duplicate")
  expect(await again({ epochId: 99n })).toBe("Rollback")
  expect(await again({ claimNamespaces: ["trust_grant@other"] })).toBe("NamespaceFork")
  expect(await again({ claimNamespaces: ["consent_state@m", "trust_grant@m"] })).toBe("Duplicate")
  expect(await again({ epochId: 101n })).toBeUndefined()
  const divergent = await witnessOf(peer, { epochId: 101n, merkleRoot: root("b") })
  await ledger.ingest(await witnessOf(us, { epochId: 101n }), keysOf(us), CLOCK)
  expect(await ledger.ingest(divergent, keysOf(peer), CLOCK)).toEqual({ kind: "Divergent" })
  expect(await ledger.ingest(await witnessOf(peer, { epochId: 102n }), keysOf(peer), CLOCK)).toBeUndefined()
})

test("a contradiction is kept, told once, and excludes its peer until an operator forgives it", async () => {
  const [peer, us] = await Promise.all([testPeer(1), testPeer(2)])
  const storage = new MemoryHoloStorage()
  const told: EquivocationProof[] = []
  const ledger = await WitnessLedger.open(storage, us.keyId, { equivocation: (proof) => told.push(proof) })
  const [a, b] = [await witnessOf(peer), await witnessOf(peer, { merkleRoot: root("b") })]
  await ledger.ingest(a, keysOf(peer), CLOCK)
  for (let i = 0; i < 2; i++) {
    expect(await codeOfRejection(() => ledger.ingest(b, keysOf(peer), CLOCK))).toBe("Equivocation")
  }
  expect(told).toHaveLength(1)
  const reopened = await WitnessLedger.open(storage, us.keyId)
  expect([reopened.isExcluded(peer.keyId), reopened.isExcluded(us.keyId)]).toEqual([true, false])
  await reopened.clear(peer.keyId)
  expect(reopened.isExcluded(peer.keyId)).toBe(false)
  expect((await WitnessLedger.open(storage, us.keyId)).isExcluded(peer.keyId)).toBe(false)
  expect(await storage.list("holo/hardcase/")).toHaveLength(1)
  // Another peer is told of it, and takes nobody's word.
  const far = await WitnessLedger.open(new MemoryHoloStorage(), "far")
  const proof = told[0]!
  expect(await far.ingestProof(proof, keysOf(us))).toBe(false)
  expect(await far.ingestProof({ ...proof, witnessB: { ...b, merkleRoot: root("c") } }, keysOf(peer))).toBe(false)
  expect(await far.ingestProof(proof, keysOf(peer))).toBe(true)
  expect(await far.ingestProof(proof, keysOf(peer))).toBe(false)
  expect(far.isExcluded(peer.keyId)).toBe(true)
})

test("sixteen witnesses of a peer are kept, with the highest epoch in the same write", async () => {
  const peer = await testPeer(1)
  const storage = new CrashingStorage(new Map(), 20)
  const ledger = await WitnessLedger.open(storage, "us")
  const stored = []
  for (let i = 1n; i <= 20n; i++) {
    const witness = await witnessOf(peer, { epochId: 80n + i })
    stored.push(await codeOrCrash(() => ledger.ingest(witness, keysOf(peer), CLOCK)))
  }
  expect(stored).toEqual([...Array(19).fill("stored"), "crash"])
  const reopened = await WitnessLedger.open(storage.inner, "us")
  expect((await reopened.witnesses(peer.keyId)).map(({ epochId }) => epochId)).toEqual(
    Array.from({ length: 16 }, (_, i) => 84n + BigInt(i)),
  )
  expect(reopened.highestSeen(peer.keyId)).toBe(99n)
})

async function codeOrCrash(run: () => Promise<unknown>): Promise<string> {
  return run().then(
    () => "stored",
    () => "crash",
  )
}

test("peers do not disturb each other's epochs", () => {
  const state = new AntiRollbackState()
  expect([state.acceptIfMonotonic("a", 5n), state.acceptIfMonotonic("a", 5n), state.acceptIfMonotonic("a", 4n)]).toEqual([
    true,
    false,
    false,
  ])
  expect([state.acceptIfMonotonic("b", 1n), state.acceptIfMonotonic("a", 6n)]).toEqual([true, true])
  expect([state.highestSeen("a"), state.highestSeen("b"), state.highestSeen("c")]).toEqual([6n, 1n, undefined])
})

test("JSON of witnesses and proofs", async () => {
  const peer = await testPeer(1)
  const witness = await witnessOf(peer, { epochId: 2n ** 64n - 1n })
  const text = new TextDecoder().decode(encodeWitness(witness))
  expect(Object.keys(JSON.parse(text))).toHaveLength(10)
  expect(JSON.parse(text)).toMatchObject({ epoch_id: "18446744073709551615", merkle_root: [...witness.merkleRoot] })
  const proof = provenEquivocation(witness, { ...witness, merkleRoot: root("b") }, 1n)!
  expect(decodeWitness(encodeWitness(witness))).toEqual(witness)
  expect(decodeEquivocationProof(encodeEquivocationProof(proof))).toEqual(proof)
  // Spaces and further members may be there: no encoder to compare with.
  const codes = ["WireDecode", "WireTooLong"] as const
  checkCodec({ samples: [encodeWitness(witness)], decode: decodeWitness, codes })
  checkCodec({ samples: [encodeEquivocationProof(proof)], decode: decodeEquivocationProof, codes })
  expect(codeOf(() => decodeWitness(new Uint8Array(65_537)))).toBe("WireTooLong")
})
