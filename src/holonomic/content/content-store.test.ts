/** Admission before mutation, tiers, revocation that lasts, and a process that ends at every write. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { MemoryHoloStorage } from "../../store/holo/memory.ts"
import { holoKey, keyNumber } from "../../store/holo/storage.ts"
import type { AvError, ErrorCode } from "../../wire/errors.ts"
import { FUZZ_RUNS } from "../../wire/testing.ts"
import { ConsentDecayScheduler } from "../retention/decay-scheduler.ts"
import { CrashingStorage, codeOfRejection, keysOf, testPeer } from "../testing.ts"
import { ContentStore } from "./content-store.ts"
import { decayStoreOf } from "./decay-port.ts"
import type { SignedManifest } from "./manifest.ts"
import { MAX_ENVELOPE_BYTES } from "./manifest-codec.ts"
import { relievePressure } from "./pressure.ts"
import { decodeTierRecord, decodeTombstone, encodeTierRecord } from "./records.ts"
import { signManifest, type TestContent, testConsent, testContent } from "./testing.ts"

const NOW = { nowUnixMs: 1_000n, own: false }
const DAY = 86_400_000n
const open = async (storage = new MemoryHoloStorage()) => ({ storage, store: await ContentStore.open(storage) })
const ids = (count: number, from = 0) => Array.from({ length: count }, (_, i) => i + from)

/** Every check of admission, made to fail. */
async function broken({ manifest, symbols }: TestContent): Promise<[ErrorCode, SignedManifest, TestContent["symbols"]][]> {
  const producer = await testPeer(1)
  const again = (change: Partial<SignedManifest>) => signManifest(producer, { ...manifest, ...change })
  const first = symbols[0]!
  const half = { ed: manifest.signature!.ed, pq: new Uint8Array(0) }
  const forged = { ed: manifest.signature!.ed.map((byte, i) => (i === 0 ? byte ^ 1 : byte)), pq: manifest.signature!.pq }
  return [
    ["UnsupportedManifestVersion", { ...manifest, manifestVersion: 2 }, symbols],
    ["HybridRequired", { ...manifest, signature: undefined }, symbols],
    ["HybridRequired", { ...manifest, signature: half }, symbols],
    ["HybridVerify", { ...manifest, kRepair: 7 }, symbols],
    ["HybridVerify", { ...manifest, signature: forged }, symbols],
    ["Canonicalization", { ...manifest, contentId: "\ud800" }, symbols],
    ["Canonicalization", { ...manifest, envelope: new Uint8Array(MAX_ENVELOPE_BYTES + 1) }, symbols],
    ["Canonicalization", { ...manifest, envelope: new Uint8Array(3) }, symbols],
    ["SymbolHashesLenMismatch", await again({ symbolHashes: manifest.symbolHashes.slice(1) }), symbols],
    ["SymbolContentIdMismatch", manifest, [...symbols, { ...first, contentId: "another" }]],
    ["SymbolIdOutOfRange", manifest, [...symbols, { ...first, symbolId: 26 }]],
    ["DuplicateSymbolId", manifest, [...symbols, first]],
    ["SymbolHashMismatch", manifest, [...symbols.slice(1), { ...first, bytes: symbols[1]!.bytes }]],
    ["SymbolHashMismatch", await again({ symbolHashes: manifest.symbolHashes.map((hash) => hash.toUpperCase()) }), symbols],
  ]
}

test("nothing is written of a content that fails a check", async () => {
  const content = await testContent(await testPeer(1))
  for (const [code, manifest, symbols] of await broken(content)) {
    const { storage, store } = await open()
    expect(await codeOfRejection(() => store.put(manifest, symbols, NOW))).toBe(code)
    expect(await storage.list("")).toEqual([])
  }
})

test("the first admission stays; another manifest of that name is a conflict; corpora do not mix", async () => {
  const producer = await testPeer(1)
  const { store } = await open()
  const { manifest, symbols } = await testContent(producer)
  await store.put(manifest, symbols.slice(0, 2), { ...NOW, own: true })
  await store.put(manifest, symbols.slice(1, 4), { nowUnixMs: 9_999n, own: false })
  expect(await store.symbolIds(manifest)).toEqual([0, 1, 2, 3])
  expect(await store.record(manifest)).toMatchObject({ admittedAtUnixMs: 1_000n, own: true, className: "STANDARD" })
  const other = await testContent(producer, {}, { seed: 7 })
  expect(await codeOfRejection(() => store.put(other.manifest, [], NOW))).toBe("ManifestConflict")
  const blob = await testContent(producer, { corpusKind: "blob" }, { seed: 7 })
  await store.put(blob.manifest, blob.symbols.slice(0, 1), NOW)
  expect(await store.symbolIds(manifest)).toHaveLength(4)
  expect(await store.symbol(blob.manifest, 0)).toEqual(blob.symbols[0]!.bytes)
})

test("a read checks every symbol again, and says what the rest suffices for", async () => {
  const { storage, store } = await open()
  const { manifest, symbols } = await testContent(await testPeer(1))
  await store.put(manifest, symbols.slice(0, 20), NOW)
  expect(await store.read(manifest)).toMatchObject({ state: "held", readClass: "Full" })
  await storage.batch([{ put: [holoKey("symbol", "av_chunk", "clip", keyNumber(3, 10)), new Uint8Array(64)] }])
  const reading = await store.read(manifest)
  expect(reading).toMatchObject({ state: "held", readClass: "Partial" })
  expect(reading.state === "held" && reading.symbols.map(({ symbolId }) => symbolId)).toEqual(ids(20).filter((id) => id !== 3))
  expect(store.damagedSymbols).toBe(1)
  expect(await store.symbol(manifest, 3)).toBeUndefined()
  await store.evictToTier(manifest, "T5")
  expect(await store.read(manifest)).toMatchObject({ state: "held", readClass: "EnvelopeOnly", symbols: [] })
  expect(await store.read({ contentId: "nothing", corpusKind: "blob" })).toEqual({ state: "unknown" })
})

test("tiers drop repair first, then the tail; age and lack of room do not overwrite each other", async () => {
  const { store } = await open()
  const { manifest, symbols } = await testContent(await testPeer(1))
  await store.put(manifest, symbols, NOW)
  expect(await store.setPressureTier(manifest, "T3")).toBe(13)
  expect(await store.symbolIds(manifest)).toEqual(ids(13))
  expect(await store.setDecayTier(manifest, "T2")).toBe(0)
  expect(await store.record(manifest)).toMatchObject({ decayTier: "T2", pressureTier: "T3" })
  await store.setPressureTier(manifest, "Full")
  await store.setDecayTier(manifest, "Full")
  expect(await store.record(manifest)).toMatchObject({ decayTier: "T2", pressureTier: "Full" })
  expect(await store.symbolIds(manifest)).toEqual(ids(13))
  expect(await store.evictToTier({ contentId: "nothing", corpusKind: "x" }, "T5")).toBe(0)
  expect([await store.dropSymbol(manifest, 4), await store.dropSymbol(manifest, 4)]).toEqual([true, false])
})

test("a revoked content is gone for good, whoever brings it back", async () => {
  const [producer, subject, stranger] = await Promise.all([testPeer(1), testPeer(2), testPeer(3)])
  const { storage, store } = await open()
  const { manifest, symbols } = await testContent(producer, {}, {}, { authorities: [subject.keyId] })
  await store.put(manifest, symbols, NOW)
  expect(await store.applyRevocation(await testConsent(stranger, manifest, 2), 5n)).toBe(false)
  expect(await store.applyRevocation(await testConsent(producer, manifest, 1), 5n)).toBe(false)
  const claim = await testConsent(subject, manifest, 2)
  expect(await store.applyRevocation({ ...claim }, 5n)).toBe(false)
  expect(await store.applyRevocation(claim, 5n)).toBe(true)
  expect((await storage.list("")).map((key) => key.split("/")[1])).toEqual(["tombstone"])
  expect(await store.read(manifest)).toMatchObject({ state: "revoked", tombstone: { revokedAtUnixMs: 5n } })
  expect(await codeOfRejection(() => store.put(manifest, symbols, NOW))).toBe("ContentRevoked")
  expect(await store.contents()).toEqual([])
  expect(await store.applyRevocation(claim, 6n)).toBe(true)
})

test("a revocation that came before the content counts when it comes", async () => {
  const producer = await testPeer(1)
  const { storage, store } = await open()
  const { manifest, symbols } = await testContent(producer)
  const claim = await testConsent(producer, manifest, 2)
  expect(await store.applyRevocation(claim, 5n)).toBe(false)
  expect(await codeOfRejection(() => store.put(manifest, symbols, { ...NOW, consent: [claim] }))).toBe("ContentRevoked")
  expect(await storage.list("")).toEqual([])
})

test("a process that ends at any write leaves the old state or the new one", async () => {
  const producer = await testPeer(1)
  const { manifest, symbols } = await testContent(producer)
  const { storage, store } = await open()
  const claim = await testConsent(producer, manifest, 2)
  const steps: { from: () => Promise<unknown>; run: (target: ContentStore) => Promise<unknown>; held: number[] }[] = [
    { from: async () => {}, run: (target) => target.put(manifest, symbols, NOW), held: [0, 26] },
    { from: () => store.put(manifest, symbols, NOW), run: (target) => target.setDecayTier(manifest, "T3"), held: [26, 13] },
    { from: () => store.setDecayTier(manifest, "T3"), run: (target) => target.applyRevocation(claim, 5n), held: [13, 0] },
  ]
  for (const { from, run, held } of steps) {
    await from()
    const dry = new CrashingStorage(storage.contents)
    await run(await ContentStore.open(dry))
    for (let failAt = 1; failAt <= dry.batches; failAt++) {
      for (const written of [false, true]) {
        const crashing = new CrashingStorage(storage.contents, failAt, written)
        await expect(run(await ContentStore.open(crashing))).rejects.toThrow()
        const after = new MemoryHoloStorage({ contents: crashing.inner.contents })
        const reopened = await ContentStore.open(after)
        const count = (await reopened.symbolIds(manifest)).length
        expect(held).toContain(count)
        const manifests = (await after.list("holo/manifest/")).length
        expect(manifests).toBe((await after.list("holo/tier/")).length)
        if (count > 0) expect(manifests).toBe(1)
        // A revocation is stored before anything is deleted: from then on the deletion is finished at the next start.
        if (held[1] === 0 && (failAt > 1 || written)) expect((await reopened.read(manifest)).state).toBe("revoked")
      }
    }
  }
})

test("what could not be deleted is not served, is tried again, and is reported when it is late", async () => {
  const { manifest, symbols } = await testContent(await testPeer(1))
  const { storage, store } = await open()
  await store.put(manifest, symbols, NOW)
  const failing = new CrashingStorage(storage.contents, 1)
  const stuck = await ContentStore.open(failing)
  const failed = await stuck.hardDelete(manifest, { atUnixMs: 1_000n }).catch((error: AvError) => error)
  expect(failed).toMatchObject({ code: "HardDeleteFailed", details: { reason: "Error" } })
  expect(await stuck.read(manifest)).toMatchObject({ state: "revoked" })
  expect([await stuck.symbol(manifest, 0), await stuck.symbolIds(manifest), await stuck.contents()]).toEqual([undefined, [], []])
  expect(await stuck.retryDeletions(61_000n)).toEqual([])
  expect(await stuck.retryDeletions(61_001n)).toEqual([{ contentId: "clip", corpusKind: "av_chunk" }])
})

test("short of room, quality goes first and others' content before one's own; room alone brings nothing back", async () => {
  const [me, other] = await Promise.all([testPeer(1), testPeer(2)])
  const { storage, store } = await open(new MemoryHoloStorage({ quotaBytes: 1_000_000 }))
  const mine = await testContent(me, { contentId: "mine" })
  const theirs = await testContent(other, { contentId: "theirs" })
  await store.put(mine.manifest, mine.symbols, { ...NOW, own: true })
  await store.put(theirs.manifest, theirs.symbols, NOW)
  const facts = () => ({ consentUnknown: false, hasRare: false })
  const held = async () => [(await store.symbolIds(mine.manifest)).length, (await store.symbolIds(theirs.manifest)).length]
  const { usageBytes } = await storage.estimate()
  // Each quota leaves what one level allows, and dropping a few symbols does not get out of it.
  const squeeze = async (level: number) => {
    const { usageBytes: used } = await storage.estimate()
    storage.quotaBytes = Math.floor(used / (1 - level))
    await relievePressure(store, facts)
    return held()
  }
  const ballast = (bytes: number) => storage.batch([{ put: ["ballast", new Uint8Array(bytes)] }])
  await ballast(0)
  storage.quotaBytes = usageBytes * 1_000
  await ballast(usageBytes * 900)
  expect(await squeeze(0.19)).toEqual([20, 20])
  expect(await squeeze(0.09)).toEqual([20, 13])
  expect(await squeeze(0.045)).toEqual([20, 5])
  expect(await codeOfRejection(() => store.put({ ...theirs.manifest }, [], NOW))).toBeUndefined()
  const late = await testContent(other, { contentId: "late" })
  expect(await codeOfRejection(() => store.put(late.manifest, [], NOW))).toBe("QuotaExceeded")
  expect(await squeeze(0.009)).toEqual([20, 0])
  expect(await store.read(theirs.manifest)).toMatchObject({ state: "held", readClass: "EnvelopeOnly" })
  storage.quotaBytes = 2 ** 40
  await relievePressure(store, facts)
  expect(await held()).toEqual([20, 0])
  expect(await store.record(theirs.manifest)).toMatchObject({ pressureTier: "Full" })
  await store.put(theirs.manifest, theirs.symbols, NOW)
  expect(await held()).toEqual([20, 26])
})

test("a laptop opened after weeks has the right tier at once, and an unknown class destroys nothing", async () => {
  const producer = await testPeer(1)
  const { storage, store } = await open()
  const known = await testContent(producer, { contentId: "known" })
  const strange = await testContent(producer, { contentId: "strange" }, {}, { className: "HOUSE-RULES" })
  for (const { manifest, symbols } of [known, strange]) await store.put(manifest, symbols, { own: false, nowUnixMs: 0n })
  const failures: unknown[] = []
  const reopened = await ContentStore.open(new MemoryHoloStorage({ contents: storage.contents }))
  const scheduler = new ConsentDecayScheduler(decayStoreOf(reopened), { failed: (_, error) => failures.push(error) })
  expect(await scheduler.tick(60n * DAY)).toBe(1)
  expect(failures).toMatchObject([{ code: "InvalidConsentClass" }])
  expect((await reopened.symbolIds(known.manifest)).length).toBe(13)
  expect((await reopened.symbolIds(strange.manifest)).length).toBe(26)
  expect(await scheduler.tick(1n * DAY)).toBe(0)
  expect(await reopened.record(known.manifest)).toMatchObject({ decayTier: "T3" })
})

test("records of any bytes are refused or read", () => {
  const record = { admittedAtUnixMs: 1n, own: true, className: "X", svcQuality: 1, decayTier: "T2", pressureTier: "T5" } as const
  const thresholds = { full: 1, t2: 2, t3: 3, t4: 4, envelopeOnly: 5 }
  expect(decodeTierRecord(encodeTierRecord({ ...record, thresholds }))).toEqual({ ...record, thresholds })
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      for (const decode of [decodeTierRecord, decodeTombstone]) {
        try {
          decode(bytes)
        } catch (error) {
          expect((error as AvError).code).toBe("StorageCorrupt")
        }
      }
    }),
    { numRuns: FUZZ_RUNS },
  )
})

test("keys of another peer open nothing", async () => {
  const [producer, other] = await Promise.all([testPeer(1), testPeer(2)])
  const { store } = await open()
  const { manifest, symbols } = await testContent(producer, {}, {}, { producer: keysOf(other) })
  expect(await codeOfRejection(() => store.put(manifest, symbols, NOW))).toBe("HybridVerify")
})
