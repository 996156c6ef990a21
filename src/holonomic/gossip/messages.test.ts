/** Messages of every kind survive their way, and nothing else is taken for one. */
import fc from "fast-check"
import { expect, test } from "vitest"
import { toBase64, utf8Encode } from "../../wire/bytes.ts"
import { checkCodec, codeOf } from "../../wire/testing.ts"
import { encodeManifest } from "../content/manifest-codec.ts"
import { testClaim, testContent } from "../content/testing.ts"
import { keysOf, testPeer } from "../testing.ts"
import {
  decodeHoloMessage,
  decodeSymbolFrame,
  encodeHoloMessage,
  encodeSymbolFrame,
  type HoloMessage,
  isHoloName,
  isMeshId,
  MAX_HOLO_MESSAGE,
  SYMBOLS_END,
} from "./messages.ts"

const HASH = new Uint8Array(32).fill(7)

async function samples(): Promise<HoloMessage[]> {
  const peer = await testPeer(1)
  const [keys, claim] = [keysOf(peer), await testClaim(peer, "trust_grant", Uint8Array.of(1, 2, 255))]
  const content = await testContent(peer)
  const manifest = encodeManifest(content.manifest)
  const signatures = { signature: "AAAA", signatureMlDsa65: "AAAA" }
  const witness = {
    peerId: peer.keyId,
    epochId: 2n ** 64n - 1n,
    merkleRoot: HASH,
    leafCount: 3,
    claimNamespaces: ["trust_grant@m"],
    observedAtUnixMs: 1n,
    witnessVersion: 1,
    ...signatures,
    pqcKeyId: "",
  }
  const other = { ...witness, merkleRoot: new Uint8Array(32) }
  return [
    { t: "holo.hello", peerId: peer.keyId, keys, meshId: "m-1", epochId: 5n },
    { t: "holo.challenge", nonce: HASH, keys, chain: [claim], chainKeys: [keys] },
    { t: "holo.bootstrap", candidate: claim, chain: [], chainKeys: [] },
    { t: "holo.verdict", verdict: { kind: "AdmitTrustServe", trustDistance: 2, anchoredToRoot: "T", standing: 127 } },
    { t: "holo.verdict", verdict: { kind: "Refuse", reason: "ChainUnlinked" } },
    { t: "holo.witness", ...witness, keys },
    { t: "holo.leaves?", epochId: 3n, bucket: 255, next: HASH, claimKind: "consent_state" },
    { t: "holo.leaves", epochId: 3n, count: 2, hashes: [HASH, new Uint8Array(32)] },
    { t: "holo.leaves", epochId: 3n, count: 2_000, buckets: Array.from({ length: 256 }, () => HASH) },
    { t: "holo.claims?", hashes: [HASH] },
    { t: "holo.claims", claims: [claim], keys: [keys] },
    { t: "holo.claim", ...claim, keys },
    { t: "holo.revoke", ...claim, keys },
    { t: "holo.holding", peerId: "p", contentId: "c", symbolIds: [3, 1], observedAtUnixMs: -5n, claimVersion: 1, ...signatures },
    {
      t: "holo.compress",
      peerId: "p",
      contentId: "c",
      evictingRangeLow: 1,
      evictingRangeHigh: 2,
      deadlineUnixMs: -(2n ** 63n),
      requestVersion: 1,
      ...signatures,
    },
    { t: "holo.probe", contentId: "c", symbolId: 4, nonce: HASH, held: true, req: 9 },
    { t: "holo.proof", nonce: HASH, digest: HASH },
    { t: "holo.manifest?", contentId: "c", corpusKind: "" },
    { t: "holo.manifest?", manifestHash: HASH },
    { t: "holo.manifest", manifest },
    { t: "holo.symbols?", contentId: "c", corpusKind: "blob", symbolIds: [0, 25], req: 2 ** 32 - 1 },
    { t: "holo.rtt", observations: [{ toPeerId: "q", observedRttMs: 20, observedAtUnixMs: 1n }] },
    { t: "holo.tree", streamId: HASH, epochId: 4n, snapshotDigest: HASH, treeHash: HASH },
    { t: "holo.hardcase", peerId: peer.keyId, epochId: 1n, witnessA: other, witnessB: witness, observedAtUnixMs: 2n, keys },
    {
      t: "holo.agg",
      manifest,
      aggregateContentId: "blur",
      sourceCorpusKind: "blob",
      aggregationLevel: 1,
      fanIn: 2,
      memberCommitment: "0".repeat(64),
      aggregationMeta: HASH,
      sources: ["a", "b"],
    },
  ]
}

test("every message is the same after its way, and anything else is refused by name", async () => {
  const messages = await samples()
  for (const message of messages) expect(decodeHoloMessage(encodeHoloMessage(message))).toEqual(message)
  checkCodec({ samples: messages.map(encodeHoloMessage), decode: decodeHoloMessage, codes: ["ControlMalformed"] })
})

test("what a peer may make large has a bound", async () => {
  const [peer, decode] = [await testPeer(1), (json: object) => () => decodeHoloMessage(utf8Encode(JSON.stringify(json)))]
  const holding = { t: "holo.holding", peer_id: "p", content_id: "c", observed_at_unix_ms: 1, claim_version: 1 }
  const signed = { ...holding, signature: "", signature_ml_dsa_65: "" }
  expect(codeOf(decode({ ...signed, symbol_ids: Array(1_024).fill(1) }))).toBeUndefined()
  expect(codeOf(decode({ ...signed, symbol_ids: Array(1_025).fill(1) }))).toBe("ControlMalformed")
  expect(codeOf(decode({ t: "holo.claims?", hashes: toBase64(new Uint8Array(65 * 32)) }))).toBe("ControlMalformed")
  expect(codeOf(decode({ t: "holo.claims?", hashes: toBase64(new Uint8Array(33)) }))).toBe("ControlMalformed")
  expect(codeOf(decode({ t: "holo.symbols?", content_id: "c", corpus_kind: "b", symbol_ids: [], req: 1 }))).toBe(
    "ControlMalformed",
  )
  expect(codeOf(() => decodeHoloMessage(new Uint8Array(MAX_HOLO_MESSAGE + 1)))).toBe("ControlMalformed")
  const claim = await testClaim(peer, "trust_grant", new Uint8Array(4_000).fill(255))
  const six = { t: "holo.claims", claims: Array(6).fill(claim), keys: [] } as HoloMessage
  expect(codeOf(() => encodeHoloMessage(six))).toBe("MessageTooLarge")
  expect(decode({ t: "holo.new" })()).toEqual({ t: "unknown", name: "holo.new" })
  expect([isHoloName("holo.claim"), isHoloName("holo.capacity"), isHoloName("av.keys")]).toEqual([true, false, false])
  expect(["m-1", "a".repeat(64), "", "a".repeat(65), "a/b", "ä"].map(isMeshId)).toEqual([true, true, false, false, false, false])
})

test("64-bit times with a sign are plain numbers as long as those are exact", () => {
  const claim = (observedAtUnixMs: bigint): HoloMessage => ({
    t: "holo.holding",
    peerId: "p",
    contentId: "c",
    symbolIds: [],
    observedAtUnixMs,
    claimVersion: 1,
    signature: "",
    signatureMlDsa65: "",
  })
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (time) => {
      const message = claim(time)
      expect(decodeHoloMessage(encodeHoloMessage(message))).toEqual(message)
    }),
  )
  const text = (value: string) => () =>
    decodeHoloMessage(new TextEncoder().encode(new TextDecoder().decode(encodeHoloMessage(claim(77n))).replace("77", value)))
  expect(codeOf(text("9007199254740993"))).toBe("ControlMalformed")
  expect(codeOf(text('"9223372036854775808"'))).toBe("ControlMalformed")
  expect(codeOf(text('"-0"'))).toBe("ControlMalformed")
})

test("symbols in their frames", () => {
  const frame = { req: 7, symbolId: 3, bytes: Uint8Array.of(1, 2) }
  expect(encodeSymbolFrame(frame)).toEqual(Uint8Array.of(0, 0, 0, 7, 0, 0, 0, 3, 1, 2))
  checkCodec({
    samples: [encodeSymbolFrame(frame), encodeSymbolFrame({ req: 1, symbolId: SYMBOLS_END, bytes: new Uint8Array(0) })],
    decode: decodeSymbolFrame,
    encode: encodeSymbolFrame,
    codes: ["Malformed"],
  })
  expect(codeOf(() => decodeSymbolFrame(new Uint8Array(8 + 65_536)))).toBe("Malformed")
  expect(codeOf(() => encodeSymbolFrame({ req: 1, symbolId: 1, bytes: new Uint8Array(65_536) }))).toBe("PayloadTooLarge")
  expect(codeOf(() => encodeSymbolFrame({ req: 1, symbolId: SYMBOLS_END, bytes: new Uint8Array(1) }))).toBe("UsageError")
})
