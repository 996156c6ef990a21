/** MEMBERSHIP and CHANNEL_DATA frames: subscribing, opening a channel for publishing, and the data (control-plane 5.7). */
import { ByteReader, ByteWriter, utf8Decode, utf8Encode } from "../wire/bytes.ts"
import { isCanonicalChannelName, isQueueGroup } from "../wire/channel-name.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, U64 } from "../wire/types.ts"
import { TOKEN_LENGTH } from "./permission-token.ts"
import { MAX_CHAIN_DEPTH } from "./token-chain.ts"

/** Why a request was refused; the index is the number on the wire. */
export const ACK_REASONS = [
  "ok",
  "unauthorized",
  "unknown-channel",
  "rate-limited",
  "too-many-channels",
  "malformed",
  "queue-group-denied",
] as const
export type AckReason = (typeof ACK_REASONS)[number]

const KINDS = ["SUBSCRIBE", "UNSUBSCRIBE", "ACK", "PUBLISH_OPEN", "PUBLISH_CLOSE"] as const
/** Kinds that begin with a nonce and are answered. */
const ANSWERED = [0, 1, 3]

export type MembershipFrame =
  | { kind: "SUBSCRIBE"; nonce: U64; name: string; chain: Bytes; group: string }
  | { kind: "UNSUBSCRIBE"; nonce: U64; name: string }
  | { kind: "ACK"; nonce: U64; accepted: boolean; reason: AckReason }
  | { kind: "PUBLISH_OPEN"; nonce: U64; handle: number; name: string; chain: Bytes }
  | { kind: "PUBLISH_CLOSE"; handle: number }

interface ChannelData {
  handle: number
  /** Counts the messages of a handle. */
  seq: number
  data: Bytes
}

/** @throws AvError `UsageError` for a name that is not canonical or a chain of another length. */
export function encodeMembership(frame: MembershipFrame): Bytes {
  const writer = new ByteWriter(64).u8(KINDS.indexOf(frame.kind))
  if (frame.kind !== "PUBLISH_CLOSE") writer.u64le(frame.nonce)
  switch (frame.kind) {
    case "SUBSCRIBE":
      writeName(writer, frame.name)
      writeChain(writer, frame.chain)
      if (frame.group !== "" && !isQueueGroup(frame.group)) throw new AvError("UsageError", { why: "queue group" })
      return writeText(writer, frame.group).finish()
    case "UNSUBSCRIBE":
      return writeName(writer, frame.name).finish()
    case "ACK":
      return writer
        .u8(frame.accepted ? 1 : 0)
        .u8(ACK_REASONS.indexOf(frame.reason))
        .finish()
    case "PUBLISH_OPEN":
      writeName(writer.u32le(frame.handle), frame.name)
      return writeChain(writer, frame.chain).finish()
    case "PUBLISH_CLOSE":
      return writer.u32le(frame.handle).finish()
  }
}

/** @throws AvError `Malformed` on an unknown kind or reason, a name that is not canonical, another chain length, trailing bytes. */
export function decodeMembership(payload: Bytes): MembershipFrame {
  const reader = new ByteReader(payload, "Malformed")
  const frame = readFrame(reader, KINDS[reader.u8()])
  reader.end()
  return frame
}

/** The nonce of a request that is otherwise unreadable, so that its sender can be told. */
export function nonceOf(payload: Bytes): U64 | undefined {
  if (payload.length < 9 || !ANSWERED.includes(payload[0] ?? -1)) return undefined
  return new ByteReader(payload.subarray(1, 9)).u64le()
}

export function encodeChannelData(data: ChannelData): Bytes {
  return new ByteWriter(8 + data.data.length).u32le(data.handle).u32le(data.seq).bytes(data.data).finish()
}

/** `data` is a view. @throws AvError `Malformed` when it is too short. */
export function decodeChannelData(payload: Bytes): ChannelData {
  const reader = new ByteReader(payload, "Malformed")
  return { handle: reader.u32le(), seq: reader.u32le(), data: reader.rest() }
}

function readFrame(reader: ByteReader, kind: (typeof KINDS)[number] | undefined): MembershipFrame {
  switch (kind) {
    case "SUBSCRIBE":
      return { kind, nonce: reader.u64le(), name: readName(reader), chain: readChain(reader), group: readGroup(reader) }
    case "UNSUBSCRIBE":
      return { kind, nonce: reader.u64le(), name: readName(reader) }
    case "ACK": {
      const nonce = reader.u64le()
      const accepted = reader.u8()
      const reason = ACK_REASONS[reader.u8()]
      if (accepted > 1 || reason === undefined) return reader.fail("ack")
      return { kind, nonce, accepted: accepted === 1, reason }
    }
    case "PUBLISH_OPEN": {
      const [nonce, handle] = [reader.u64le(), reader.u32le()]
      return { kind, nonce, handle, name: readName(reader), chain: readChain(reader) }
    }
    case "PUBLISH_CLOSE":
      return { kind, handle: reader.u32le() }
    default:
      return reader.fail("kind")
  }
}

function readName(reader: ByteReader): string {
  const name = utf8Decode(reader.bytes(reader.u8()))
  return isCanonicalChannelName(name) ? name : reader.fail("channel name")
}

function readChain(reader: ByteReader): Bytes {
  const length = reader.u16le()
  return isChainLength(length) ? reader.bytes(length).slice() : reader.fail("chain length", { length })
}

function readGroup(reader: ByteReader): string {
  const group = utf8Decode(reader.bytes(reader.u8()))
  return group === "" || isQueueGroup(group) ? group : reader.fail("queue group")
}

function writeName(writer: ByteWriter, name: string): ByteWriter {
  if (!isCanonicalChannelName(name)) throw new AvError("UsageError", { why: "channel name" })
  return writeText(writer, name)
}

function writeText(writer: ByteWriter, text: string): ByteWriter {
  const bytes = utf8Encode(text)
  return writer.u8(bytes.length).bytes(bytes)
}

function writeChain(writer: ByteWriter, chain: Bytes): ByteWriter {
  if (!isChainLength(chain.length)) throw new AvError("UsageError", { why: "chain length", got: chain.length })
  return writer.u16le(chain.length).bytes(chain)
}

function isChainLength(length: number): boolean {
  return length === 0 || ((length - 1) % TOKEN_LENGTH === 0 && length > 1 && length <= 1 + MAX_CHAIN_DEPTH * TOKEN_LENGTH)
}
