/** Runs the codec sections of link-lanes vectors. */
import { deepStrictEqual, strictEqual } from "node:assert"
import {
  type AddressBlock,
  CANDIDATE_PROTOCOLS,
  CANDIDATE_TYPES,
  type CandidateEntry,
  decodeBinaryPayload,
  decodeFrame,
  decodeLaneBlock,
  decodeLaneControl,
  decodeLaneMessage,
  encodeBinaryPayload,
  encodeFrame,
  encodeLaneBlock,
  encodeLaneControl,
  encodeLaneData,
  encodeLaneNack,
  encodeLanePadding,
  encodeLaneReport,
  FRAME_BINARY,
  LANE_REFUSALS,
  type LaneBlock,
  type LaneControl,
  type LaneMessage,
  type LaneReportEntry,
  LINK_LANE_NAME,
  symbolMessageLength,
  toHex,
} from "../../src/wire/index.ts"
import type { RunnerTable } from "../types.ts"
import { expectError, expectHex, expectMembers, hex, isExpectedError } from "./wire-check.ts"

interface BlockJson {
  lane_id: number
  ufrag: string
  pwd: string
  candidates: { index: number; port: number }[]
}
interface AddressJson {
  family: AddressBlock["family"]
  address: string
  port: number
  typ: number
  proto: number
  priority: number
}
interface ControlJson {
  op: LaneControl["op"]
  block?: BlockJson
  addresses?: AddressJson[]
  lane_id?: number
  reason?: number
}

const blockOf = (json: BlockJson): LaneBlock => ({
  laneId: json.lane_id,
  ufrag: json.ufrag,
  pwd: json.pwd,
  candidates: json.candidates,
})
const blockJson = (block: LaneBlock): BlockJson => ({
  lane_id: block.laneId,
  ufrag: block.ufrag,
  pwd: block.pwd,
  candidates: block.candidates,
})

function addressOf(json: AddressJson): CandidateEntry {
  const address = { family: json.family, address: hex(json.address), port: json.port }
  const type = CANDIDATE_TYPES[json.typ]
  const protocol = CANDIDATE_PROTOCOLS[json.proto]
  if (type === undefined || protocol === undefined) throw new Error("address entry of the case")
  return { address, type, protocol, priority: json.priority }
}
function addressJson(entry: CandidateEntry): AddressJson {
  return {
    family: entry.address.family,
    address: toHex(entry.address.address),
    port: entry.address.port,
    typ: CANDIDATE_TYPES.indexOf(entry.type),
    proto: CANDIDATE_PROTOCOLS.indexOf(entry.protocol),
    priority: entry.priority,
  }
}

function controlOf(json: ControlJson): LaneControl {
  if (json.op === "close") return { op: json.op, laneId: json.lane_id ?? 0 }
  if (json.op === "refuse") {
    const reason = LANE_REFUSALS[(json.reason ?? 0) - 1]
    if (reason === undefined) throw new Error("reason of the case")
    return { op: json.op, laneId: json.lane_id ?? 0, reason }
  }
  if (json.block === undefined) throw new Error("block of the case")
  return { op: json.op, block: blockOf(json.block), addresses: (json.addresses ?? []).map(addressOf) }
}
function controlJson(message: LaneControl): ControlJson {
  if ("block" in message)
    return { op: message.op, block: blockJson(message.block), addresses: message.addresses.map(addressJson) }
  if (message.op === "close") return { op: message.op, lane_id: message.laneId }
  return { op: message.op, lane_id: message.laneId, reason: LANE_REFUSALS.indexOf(message.reason) + 1 }
}

function laneBlock(c: { block: BlockJson; bytes: string }): void {
  expectHex(encodeLaneBlock(blockOf(c.block)), c.bytes)
  deepStrictEqual(blockJson(decodeLaneBlock(hex(c.bytes), 256)), c.block)
}

function laneBlockDecode(c: { bytes: string; listed: number; result: object }): void {
  if (isExpectedError(c.result)) {
    expectError(() => decodeLaneBlock(hex(c.bytes), c.listed), c.result)
    return
  }
  deepStrictEqual(blockJson(decodeLaneBlock(hex(c.bytes), c.listed)), c.result)
}

function readLinkLane(frame: string, listed: number): LaneControl {
  const { type, payload } = decodeFrame(hex(frame))
  strictEqual(type, FRAME_BINARY)
  const { name, bytes } = decodeBinaryPayload(payload)
  strictEqual(name, LINK_LANE_NAME)
  return decodeLaneControl(bytes, listed)
}

function linkLaneFrame(c: { message: ControlJson; listed: number; frame: string }): void {
  const payload = encodeBinaryPayload(LINK_LANE_NAME, encodeLaneControl(controlOf(c.message)))
  expectHex(encodeFrame(FRAME_BINARY, payload), c.frame)
  expectMembers(controlJson(readLinkLane(c.frame, c.listed)), c.message)
}

function linkLaneDecode(c: { frame: string; listed: number; result: object }): void {
  if (isExpectedError(c.result)) {
    expectError(() => readLinkLane(c.frame, c.listed), c.result)
    return
  }
  expectMembers(controlJson(readLinkLane(c.frame, c.listed)), c.result)
}

const entryOf = (e: Record<string, number>): LaneReportEntry => ({
  laneId: e.lane_id ?? 0,
  highest: e.highest ?? 0,
  received: e.received ?? 0,
  bytes: e.bytes ?? 0,
  minDelayUs: e.min_delay_us ?? 0,
  count: e.count ?? 0,
  spread: e.spread ?? 0,
})
function messageJson(message: LaneMessage): object {
  switch (message.type) {
    case "data":
    case "padding":
      return { type: message.type, lane_seq: message.laneSeq, sent_us: message.sentUs, body: toHex(message.body) }
    case "report":
      return {
        type: message.type,
        report_seq: message.reportSeq,
        now_us: message.nowUs,
        entries: message.entries.map(({ laneId, minDelayUs, ...rest }) => ({
          lane_id: laneId,
          min_delay_us: minDelayUs,
          ...rest,
        })),
      }
    case "nack":
      return { type: message.type, lane_id: message.laneId, lane_seqs: message.laneSeqs }
    case "unknown":
      return { type: message.type }
  }
}

interface NumberedCase {
  type: "data" | "padding"
  lane_seq: number
  sent_us: number
  body: string
  bytes: string
}
function laneMessage(c: NumberedCase): void {
  const encode = c.type === "data" ? encodeLaneData : encodeLanePadding
  expectHex(encode(c.lane_seq, c.sent_us, hex(c.body)), c.bytes)
  const { bytes: _bytes, ...message } = c
  deepStrictEqual(messageJson(decodeLaneMessage(hex(c.bytes))), message)
}

function laneReport(c: {
  report: { report_seq: number; now_us: number; entries: Record<string, number>[] }
  bytes: string
}): void {
  const entries = c.report.entries.map(entryOf)
  expectHex(encodeLaneReport({ reportSeq: c.report.report_seq, nowUs: c.report.now_us, entries }), c.bytes)
  expectMembers(messageJson(decodeLaneMessage(hex(c.bytes))), c.report)
}

function laneNack(c: { lane_id: number; lane_seqs: number[]; bytes: string }): void {
  expectHex(encodeLaneNack(c.lane_id, c.lane_seqs), c.bytes)
  expectMembers(messageJson(decodeLaneMessage(hex(c.bytes))), { lane_id: c.lane_id, lane_seqs: c.lane_seqs })
}

function laneDecode(c: { bytes: string; result: object }): void {
  if (isExpectedError(c.result)) {
    expectError(() => decodeLaneMessage(hex(c.bytes)), c.result)
    return
  }
  expectMembers(messageJson(decodeLaneMessage(hex(c.bytes))), c.result)
}

function symbolSize(c: { symbol_size: number; message_bytes: number }): void {
  strictEqual(symbolMessageLength(c.symbol_size), c.message_bytes)
}

export const runners: RunnerTable = {
  "link-lanes": {
    lane_block: laneBlock,
    lane_block_decode: laneBlockDecode,
    link_lane_frame: linkLaneFrame,
    link_lane_decode: linkLaneDecode,
    lane_message: laneMessage,
    lane_report: laneReport,
    lane_nack: laneNack,
    lane_decode: laneDecode,
    symbol_size: symbolSize,
  },
}
