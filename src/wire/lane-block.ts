/** Lane blocks: ICE credentials and ports of a further peer connection (link-lanes LL-4, LL-19). */
import { ByteWriter } from "./byte-writer.ts"
import { ByteReader, concatBytes, utf8Encode } from "./bytes.ts"
import { isIceText, readIceText } from "./description.ts"
import { AvError } from "./errors.ts"
import type { Bytes } from "./types.ts"

/** Largest key 8 of CONNECT, INTRODUCE and ANSWER, signature included. */
export const MAX_LANE_KEY_LENGTH = 1_024
const MAX_BLOCKS = 9
const MAX_LANE_CANDIDATES = 12
const SIGNATURE_LENGTH = 64

interface LaneCandidate {
  /** Index into the candidate list of the same sender's description; address, type and priority are taken from there. */
  index: number
  port: number
}

export interface LaneBlock {
  /** 1..255; 0 is the control lane, which the description itself describes. */
  laneId: number
  ufrag: string
  pwd: string
  /** 1..12 entries. */
  candidates: LaneCandidate[]
}

/** @throws AvError `UsageError` when a field is out of its range. */
export function encodeLaneBlock(block: LaneBlock): Bytes {
  const count = block.candidates.length
  const valid =
    block.laneId > 0 &&
    isIceText(block.ufrag, 4, 32) &&
    isIceText(block.pwd, 22, 64) &&
    count >= 1 &&
    count <= MAX_LANE_CANDIDATES &&
    block.candidates.every((candidate) => candidate.port > 0)
  if (!valid) throw new AvError("UsageError", { why: "lane block" })
  const writer = new ByteWriter(160).u8(block.laneId).u8(block.ufrag.length).u8(block.pwd.length).u8(count)
  writer.bytes(utf8Encode(block.ufrag)).bytes(utf8Encode(block.pwd))
  for (const candidate of block.candidates) writer.u8(candidate.index).u16be(candidate.port)
  return writer.finish()
}

/**
 * Reads one block where it stands. `listed` is the length of the candidate list its indexes point into.
 * A fault raises the reader's own error.
 */
export function readLaneBlock(reader: ByteReader, listed: number): LaneBlock {
  const laneId = reader.u8()
  const ufragLength = reader.u8()
  const pwdLength = reader.u8()
  const count = reader.u8()
  if (laneId === 0) reader.fail("lane id 0")
  if (ufragLength < 4 || ufragLength > 32) reader.fail("ufrag length", { got: ufragLength })
  if (pwdLength < 22 || pwdLength > 64) reader.fail("pwd length", { got: pwdLength })
  if (count < 1 || count > MAX_LANE_CANDIDATES) reader.fail("candidates", { got: count, max: MAX_LANE_CANDIDATES })
  const ufrag = readIceText(reader, ufragLength)
  const pwd = readIceText(reader, pwdLength)
  const candidates: LaneCandidate[] = []
  for (let i = 0; i < count; i++) candidates.push({ index: reader.u8(), port: reader.u16be() })
  for (const candidate of candidates) {
    if (candidate.port === 0) reader.fail("port 0")
    if (candidate.index >= listed) reader.fail("index beyond the list", { index: candidate.index, listed })
  }
  return { laneId, ufrag, pwd, candidates }
}

/** Reads exactly one block. @throws AvError `LaneBlockInvalid`. */
export function decodeLaneBlock(bytes: Bytes, listed: number): LaneBlock {
  const reader = new ByteReader(bytes, "LaneBlockInvalid")
  const block = readLaneBlock(reader, listed)
  reader.end()
  return block
}

/**
 * Reads the blocks of key 8: 1..9 of them with ascending lane ids and nothing after the last.
 * @throws AvError `LaneBlockInvalid`.
 */
export function decodeLaneBlocks(bytes: Bytes, listed: number): LaneBlock[] {
  const reader = new ByteReader(bytes, "LaneBlockInvalid")
  const blocks: LaneBlock[] = []
  do {
    if (blocks.length === MAX_BLOCKS) reader.fail("too many blocks", { max: MAX_BLOCKS })
    const block = readLaneBlock(reader, listed)
    if (block.laneId <= (blocks.at(-1)?.laneId ?? 0)) reader.fail("lane ids not ascending")
    blocks.push(block)
  } while (reader.remaining > 0)
  return blocks
}

/** The two parts of key 8. */
interface LaneKey {
  blocks: Bytes
  signature: Bytes
}

/** Splits key 8 into blocks and signature. @throws AvError `LaneBlockInvalid` when its length is impossible. */
export function splitLaneKey(key: Bytes): LaneKey {
  if (key.length <= SIGNATURE_LENGTH || key.length > MAX_LANE_KEY_LENGTH) {
    throw new AvError("LaneBlockInvalid", { why: "key 8 length", got: key.length, max: MAX_LANE_KEY_LENGTH })
  }
  const at = key.length - SIGNATURE_LENGTH
  return { blocks: key.subarray(0, at), signature: key.subarray(at) }
}

/** Key 8 as it travels. @throws AvError `UsageError` when it would be longer than 1 024 bytes. */
export function joinLaneKey(blocks: Bytes, signature: Bytes): Bytes {
  const key = concatBytes(blocks, signature)
  if (signature.length !== SIGNATURE_LENGTH || key.length > MAX_LANE_KEY_LENGTH) {
    throw new AvError("UsageError", { why: "key 8 length", got: key.length, max: MAX_LANE_KEY_LENGTH })
  }
  return key
}

/**
 * The bytes to sign with `mesh/lanes/v1`: `SHA-256(description) ‖ blocks`. The hash is an input because hashing lives in
 * crypto; it covers the description with its signature.
 */
export function lanesSigningBytes(descriptionHash: Bytes, blocks: Bytes): Bytes {
  return new ByteWriter(32 + blocks.length).fixed(descriptionHash, 32).bytes(blocks).finish()
}
