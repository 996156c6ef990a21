/** Signed records about MLS leaves: key packages, leaf bindings and welcomes (av-mesh D-18). */
import { ByteWriter } from "./byte-writer.ts"
import { ByteReader, utf8Decode, utf8Encode } from "./bytes.ts"
import { AvError, type ErrorCode } from "./errors.ts"
import type { Bytes, PeerKeyId, U64 } from "./types.ts"

const KEY_PACKAGE_DOMAIN = /* @__PURE__ */ utf8Encode("AVMESH-KEYPKG-V1")
const LEAF_BINDING_DOMAIN = /* @__PURE__ */ utf8Encode("AVMESH-LEAFBD-V1")
const WELCOME_DOMAIN = /* @__PURE__ */ utf8Encode("AVMESH-WELCOME-1")
const LEAF_KEY_LENGTH = 32
/** A key package of our suite is about 2.6 KB; this only stops absurd ones. */
const MAX_KEY_PACKAGE = 65_536
/** Largest Welcome, the limit av-mesh 4.4 sets for MLS bytes. */
const MAX_WELCOME = 4 * 1024 * 1024
const FLAG_LAST_RESORT = 1

/** Both halves of a hybrid bound signature (av-mesh 8.4). */
interface HybridSignature {
  /** Ed25519, 64 bytes. */
  ed: Bytes
  /** ML-DSA-65 over the record and the Ed25519 signature. */
  pq: Bytes
}

export interface KeyPackageRecord {
  keyId: PeerKeyId
  lastResort: boolean
  notBeforeUnixMs: U64
  /** At most 30 days after `notBeforeUnixMs`; verifying that is the reader's step, not the codec's. */
  notAfterUnixMs: U64
  leafSignaturePublicKey: Bytes
  /** RFC 9420 5.2. */
  keyPackageRef: Bytes
  /** MLSMessage bytes. */
  keyPackage: Bytes
}

interface LeafBindingRecord {
  keyId: PeerKeyId
  leafSignaturePublicKey: Bytes
  notBeforeUnixMs: U64
  notAfterUnixMs: U64
}

interface WelcomeHeader {
  inviterKeyId: PeerKeyId
  joinerKeyId: PeerKeyId
  keyPackageRef: Bytes
  /** SHA-256 of the Welcome. */
  welcomeHash: Bytes
}

/** A record as stored and sent, taken apart. `canonical` is what the signatures cover. */
interface Stored<T> {
  record: T
  canonical: Bytes
  signature: HybridSignature
}
interface StoredWelcome extends Stored<WelcomeHeader> {
  /** The MLS Welcome. Whether it has the signed hash is for the reader to check. */
  welcome: Bytes
}

/** The bytes a key package record's signatures cover. */
export function keyPackageCanonicalBytes(record: KeyPackageRecord): Bytes {
  return new ByteWriter(256 + record.keyPackage.length)
    .bytes(KEY_PACKAGE_DOMAIN)
    .lp16(keyIdBytes(record.keyId))
    .u8(record.lastResort ? FLAG_LAST_RESORT : 0)
    .u64be(record.notBeforeUnixMs)
    .u64be(record.notAfterUnixMs)
    .lp16(leafKey(record.leafSignaturePublicKey))
    .fixed(record.keyPackageRef, 32)
    .lp32(record.keyPackage)
    .finish()
}

/** The bytes a leaf binding record's signatures cover. */
export function leafBindingCanonicalBytes(record: LeafBindingRecord): Bytes {
  return new ByteWriter(256)
    .bytes(LEAF_BINDING_DOMAIN)
    .lp16(keyIdBytes(record.keyId))
    .lp16(leafKey(record.leafSignaturePublicKey))
    .u64be(record.notBeforeUnixMs)
    .u64be(record.notAfterUnixMs)
    .finish()
}

/** The bytes a welcome envelope's signatures cover; the hash comes in because hashing lives in crypto. */
export function welcomeCanonicalBytes(header: WelcomeHeader): Bytes {
  return new ByteWriter(256)
    .bytes(WELCOME_DOMAIN)
    .lp16(keyIdBytes(header.inviterKeyId))
    .lp16(keyIdBytes(header.joinerKeyId))
    .fixed(header.keyPackageRef, 32)
    .fixed(header.welcomeHash, 32)
    .finish()
}

/** The stored form of a record: canonical bytes and both signatures. */
export function storeRecord(canonical: Bytes, signature: HybridSignature): Bytes {
  return writeStored(canonical, signature).finish()
}

/** The stored form of a welcome envelope. */
export function storeWelcome(canonical: Bytes, signature: HybridSignature, welcome: Bytes): Bytes {
  return writeStored(canonical, signature).lp32(welcome).finish()
}

/** @throws AvError `Malformed` on a wrong domain, unknown flags, a leaf key or key package of impossible length, or trailing bytes. */
export function decodeKeyPackageRecord(bytes: Bytes): Stored<KeyPackageRecord> {
  const reader = new ByteReader(bytes, "Malformed")
  reader.expect(KEY_PACKAGE_DOMAIN, "domain")
  const keyId = readKeyId(reader, "Malformed")
  const flags = reader.u8()
  if (flags > FLAG_LAST_RESORT) reader.fail("flags", { flags })
  const record: KeyPackageRecord = {
    keyId,
    lastResort: flags === FLAG_LAST_RESORT,
    notBeforeUnixMs: reader.u64be(),
    notAfterUnixMs: reader.u64be(),
    leafSignaturePublicKey: readLeafKey(reader),
    keyPackageRef: reader.bytes(32).slice(),
    keyPackage: readLimited(reader, MAX_KEY_PACKAGE),
  }
  const canonical = reader.consumed.slice()
  const signature = readSignature(reader)
  reader.end()
  return { record, canonical, signature }
}

/** @throws AvError `Malformed` on a wrong domain, a leaf key that is not 32 bytes, or trailing bytes. */
export function decodeLeafBindingRecord(bytes: Bytes): Stored<LeafBindingRecord> {
  const reader = new ByteReader(bytes, "Malformed")
  reader.expect(LEAF_BINDING_DOMAIN, "domain")
  const record: LeafBindingRecord = {
    keyId: readKeyId(reader, "Malformed"),
    leafSignaturePublicKey: readLeafKey(reader),
    notBeforeUnixMs: reader.u64be(),
    notAfterUnixMs: reader.u64be(),
  }
  const canonical = reader.consumed.slice()
  const signature = readSignature(reader)
  reader.end()
  return { record, canonical, signature }
}

/** @throws AvError `WelcomeMalformed` on a wrong domain, a Welcome above 4 MiB, or trailing bytes. */
export function decodeWelcomeEnvelope(bytes: Bytes): StoredWelcome {
  const reader = new ByteReader(bytes, "WelcomeMalformed")
  reader.expect(WELCOME_DOMAIN, "domain")
  const record: WelcomeHeader = {
    inviterKeyId: readKeyId(reader, "WelcomeMalformed"),
    joinerKeyId: readKeyId(reader, "WelcomeMalformed"),
    keyPackageRef: reader.bytes(32).slice(),
    welcomeHash: reader.bytes(32).slice(),
  }
  const canonical = reader.consumed.slice()
  const signature = readSignature(reader)
  const welcome = readLimited(reader, MAX_WELCOME)
  reader.end()
  return { record, canonical, signature, welcome }
}

function writeStored(canonical: Bytes, signature: HybridSignature): ByteWriter {
  return new ByteWriter(canonical.length + 4096).bytes(canonical).fixed(signature.ed, 64).lp16(signature.pq)
}

function readSignature(reader: ByteReader): HybridSignature {
  return { ed: reader.bytes(64).slice(), pq: reader.lp16().slice() }
}

function keyIdBytes(keyId: PeerKeyId): Bytes {
  const bytes = utf8Encode(keyId)
  if (bytes.length < 1 || bytes.length > 255) throw new AvError("UsageError", { why: "key id length", got: bytes.length })
  return bytes
}

function leafKey(key: Bytes): Bytes {
  if (key.length !== LEAF_KEY_LENGTH) throw new AvError("UsageError", { why: "leaf key length", got: key.length })
  return key
}

function readKeyId(reader: ByteReader, code: ErrorCode): PeerKeyId {
  const bytes = reader.lp16()
  if (bytes.length < 1 || bytes.length > 255) reader.fail("key id length", { got: bytes.length })
  return utf8Decode(bytes, code)
}

function readLeafKey(reader: ByteReader): Bytes {
  const bytes = reader.lp16()
  if (bytes.length !== LEAF_KEY_LENGTH) reader.fail("leaf key length", { got: bytes.length })
  return bytes.slice()
}

function readLimited(reader: ByteReader, max: number): Bytes {
  const bytes = reader.lp32()
  if (bytes.length > max) reader.fail("too long", { got: bytes.length, max })
  return bytes.slice()
}
