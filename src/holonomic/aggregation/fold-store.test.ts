/** Composites pass the gate or leave no trace; sources descend, composites stay; forged lists delete nothing. */
import { beforeEach, expect, test } from "vitest"
import type { IdentitySigner } from "../../identity/index.ts"
import { MemoryHoloStorage } from "../../store/holo/memory.ts"
import { toBase64, toHex } from "../../wire/bytes.ts"
import type { AvError, ErrorCode } from "../../wire/errors.ts"
import { codeOf } from "../../wire/testing.ts"
import { ContentStore } from "../content/content-store.ts"
import { type TestContent, testContent } from "../content/testing.ts"
import { CrashingStorage, codeOfRejection, keysOf, testPeer } from "../testing.ts"
import { FoldStore, foldDue } from "./fold-store.ts"
import { type SignedAggregationMeta, survivesRevocation } from "./gate.ts"
import { type AggregationMeta, aggregationMetaBytes, memberCommitment } from "./meta.ts"
import { type AggregationRecord, aggregationMetaEnvelope, decodeAggregation, encodeAggregation } from "./record.ts"

const NOW = { own: false, nowUnixMs: 1_000n }
const NAMES = ["～", "a", "😀"]
const SOURCES = NAMES.map((contentId) => ({ contentId, corpusKind: "av_chunk" }))
const EMPTY = new Uint8Array(0)

interface Fold {
  content: TestContent
  record: AggregationRecord
  proof: SignedAggregationMeta
}

async function sign(signer: IdentitySigner, meta: AggregationMeta): Promise<{ proof: SignedAggregationMeta; bytes: Uint8Array }> {
  const bytes = aggregationMetaBytes(meta)
  const { ed, pq } = await signer.signHybrid(bytes)
  const proof = { meta, signatureEd25519Base64: toBase64(ed), signatureMlDsa65Base64: toBase64(pq) }
  return { proof, bytes: aggregationMetaEnvelope(bytes, ed, pq) }
}

async function foldOf(change: Partial<AggregationMeta> = {}, id = "blur", level = 1): Promise<Fold> {
  const aggregator = await testPeer(4)
  const content = await testContent(
    aggregator,
    { contentId: id, corpusKind: "aggregate:av_chunk" },
    {},
    { aggregator: keysOf(aggregator) },
  )
  const { proof, bytes } = await sign(aggregator, {
    version: 3,
    contentId: "pyramid",
    corpusKind: "av_chunk",
    tier: level,
    aggregationAlgorithmId: "fountain-mean-v1",
    sourceCount: 3,
    memberCommitment: memberCommitment(NAMES),
    noiseFloorDescriptor: "",
    nEff: 3,
    maxSourceMultiplicity: 1,
    massCommitment: new Uint8Array(32),
    ...change,
  })
  const record = {
    aggregateContentId: id,
    sourceCorpusKind: "av_chunk",
    aggregationLevel: level,
    fanIn: 3,
    memberCommitment: toHex(memberCommitment(NAMES)).toUpperCase(),
    aggregationMeta: bytes,
  }
  return { content, record, proof }
}

let storage: MemoryHoloStorage
let contents: ContentStore
let folds: FoldStore
beforeEach(async () => {
  storage = new MemoryHoloStorage()
  contents = await ContentStore.open(storage)
  folds = new FoldStore(contents)
})

const put = ({ content, record, proof }: Fold, to = folds, nowUnixMs = 1_000n) =>
  to.putAggregatedTier(content.manifest, content.symbols, record, proof, { own: false, nowUnixMs })

async function putSources(): Promise<void> {
  for (const source of SOURCES) {
    const { manifest, symbols } = await testContent(await testPeer(1), source)
    await contents.put(manifest, symbols, NOW)
  }
}

const held = async () => Promise.all(SOURCES.map(async (source) => (await contents.symbolIds(source)).length))

test("a fold that fails a check leaves nothing", async () => {
  const aggregator = await testPeer(4)
  const good = await foldOf()
  const enveloped = async (keys: { ed25519: Uint8Array; mlDsa65: Uint8Array } | undefined) => ({
    ...good,
    content: await testContent(aggregator, good.content.manifest, {}, keys === undefined ? {} : { aggregator: keys }),
  })
  const withMeta = async (change: Partial<AggregationMeta>) => foldOf(change)
  const withRecord = (change: Partial<AggregationRecord>) => ({ ...good, record: { ...good.record, ...change } })
  const withProof = (change: Partial<SignedAggregationMeta>) => ({ ...good, proof: { ...good.proof, ...change } })
  const wrongSignature = (await sign(await testPeer(1), good.proof.meta)).proof
  const badSymbols = { ...good, content: { ...good.content, symbols: [{ ...good.content.symbols[0]!, symbolId: 1 }] } }
  const classical = { ...good.content.manifest, signature: { ...good.content.manifest.signature!, pq: EMPTY } }
  const cases: [ErrorCode, Fold, string?][] = [
    ["SymbolHashMismatch", badSymbols],
    ["HybridRequired", { ...good, content: { ...good.content, manifest: classical } }],
    ["MemberCommitmentMismatch", withRecord({ memberCommitment: "00" }), "aggregation_meta_member_commitment"],
    ["MissingAggregatorPubkey", await enveloped(undefined), "aggregation_meta_missing_pubkey"],
    ["HybridRequired", await enveloped({ ...keysOf(aggregator), mlDsa65: EMPTY }), "aggregation_meta_hybrid_required"],
    ["MalformedInput", withProof({ signatureEd25519Base64: "_" }), "aggregation_meta_invalid"],
    ["HybridRequired", withProof({ signatureMlDsa65Base64: "" }), "aggregation_meta_hybrid_required"],
    ["HybridRequired", { ...good, proof: wrongSignature }, "aggregation_meta_hybrid_required"],
    ["Dominated", await withMeta({ nEff: 1 }), "aggregation_meta_dominated"],
    ["Dominated", await withMeta({ version: 1 }), "aggregation_meta_dominated"],
    ["Multiplicity", await withMeta({ maxSourceMultiplicity: 2 }), "aggregation_meta_multiplicity"],
    ["Multiplicity", await withMeta({ version: 2 }), "aggregation_meta_multiplicity"],
    ["AggregationShapeMismatch", withRecord({ aggregateContentId: "other" })],
    ["AggregationShapeMismatch", withRecord({ sourceCorpusKind: "blob" })],
    ["AggregationShapeMismatch", withRecord({ fanIn: 4 })],
    ["AggregationShapeMismatch", withRecord({ aggregationLevel: 2 })],
    ["AggregationShapeMismatch", withRecord({ aggregationMeta: EMPTY })],
    ["AggregationShapeMismatch", await foldOf({}, "blur", 0)],
  ]
  for (const [code, fold, token] of cases) {
    const error = await put(fold).catch((raised: AvError) => raised)
    expect(error).toMatchObject({ code, ...(token && { details: { token } }) })
    expect(await storage.list("")).toEqual([])
  }
  await put(good)
})

test("the same fold again changes nothing; another record of its name is a conflict", async () => {
  const fold = await foldOf()
  await put(fold)
  await put(fold, folds, 2_000n)
  expect(await folds.getAggregation("blur")).toEqual({ ...fold.record, aggregatedAtUnixMs: 1_000n })
  const lower = { ...fold, record: { ...fold.record, memberCommitment: fold.record.memberCommitment.toLowerCase() } }
  expect(await codeOfRejection(() => put(lower))).toBe("AggregationConflict")
  expect(await folds.getAggregation("nothing")).toBeUndefined()
})

test("levels are listed by time, then by id", async () => {
  for (const [id, at] of [
    ["😀", 5n],
    ["{", 5n],
    ["z", 5n],
    ["first", 4n],
  ] as const) {
    await put(await foldOf({}, id), folds, at)
  }
  await put(await foldOf({}, "upper", 2), folds, 1n)
  const list = async (level: number, limit: number) =>
    (await folds.listAggregationsAtLevel(level, limit)).map(({ aggregateContentId }) => aggregateContentId)
  expect(await list(1, 9)).toEqual(["first", "z", "{", "😀"])
  expect(await list(1, 2)).toEqual(["first", "z"])
  expect([await list(2, 9), await list(-1, 9), await list(1, 0), await list(1, -1)]).toEqual([["upper"], [], [], []])
})

test("another list deletes nothing", async () => {
  await putSources()
  await put(await foldOf())
  const options = { consent: "Revoked", underPressure: true, targetTier: "T5", nowUnixMs: 2n } as const
  const [a, b, c] = SOURCES as [(typeof SOURCES)[0], (typeof SOURCES)[0], (typeof SOURCES)[0]]
  const descend = (sources: typeof SOURCES, id = "blur") =>
    codeOfRejection(() => folds.descendAggregatedSources(id, sources, options))
  expect(await descend(SOURCES, "nothing")).toBe("AggregationNotFound")
  expect(await descend([a, b])).toBe("MemberCommitmentMismatch")
  expect(await descend([a, b, { ...c, contentId: "x" }])).toBe("MemberCommitmentMismatch")
  // The root over [..., c] and [..., c, c] is the same when c sorts last.
  expect(await descend([...SOURCES, SOURCES[2]!])).toBe("SourceCountMismatch")
  expect(await descend([a, b, { ...c, corpusKind: "blob" }])).toBe("AggregationShapeMismatch")
  expect(await held()).toEqual([26, 26, 26])
})

test("a list of the right length that names one source twice deletes nothing", async () => {
  await putSources()
  const doubled = [NAMES[0]!, NAMES[0]!]
  const record = { fanIn: 2, memberCommitment: toHex(memberCommitment(doubled)) }
  const fold = await foldOf({ sourceCount: 2, nEff: 2, memberCommitment: memberCommitment(doubled) })
  await put({ ...fold, record: { ...fold.record, ...record } })
  const sources = [SOURCES[0]!, SOURCES[0]!]
  const options = { consent: "Active", underPressure: true, targetTier: "T5", nowUnixMs: 2n } as const
  expect(await codeOfRejection(() => folds.descendAggregatedSources("blur", sources, options))).toBe("DuplicateSource")
  expect(await held()).toEqual([26, 26, 26])
})

test("sources descend and their composite stays", async () => {
  await putSources()
  await put(await foldOf())
  const blur = { contentId: "blur", corpusKind: "aggregate:av_chunk" }
  const descend = (change: object) =>
    folds.descendAggregatedSources("blur", SOURCES, { consent: "Unknown", underPressure: true, nowUnixMs: 2n, ...change })
  expect(await descend({ underPressure: false, targetTier: "T5" })).toBe(0)
  expect([await descend({}), await descend({ targetTier: "Full" })]).toEqual([0, 0])
  expect(await descend({ targetTier: "T2" })).toBe(18)
  expect(await descend({ targetTier: "T5" })).toBe(60)
  expect(await contents.read(SOURCES[0]!)).toMatchObject({ readClass: "EnvelopeOnly", foldedInto: "blur" })
  expect(await contents.read(blur)).toMatchObject({ state: "held", readClass: "Full" })
  await descend({ consent: "Revoked", underPressure: false })
  expect((await Promise.all(SOURCES.map((source) => contents.read(source)))).map(({ state }) => state)).toEqual(
    Array(3).fill("revoked"),
  )
  expect(await contents.read(blur)).toMatchObject({ state: "held", readClass: "Full" })
})

test("one level is shed alone, and a composite can go for good", async () => {
  await put(await foldOf())
  await put(await foldOf({}, "upper", 2))
  expect([await folds.evictAggregatedTier("nothing", 1), await folds.evictAggregatedTier("blur", 2)]).toEqual([0, 0])
  expect(await folds.evictAggregatedTier("blur", 1)).toBe(26)
  expect(await contents.symbolIds({ contentId: "upper", corpusKind: "aggregate:av_chunk" })).toHaveLength(26)
  await folds.deleteComposite("blur", { atUnixMs: 3n })
  expect(await folds.getAggregation("blur")).toBeUndefined()
  expect(await contents.read({ contentId: "blur", corpusKind: "aggregate:av_chunk" })).toMatchObject({ state: "revoked" })
  expect(await codeOfRejection(() => folds.deleteComposite("blur", { atUnixMs: 3n }))).toBe("AggregationNotFound")
})

test("a process that ends while a fold is put leaves all of it or nothing", async () => {
  const fold = await foldOf()
  for (const written of [false, true]) {
    const crashing = new CrashingStorage(new Map(), 1, written)
    const target = new FoldStore(await ContentStore.open(crashing))
    await expect(put(fold, target)).rejects.toThrow("the process ended")
    const keys = (await crashing.inner.list("")).map((key) => key.split("/")[1])
    expect(new Set(keys)).toEqual(new Set(written ? ["agg", "agg-level", "manifest", "symbol", "tier"] : []))
  }
})

test("the oldest sixteen are folded as soon as there are thirty-two", () => {
  const items = Array.from({ length: 32 }, (_, i) => ({ contentId: `c${i}`, atUnixMs: BigInt(100 - (i >> 1)) }))
  expect(foldDue(items.slice(1))).toEqual([])
  const due = foldDue(items)
  expect(due).toHaveLength(16)
  expect(due.slice(0, 4).map(({ contentId }) => contentId)).toEqual(["c30", "c31", "c28", "c29"])
  expect(foldDue(items.toReversed())).toEqual(due)
})

test("what a record carries of a signed meta comes back as it was, whatever bytes it is", async () => {
  const { record } = await foldOf()
  const stored = { ...record, aggregatedAtUnixMs: (1n << 64n) - 1n }
  for (const aggregationMeta of [EMPTY, Uint8Array.of(0xff, 0xfe, 0), Uint8Array.from({ length: 70_000 }, (_, i) => i * 7)]) {
    expect(decodeAggregation(encodeAggregation({ ...stored, aggregationMeta }))).toEqual({ ...stored, aggregationMeta })
  }
})

test("a fold without gates does not outlive its members", async () => {
  const { proof } = await foldOf()
  expect([survivesRevocation(proof.meta), survivesRevocation({ ...proof.meta, version: 2 })]).toEqual([true, false])
  expect(codeOf(() => decodeAggregation(Uint8Array.of(1)))).toBe("StorageCorrupt")
})
