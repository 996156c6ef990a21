/** Manifests, envelopes and claims survive their codecs; other bytes are refused; contents come back from any symbols that suffice. */
import { readFileSync } from "node:fs"
import { beforeAll, expect, test } from "vitest"
import { initFountain } from "../../fountain/index.ts"
import { checkCodec, codeOf } from "../../wire/testing.ts"
import { codeOfRejection, keysOf, testPeer } from "../testing.ts"
import { decodeSignedClaim, encodeSignedClaim, isVerified, type SignedClaim, verifyClaim } from "../trust/index.ts"
import { checkAdmission } from "./admission.ts"
import { resolveConsent } from "./consent.ts"
import { decodeEnvelope, encodeEnvelope, producerOf } from "./envelope.ts"
import { makeContent, maxContentBytes, restoreContent } from "./make.ts"
import { verifySymbolAgainstManifest } from "./manifest.ts"
import { decodeManifest, decodeManifestBytes, encodeManifest } from "./manifest-codec.ts"
import { testConsent, testContent } from "./testing.ts"

const envelope = { className: "STANDARD", authorities: ["é"], application: Uint8Array.of(1, 2) }

beforeAll(async () => {
  await initFountain(readFileSync(new URL("../../../node_modules/raptorq/raptorq_bg.wasm", import.meta.url)))
})

/** Decoders of what comes from others. */
function refusesOthers<T>(decode: (bytes: Uint8Array) => T, encode: (value: T) => Uint8Array, sample: Uint8Array): void {
  expect(codeOf(() => decode(Uint8Array.of(...sample, 0)))).toBe("Malformed")
  checkCodec({ decode, encode, codes: ["Malformed"], samples: [sample] })
}

test("a manifest is the same after its codec, and nothing else is one", async () => {
  const { manifest } = await testContent(await testPeer(1), { contentId: "～😀" }, { nSource: 3, kRepair: 1 })
  expect(decodeManifest(encodeManifest(manifest))).toEqual(manifest)
  refusesOthers(decodeManifest, encodeManifest, encodeManifest(manifest))
  expect(codeOf(() => encodeManifest({ ...manifest, signature: undefined }))).toBe("HybridRequired")
  expect(codeOf(() => decodeManifestBytes(new Uint8Array(20)))).toBe("Malformed")
})

test("an envelope is the same after its codec, and nothing else is one", async () => {
  const producer = await testPeer(1)
  const full = {
    ...envelope,
    producer: keysOf(producer),
    thresholds: { full: 1, t2: 2, t3: 3, t4: 4, envelopeOnly: 5 },
    aggregator: keysOf(producer),
  }
  expect(decodeEnvelope(encodeEnvelope(full))).toEqual(full)
  expect(producerOf(full)).toBe(producer.keyId)
  expect(producerOf({ ...full, producer: { ed25519: new Uint8Array(0), mlDsa65: new Uint8Array(0) } })).toBeUndefined()
  const small = { ...envelope, producer: { ed25519: Uint8Array.of(1), mlDsa65: Uint8Array.of(2) } }
  refusesOthers(decodeEnvelope, encodeEnvelope, encodeEnvelope(small))
  const many = { ...full, authorities: Array.from({ length: 33 }, () => "x") }
  expect(codeOf(() => encodeEnvelope(many))).toBe("UsageError")
})

test("that a claim is verified is known of this very object alone", async () => {
  const producer = await testPeer(1)
  const claim = await testConsent(producer, { contentId: "c", corpusKind: "blob" }, 1)
  refusesOthers(decodeSignedClaim, encodeSignedClaim, encodeSignedClaim(claim))
  const copy = decodeSignedClaim(encodeSignedClaim(claim))
  expect(copy).toEqual(claim)
  expect([isVerified(claim), isVerified(copy), isVerified({ ...claim })]).toEqual([true, false, false])
  expect(isVerified({ ...JSON.parse("{}"), verified: true } as SignedClaim)).toBe(false)
  expect(await verifyClaim({ ...copy, claimKind: "trust_grant" }, keysOf(producer))).toBe(false)
  expect(await verifyClaim({ ...copy, signatureMlDsa65Base64: "" }, keysOf(producer))).toBe(false)
  expect(await verifyClaim({ ...copy, claimKind: "\ud800" }, keysOf(producer))).toBe(false)
  expect(await verifyClaim({ ...copy }, keysOf(await testPeer(2)))).toBe(false)
  expect(await verifyClaim(copy, keysOf(producer))).toBe(true)
})

test("consent: any revocation is final, grants expire, and strangers have no say", async () => {
  const [producer, subject, stranger] = await Promise.all([testPeer(1), testPeer(2), testPeer(3)])
  const content = { contentId: "c", corpusKind: "blob" }
  const spoken = { ...envelope, producer: keysOf(producer), authorities: [subject.keyId] }
  const grant = await testConsent(subject, content, 1, { expires: 100n })
  const state = (claims: SignedClaim[], now = 50n) => resolveConsent(content, spoken, claims, now).state
  expect([state([]), state([grant]), state([grant], 100n)]).toEqual(["Unknown", "Active", "Unknown"])
  expect(state([grant, await testConsent(stranger, content, 2)])).toBe("Active")
  expect(state([await testConsent(stranger, content, 1)])).toBe("Unknown")
  expect(state([await testConsent(producer, { ...content, corpusKind: "trace" }, 1)])).toBe("Unknown")
  expect(state([await testConsent(producer, content, 3)])).toBe("Unknown")
  const revoke = await testConsent(producer, content, 2, { at: 0n, expires: 1n })
  expect([state([grant, revoke]), state([revoke, grant])]).toEqual(["Revoked", "Revoked"])
  expect(state([{ ...revoke }, grant])).toBe("Active")
})

test("a content comes back bit for bit from any twenty symbols or a few more, and not from fewer", async () => {
  const payload = Uint8Array.from({ length: 5_001 }, (_, i) => (i * 31) % 251)
  const made = await makeContent({ contentId: "c", corpusKind: "blob" }, payload, envelope, await testPeer(1))
  await checkAdmission(made.manifest, made.symbols)
  expect(made.symbols).toHaveLength(26)
  expect(restoreContent(made.manifest, made.symbols.slice(0, 20))).toEqual(payload)
  expect(restoreContent(made.manifest, made.symbols.slice(4))).toEqual(payload)
  expect(codeOf(() => restoreContent(made.manifest, made.symbols.slice(0, 19)))).toBe("DecodeFailed")
  expect(codeOf(() => restoreContent(made.manifest, made.symbols.slice(0, 4)))).toBe("InsufficientSymbols")
  const ref = { contentId: "large", corpusKind: "blob" }
  const large = new Uint8Array(maxContentBytes({ nSource: 20 }) + 1)
  expect(await codeOfRejection(async () => makeContent(ref, large, envelope, await testPeer(1)))).toBe("PayloadTooLarge")
})

test("a symbol of no manifest, or of another letter case, is no symbol", async () => {
  const { manifest, symbols } = await testContent(await testPeer(1))
  const { bytes } = symbols[0]!
  const verify = (id: number, hashes = manifest.symbolHashes) => verifySymbolAgainstManifest(bytes, id, hashes)
  expect([verify(0), verify(1), verify(26), verify(0xffffffff), verify(-1), verify(0.5)]).toEqual([true, ...Array(5).fill(false)])
  expect(verify(0, [manifest.symbolHashes[0]!.toUpperCase()])).toBe(false)
})
