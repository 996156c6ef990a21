/** The small records beside a content: how long it has been here and how much of it stays, and the tombstone of a revoked one. */
import { ByteReader, ByteWriter, utf8Decode } from "../../wire/bytes.ts"
import type { Bytes, U64 } from "../../wire/types.ts"
import { u64, unsigned, utf8 } from "../checks.ts"
import type { DecayThresholds } from "../retention/decay.ts"
import { RETENTION_TIERS, type RetentionTier } from "../retention/tiers.ts"
import type { ContentRef } from "./manifest.ts"

/** Written when a content is admitted. Age and lack of room each have their tier; neither writes the other's. */
export interface TierRecord {
  /** Of the first admission; later ones change nothing. */
  admittedAtUnixMs: U64
  /** Published by this peer. */
  own: boolean
  className: string
  thresholds?: DecayThresholds
  /** Layer quality of its symbols, 0..3 and above: worse layers go first. */
  svcQuality: number
  decayTier: RetentionTier
  pressureTier: RetentionTier
}

/** What stays of a revoked content, so that nobody brings it back and the revocation can be shown. */
export interface Tombstone extends ContentRef {
  /** 32 bytes; zeros when the content was never here. */
  manifestHash: Bytes
  revokedAtUnixMs: U64
  /** The signed claim as it travels; empty when the content went for another reason. */
  revocation: Bytes
}

const VERSION = 1

export function encodeTierRecord(record: TierRecord): Bytes {
  const { thresholds: days } = record
  const out = new ByteWriter(64)
    .u8(VERSION)
    .u64be(u64(record.admittedAtUnixMs, "admitted_at"))
    .u8(record.own ? 1 : 0)
  out.lp32(utf8(record.className)).u8(unsigned(record.svcQuality, 8, "svc_quality"))
  out.u8(RETENTION_TIERS.indexOf(record.decayTier)).u8(RETENTION_TIERS.indexOf(record.pressureTier))
  out.u8(days === undefined ? 0 : 1)
  if (days !== undefined) for (const n of [days.full, days.t2, days.t3, days.t4, days.envelopeOnly]) out.u32be(n)
  return out.finish()
}

/** @throws AvError `StorageCorrupt` */
export function decodeTierRecord(bytes: Bytes): TierRecord {
  const reader = new ByteReader(bytes, "StorageCorrupt")
  if (reader.u8() !== VERSION) reader.fail("version")
  const tier = () => RETENTION_TIERS[reader.u8()] ?? reader.fail("tier")
  const flag = () => {
    const value = reader.u8()
    return value > 1 ? reader.fail("flag") : value === 1
  }
  const admittedAtUnixMs = reader.u64be()
  const own = flag()
  const className = utf8Decode(reader.lp32(), "StorageCorrupt")
  const svcQuality = reader.u8()
  const record = { admittedAtUnixMs, own, className, svcQuality, decayTier: tier(), pressureTier: tier() }
  const days = flag()
    ? { full: reader.u32be(), t2: reader.u32be(), t3: reader.u32be(), t4: reader.u32be(), envelopeOnly: reader.u32be() }
    : undefined
  reader.end()
  return days === undefined ? record : { ...record, thresholds: days }
}

export function encodeTombstone(tombstone: Tombstone): Bytes {
  const { contentId, corpusKind, manifestHash, revokedAtUnixMs, revocation } = tombstone
  const out = new ByteWriter(4_096).u8(VERSION).lp32(utf8(contentId)).lp32(utf8(corpusKind)).fixed(manifestHash, 32)
  return out.u64be(u64(revokedAtUnixMs, "revoked_at")).lp32(revocation).finish()
}

/** @throws AvError `StorageCorrupt` */
export function decodeTombstone(bytes: Bytes): Tombstone {
  const reader = new ByteReader(bytes, "StorageCorrupt")
  if (reader.u8() !== VERSION) reader.fail("version")
  const tombstone = {
    contentId: utf8Decode(reader.lp32(), "StorageCorrupt"),
    corpusKind: utf8Decode(reader.lp32(), "StorageCorrupt"),
    manifestHash: reader.bytes(32).slice(),
    revokedAtUnixMs: reader.u64be(),
    revocation: reader.lp32().slice(),
  }
  reader.end()
  return tombstone
}
