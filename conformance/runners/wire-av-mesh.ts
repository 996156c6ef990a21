/** Runs the codec sections of av-mesh vectors. */
import { deepStrictEqual, strictEqual } from "node:assert"
import { sha256Sync } from "../../src/crypto/hash.ts"
import {
  admits,
  admitsChunk,
  type ChunkLayer,
  decodeChunk,
  decodeFountainBody,
  decodeKeyPackageRecord,
  decodeLeafBindingRecord,
  decodeLinkFrame,
  decodeMediaPayload,
  decodeWelcomeEnvelope,
  encodeChunk,
  encodeFountainBody,
  encodeLinkFrame,
  encodeMediaPayload,
  isAvError,
  keyPackageCanonicalBytes,
  leafBindingCanonicalBytes,
  type MediaPayload,
  storeRecord,
  storeWelcome,
  toHex,
  welcomeCanonicalBytes,
} from "../../src/wire/index.ts"
import type { RunnerTable } from "../types.ts"
import { expectError, expectHex, hex } from "./wire-check.ts"

interface ChunkCase {
  stream_id: string
  epoch: string
  chunk_seq: string
  codec_id: number
  layer: ChunkLayer
  ciphertext: string
  wire: string
}
interface DecodeExpectation {
  error?: string
  ok?: { codec_id: number; layer: ChunkLayer; ciphertext_len: number }
}

const SIGNATURE = { ed: new Uint8Array(64).fill(7), pq: new Uint8Array(3309).fill(9) }

function headerEncode(c: ChunkCase): void {
  const chunk = {
    streamId: hex(c.stream_id),
    epoch: BigInt(c.epoch),
    chunkSeq: BigInt(c.chunk_seq),
    codecId: c.codec_id,
    layer: c.layer,
    ciphertext: hex(c.ciphertext),
  }
  expectHex(encodeChunk(chunk), c.wire)
  deepStrictEqual(decodeChunk(hex(c.wire)), chunk)
}

function decodeLength(input: string, expected: DecodeExpectation, allowHeaderOnly: boolean): void {
  const decode = () => decodeChunk(hex(input), { allowHeaderOnly })
  if (expected.error !== undefined) {
    expectError(decode, { ...expected, error: expected.error })
    return
  }
  const chunk = decode()
  deepStrictEqual({ codec_id: chunk.codecId, layer: chunk.layer, ciphertext_len: chunk.ciphertext.length }, expected.ok)
}

function headerDecodeLength(c: { input: string; strict: DecodeExpectation; header_only_compat: DecodeExpectation }): void {
  decodeLength(c.input, c.strict, false)
  decodeLength(c.input, c.header_only_compat, true)
}

function linkFrame(c: { link_seq: string; chunk: string; frame: string }): void {
  expectHex(encodeLinkFrame(BigInt(c.link_seq), hex(c.chunk)), c.frame)
  deepStrictEqual(decodeLinkFrame(hex(c.frame)), { type: "chunk", linkSeq: BigInt(c.link_seq), chunk: hex(c.chunk) })
}

function linkFrameErrors(c: { input: string; result: string }): void {
  let outcome = "ok"
  try {
    decodeLinkFrame(hex(c.input))
  } catch (error) {
    if (!isAvError(error)) throw error
    outcome = error.name
  }
  strictEqual(outcome, c.result)
}

interface AdmitsCase {
  policy: { max_spatial: number; max_temporal: number; max_quality: number }
  layer: ChunkLayer
  codec_id: number
  admits: boolean
  forward: boolean
}
function admitsCase(c: AdmitsCase): void {
  const policy = { maxSpatial: c.policy.max_spatial, maxTemporal: c.policy.max_temporal, maxQuality: c.policy.max_quality }
  strictEqual(admits(policy, c.layer), c.admits)
  strictEqual(admitsChunk(policy, c.codec_id, c.layer), c.forward)
}

interface PayloadCase {
  kind: number
  flags: number
  aux: number
  pts_us: string
  frame_id: number
  frag_index: number
  frag_count: number
  body: string
  bytes: string
}
function mediaPayload(c: PayloadCase): void {
  const payload: MediaPayload = {
    kind: c.kind,
    keyframe: (c.flags & 1) !== 0,
    lastFragment: (c.flags & 2) !== 0,
    discontinuity: (c.flags & 4) !== 0,
    aux: c.aux,
    ptsUs: BigInt(c.pts_us),
    frameId: c.frame_id,
    fragIndex: c.frag_index,
    fragCount: c.frag_count,
    body: hex(c.body),
  }
  expectHex(encodeMediaPayload(payload), c.bytes)
  deepStrictEqual(decodeMediaPayload(hex(c.bytes)), payload)
}

interface FountainCase {
  symbol_id: number
  n_source: number
  k_repair: number
  symbol_size: number
  content_length: number
  content_kind: number
  symbol: string
  bytes: string
}
function fountainBody(c: FountainCase): void {
  const body = {
    symbolId: c.symbol_id,
    nSource: c.n_source,
    kRepair: c.k_repair,
    symbolSize: c.symbol_size,
    contentLength: c.content_length,
    contentKind: c.content_kind,
    symbol: hex(c.symbol),
  }
  expectHex(encodeFountainBody(body), c.bytes)
  deepStrictEqual(decodeFountainBody(hex(c.bytes)), body)
}

interface RecordCase {
  key_id: string
  not_before_unix_ms: string
  not_after_unix_ms: string
  leaf_signature_pub: string
  canonical: string
}
function keyPackageRecord(c: RecordCase & { flags: number; key_package_ref: string; key_package: string }): void {
  const record = {
    keyId: c.key_id,
    lastResort: c.flags === 1,
    notBeforeUnixMs: BigInt(c.not_before_unix_ms),
    notAfterUnixMs: BigInt(c.not_after_unix_ms),
    leafSignaturePublicKey: hex(c.leaf_signature_pub),
    keyPackageRef: hex(c.key_package_ref),
    keyPackage: hex(c.key_package),
  }
  const canonical = keyPackageCanonicalBytes(record)
  expectHex(canonical, c.canonical)
  const stored = decodeKeyPackageRecord(storeRecord(canonical, SIGNATURE))
  deepStrictEqual(stored, { record, canonical, signature: SIGNATURE })
}

function leafBindingRecord(c: RecordCase): void {
  const record = {
    keyId: c.key_id,
    leafSignaturePublicKey: hex(c.leaf_signature_pub),
    notBeforeUnixMs: BigInt(c.not_before_unix_ms),
    notAfterUnixMs: BigInt(c.not_after_unix_ms),
  }
  const canonical = leafBindingCanonicalBytes(record)
  expectHex(canonical, c.canonical)
  const stored = decodeLeafBindingRecord(storeRecord(canonical, SIGNATURE))
  deepStrictEqual(stored, { record, canonical, signature: SIGNATURE })
}

interface WelcomeCase {
  inviter_key_id: string
  joiner_key_id: string
  key_package_ref: string
  welcome: string
  signing_bytes: string
}
function welcomeSigningBytes(c: WelcomeCase): void {
  const welcome = hex(c.welcome)
  const record = {
    inviterKeyId: c.inviter_key_id,
    joinerKeyId: c.joiner_key_id,
    keyPackageRef: hex(c.key_package_ref),
    welcomeHash: sha256Sync(welcome),
  }
  const canonical = welcomeCanonicalBytes(record)
  expectHex(canonical, c.signing_bytes)
  const envelope = decodeWelcomeEnvelope(storeWelcome(canonical, SIGNATURE, welcome))
  strictEqual(toHex(envelope.welcome), c.welcome)
  deepStrictEqual(envelope.record, record)
}

export const runners: RunnerTable = {
  "av-mesh": {
    header_encode: headerEncode,
    header_decode_length: headerDecodeLength,
    link_frame: linkFrame,
    link_frame_errors: linkFrameErrors,
    admits: admitsCase,
    media_payload: mediaPayload,
    fountain_body: fountainBody,
    key_package_record: keyPackageRecord,
    leaf_binding_record: leafBindingRecord,
    welcome_signing_bytes: welcomeSigningBytes,
  },
}
