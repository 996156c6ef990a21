/** The messages that add and remove lanes in-band, BINARY frames named `link.lane` (link-lanes LL-5). */
import { type CandidateEntry, MAX_CANDIDATES, readCandidate, writeCandidate } from "./address.ts"
import { ByteWriter } from "./byte-writer.ts"
import { ByteReader } from "./bytes.ts"
import { AvError } from "./errors.ts"
import { encodeLaneBlock, type LaneBlock, readLaneBlock } from "./lane-block.ts"
import type { Bytes } from "./types.ts"

/** Name of the BINARY frame. */
export const LINK_LANE_NAME = "link.lane"

/** In the order of their codes 1..3. */
export const LANE_REFUSALS = ["limit", "fingerprint", "malformed"] as const
export type LaneRefusal = (typeof LANE_REFUSALS)[number]

export interface LaneOffer {
  op: "offer" | "answer"
  block: LaneBlock
  /** When not empty, the block's indexes point into these instead of the candidate list of lane 0. */
  addresses: CandidateEntry[]
}
interface LaneClose {
  op: "close"
  laneId: number
}
interface LaneRefuse {
  op: "refuse"
  laneId: number
  reason: LaneRefusal
}
export type LaneControl = LaneOffer | LaneClose | LaneRefuse

const OP_OFFER = 1
const OP_ANSWER = 2
const OP_CLOSE = 3
const OP_REFUSE = 4

/** The bytes after the frame's name. @throws AvError `UsageError` when a field is out of its range. */
export function encodeLaneControl(message: LaneControl): Bytes {
  if ("block" in message) return encodeOffer(message)
  if (message.laneId === 0) throw new AvError("UsageError", { why: "lane id 0" })
  if (message.op === "close") return new ByteWriter(2).u8(OP_CLOSE).u8(message.laneId).finish()
  return new ByteWriter(3)
    .u8(OP_REFUSE)
    .u8(message.laneId)
    .u8(LANE_REFUSALS.indexOf(message.reason) + 1)
    .finish()
}

/**
 * Reads the bytes after the frame's name. `listed` is the number of candidates in the sender's description of lane 0.
 * @throws AvError `LaneBlockInvalid` on an unknown op or reason, flags, lane id 0 or any fault of block and addresses.
 */
export function decodeLaneControl(bytes: Bytes, listed: number): LaneControl {
  const reader = new ByteReader(bytes, "LaneBlockInvalid")
  const op = reader.u8()
  const message = readMessage(reader, op, listed)
  reader.end()
  return message
}

function encodeOffer(message: LaneOffer): Bytes {
  if (message.addresses.length > MAX_CANDIDATES)
    throw new AvError("UsageError", { why: "addresses", got: message.addresses.length })
  const writer = new ByteWriter(512).u8(message.op === "offer" ? OP_OFFER : OP_ANSWER).u8(0)
  writer.bytes(encodeLaneBlock(message.block)).u8(message.addresses.length)
  for (const address of message.addresses) writeCandidate(writer, address)
  return writer.finish()
}

function readMessage(reader: ByteReader, op: number, listed: number): LaneControl {
  if (op === OP_OFFER || op === OP_ANSWER) return readOffer(reader, op === OP_OFFER ? "offer" : "answer", listed)
  if (op === OP_CLOSE) return { op: "close", laneId: readLaneId(reader) }
  if (op !== OP_REFUSE) return reader.fail("op", { op })
  const laneId = readLaneId(reader)
  const reason = LANE_REFUSALS[reader.u8() - 1]
  if (reason === undefined) return reader.fail("refusal reason")
  return { op: "refuse", laneId, reason }
}

function readOffer(reader: ByteReader, op: "offer" | "answer", listed: number): LaneOffer {
  reader.zeros(1)
  // Which list the indexes point into is only known after the block, so they are checked last.
  const block = readLaneBlock(reader, 256)
  const count = reader.u8()
  if (count > MAX_CANDIDATES) reader.fail("addresses", { got: count, max: MAX_CANDIDATES })
  const addresses: CandidateEntry[] = []
  for (let i = 0; i < count; i++) addresses.push(readCandidate(reader))
  const length = count > 0 ? count : listed
  if (block.candidates.some((candidate) => candidate.index >= length)) reader.fail("index beyond the list", { listed: length })
  return { op, block, addresses }
}

function readLaneId(reader: ByteReader): number {
  const laneId = reader.u8()
  if (laneId === 0) reader.fail("lane id 0")
  return laneId
}
