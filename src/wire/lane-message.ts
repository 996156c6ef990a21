/** What travels on a media lane: data, reports, NACKs and padding (link-lanes 4, LL-2, LL-20). */
import { ByteWriter } from "./byte-writer.ts"
import { ByteReader } from "./bytes.ts"
import { AvError } from "./errors.ts"
import type { Bytes } from "./types.ts"

export const LANE_DATA = 0x10
const LANE_REPORT = 0x11
const LANE_NACK = 0x12
export const LANE_PADDING = 0x13

/** Bytes in front of the link frame. */
export const LANE_HEADER_LENGTH = 8
/** Largest message on a lane: in every browser it is one packet (LL-2). */
export const MAX_LANE_MESSAGE = 1_156
/** A data message holds at least an empty link frame. */
const MIN_DATA_LENGTH = 17
const MAX_REPORT_ENTRIES = 9
const MAX_NACKED = 64

interface LaneData {
  type: "data"
  /** u24, counts data and padding of this lane and direction; wraps. */
  laneSeq: number
  /** Sender's monotonic clock in microseconds modulo 2^32, taken right before sending. */
  sentUs: number
  /** One link frame; a view when decoded. */
  body: Bytes
}
interface LanePadding {
  type: "padding"
  laneSeq: number
  sentUs: number
  body: Bytes
}

/** Receive counters of one lane; those called cumulative never restart while the lane is open. */
export interface LaneReportEntry {
  laneId: number
  /** Highest u24 lane_seq received, in serial-number order. */
  highest: number
  /** Cumulative messages without duplicates, modulo 2^32. */
  received: number
  /** Cumulative message bytes, modulo 2^32. */
  bytes: number
  /** Smallest arrival minus `sentUs`, modulo 2^32, since the last report. */
  minDelayUs: number
  /** Messages since the last report; 0 makes `minDelayUs` meaningless. */
  count: number
  /** Mean minus smallest delay in units of 64 microseconds, saturating at 65 535. */
  spread: number
}
export interface LaneReport {
  type: "report"
  /** u16, wraps; older ones than the last seen are dropped by the reader. */
  reportSeq: number
  /** Receiver's clock in microseconds modulo 2^32. */
  nowUs: number
  entries: LaneReportEntry[]
}
export interface LaneNack {
  type: "nack"
  laneId: number
  laneSeqs: number[]
}
/** A first byte this version does not know: count it, ignore it. */
interface LaneUnknown {
  type: "unknown"
  firstByte: number
}
export type LaneMessage = LaneData | LanePadding | LaneReport | LaneNack | LaneUnknown

/** Writes the 8 bytes in front of a data or padding body at the start of `target`. */
export function writeLaneHeader(
  target: Bytes,
  type: typeof LANE_DATA | typeof LANE_PADDING,
  laneSeq: number,
  sentUs: number,
): void {
  target[0] = type
  target[1] = laneSeq >>> 16
  target[2] = laneSeq >>> 8
  target[3] = laneSeq
  target[4] = sentUs >>> 24
  target[5] = sentUs >>> 16
  target[6] = sentUs >>> 8
  target[7] = sentUs
}

/** @throws AvError `LaneFrameInvalid` when the message would be longer than LL-2 allows. */
export function encodeLaneData(laneSeq: number, sentUs: number, body: Bytes): Bytes {
  return encodeNumbered(LANE_DATA, laneSeq, sentUs, body)
}

/** @throws AvError `LaneFrameInvalid` when the message would be longer than LL-2 allows. */
export function encodeLanePadding(laneSeq: number, sentUs: number, body: Bytes): Bytes {
  return encodeNumbered(LANE_PADDING, laneSeq, sentUs, body)
}

/** Message bytes of one full fountain symbol: lane, link frame, chunk header, tags, payload and fountain headers. */
export function symbolMessageLength(symbolSize: number): number {
  return LANE_HEADER_LENGTH + 9 + 52 + 32 + 20 + 14 + symbolSize
}

/** @throws AvError `UsageError` when the entries are not 1..9 with ascending lane ids. */
export function encodeLaneReport(report: Omit<LaneReport, "type">): Bytes {
  const count = report.entries.length
  if (count < 1 || count > MAX_REPORT_ENTRIES) throw new AvError("UsageError", { why: "report entries", got: count })
  const writer = new ByteWriter(8 + 20 * count).u8(LANE_REPORT).u8(count).u16be(report.reportSeq).u32be(report.nowUs)
  let previous = 0
  for (const entry of report.entries) {
    if (entry.laneId <= previous) throw new AvError("UsageError", { why: "lane ids not ascending" })
    previous = entry.laneId
    writer.u8(entry.laneId).u24be(entry.highest).u32be(entry.received).u32be(entry.bytes)
    writer.u32be(entry.minDelayUs).u16be(entry.count).u16be(entry.spread)
  }
  return writer.finish()
}

/** @throws AvError `UsageError` when the numbers are not 1..64 or the lane id is 0. */
export function encodeLaneNack(laneId: number, laneSeqs: readonly number[]): Bytes {
  if (laneId === 0 || laneSeqs.length < 1 || laneSeqs.length > MAX_NACKED) {
    throw new AvError("UsageError", { why: "nack", laneId, got: laneSeqs.length })
  }
  const writer = new ByteWriter(4 + 3 * laneSeqs.length).u8(LANE_NACK).u8(laneId).u8(laneSeqs.length).u8(0)
  for (const laneSeq of laneSeqs) writer.u24be(laneSeq)
  return writer.finish()
}

/**
 * Reads one message of a media lane; `body` is a view.
 * @throws AvError `LaneFrameInvalid` as LL-20 lists. An unknown first byte is not an error.
 */
export function decodeLaneMessage(bytes: Bytes): LaneMessage {
  const first = bytes[0]
  if (first === undefined || bytes.length > MAX_LANE_MESSAGE) {
    throw new AvError("LaneFrameInvalid", { why: "length", got: bytes.length, max: MAX_LANE_MESSAGE })
  }
  if (first === LANE_DATA) return { type: "data", ...readNumbered(bytes, MIN_DATA_LENGTH) }
  if (first === LANE_PADDING) return { type: "padding", ...readNumbered(bytes, LANE_HEADER_LENGTH) }
  if (first === LANE_REPORT) return readReport(bytes)
  if (first === LANE_NACK) return readNack(bytes)
  return { type: "unknown", firstByte: first }
}

function encodeNumbered(type: typeof LANE_DATA | typeof LANE_PADDING, laneSeq: number, sentUs: number, body: Bytes): Bytes {
  const length = LANE_HEADER_LENGTH + body.length
  if (length > MAX_LANE_MESSAGE) throw new AvError("LaneFrameInvalid", { why: "length", got: length, max: MAX_LANE_MESSAGE })
  const out = new Uint8Array(length)
  writeLaneHeader(out, type, laneSeq, sentUs)
  out.set(body, LANE_HEADER_LENGTH)
  return out
}

function readNumbered(bytes: Bytes, need: number): { laneSeq: number; sentUs: number; body: Bytes } {
  if (bytes.length < need) throw new AvError("LaneFrameInvalid", { why: "too short", got: bytes.length, need })
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const laneSeq = view.getUint32(0) & 0xffffff
  return { laneSeq, sentUs: view.getUint32(4), body: bytes.subarray(LANE_HEADER_LENGTH) }
}

function readReport(bytes: Bytes): LaneReport {
  const reader = new ByteReader(bytes, "LaneFrameInvalid")
  reader.u8()
  const count = reader.u8()
  if (count < 1 || count > MAX_REPORT_ENTRIES) reader.fail("report entries", { got: count })
  const reportSeq = reader.u16be()
  const nowUs = reader.u32be()
  const entries: LaneReportEntry[] = []
  for (let i = 0; i < count; i++) {
    const laneId = reader.u8()
    if (laneId <= (entries.at(-1)?.laneId ?? 0)) reader.fail("lane ids not ascending")
    entries.push({
      laneId,
      highest: reader.u24be(),
      received: reader.u32be(),
      bytes: reader.u32be(),
      minDelayUs: reader.u32be(),
      count: reader.u16be(),
      spread: reader.u16be(),
    })
  }
  reader.end()
  return { type: "report", reportSeq, nowUs, entries }
}

function readNack(bytes: Bytes): LaneNack {
  const reader = new ByteReader(bytes, "LaneFrameInvalid")
  reader.u8()
  const laneId = reader.u8()
  const count = reader.u8()
  if (laneId === 0) reader.fail("lane id 0")
  if (count < 1 || count > MAX_NACKED) reader.fail("nack count", { got: count, max: MAX_NACKED })
  reader.zeros(1)
  const laneSeqs: number[] = []
  for (let i = 0; i < count; i++) laneSeqs.push(reader.u24be())
  reader.end()
  return { type: "nack", laneId, laneSeqs }
}
