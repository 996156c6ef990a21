/** Frames of routed sessions: the handshake in three steps and the sealed frames after it (control-plane 1.6). */
import { ByteWriter } from "./byte-writer.ts"
import { ByteReader } from "./bytes.ts"
import { AvError } from "./errors.ts"
import { nodeIdFromU64, nodeIdToU64 } from "./node-id.ts"
import type { Bytes, NodeId, U64 } from "./types.ts"

/** Hops a routed frame may take; every relay takes one off and drops at zero. */
export const ROUTED_TTL = 16
const ROUTED_HEADER_LENGTH = 28
const TAG_LENGTH = 16
const HELLO_TTL_OFFSET = 20
const FRAME_TTL_OFFSET = 0

export interface RoutedHelloKeys {
  entityId: Bytes
  nonce: Bytes
  /** Fresh X25519 public key of this handshake. */
  ephemeral: Bytes
  pqHash: Bytes
}

interface RoutedEnvelope {
  src: NodeId
  dst: NodeId
  ttl: number
}
/** Step 1, from the initiator. */
export interface RoutedHello1 extends RoutedEnvelope, RoutedHelloKeys {
  step: 1
}
/** Step 2, from the responder. */
export interface RoutedHello2 extends RoutedEnvelope, RoutedHelloKeys {
  step: 2
  signature: Bytes
}
/** Step 3, from the initiator. */
interface RoutedHello3 extends RoutedEnvelope {
  step: 3
  signature: Bytes
}
export type RoutedHello = RoutedHello1 | RoutedHello2 | RoutedHello3

export interface RoutedFrame extends RoutedEnvelope {
  counter: U64
  /** Sealed control frame with its tag; a view when decoded. */
  ciphertext: Bytes
}

/** The payload of a ROUTED_HELLO frame. */
export function encodeRoutedHello(hello: RoutedHello): Bytes {
  const writer = new ByteWriter(ROUTED_HEADER_LENGTH + 192).u8(hello.step).zeros(3)
  writer.u64le(nodeIdToU64(hello.src)).u64le(nodeIdToU64(hello.dst)).u8(hello.ttl).zeros(7)
  if (hello.step !== 3) {
    writer.fixed(hello.entityId, 32).fixed(hello.nonce, 32).fixed(hello.ephemeral, 32).fixed(hello.pqHash, 32)
  }
  if (hello.step !== 1) writer.fixed(hello.signature, 64)
  return writer.finish()
}

/** @throws AvError `RoutedInvalid` on an unknown step, reserved bytes, a zero node id, the same node twice or another length. */
export function decodeRoutedHello(payload: Bytes): RoutedHello {
  const reader = new ByteReader(payload, "RoutedInvalid")
  const step = reader.u8()
  reader.zeros(3)
  const nodes = readNodes(reader)
  const ttl = reader.u8()
  reader.zeros(7)
  const envelope = { ...nodes, ttl }
  const hello = readHelloBody(reader, step, envelope)
  reader.end()
  return hello
}

/** The payload of a ROUTED frame. */
export function encodeRoutedFrame(frame: RoutedFrame): Bytes {
  return new ByteWriter(ROUTED_HEADER_LENGTH + frame.ciphertext.length)
    .u8(frame.ttl)
    .zeros(3)
    .u64le(nodeIdToU64(frame.src))
    .u64le(nodeIdToU64(frame.dst))
    .u64le(frame.counter)
    .bytes(frame.ciphertext)
    .finish()
}

/** @throws AvError `RoutedInvalid` when it is cut, too short for a tag, or has reserved bytes or a zero node id. */
export function decodeRoutedFrame(payload: Bytes): RoutedFrame {
  const reader = new ByteReader(payload, "RoutedInvalid")
  const ttl = reader.u8()
  reader.zeros(3)
  const nodes = readNodes(reader)
  const counter = reader.u64le()
  if (reader.remaining < TAG_LENGTH) reader.fail("no tag", { got: reader.remaining, need: TAG_LENGTH })
  return { ttl, ...nodes, counter, ciphertext: reader.rest() }
}

/** A copy of a ROUTED_HELLO payload with another ttl, for a relay; the rest is passed on byte for byte. */
export function routedHelloWithTtl(payload: Bytes, ttl: number): Bytes {
  return withByte(payload, HELLO_TTL_OFFSET, ttl)
}

/** A copy of a ROUTED payload with another ttl, for a relay. */
export function routedFrameWithTtl(payload: Bytes, ttl: number): Bytes {
  return withByte(payload, FRAME_TTL_OFFSET, ttl)
}

/** Associated data of a routed frame: source, destination and counter. The ttl changes on the way and is not in it. */
export function routedAssociatedData(src: NodeId, dst: NodeId, counter: U64): Bytes {
  return new ByteWriter(24).u64le(nodeIdToU64(src)).u64le(nodeIdToU64(dst)).u64le(counter).finish()
}

/** AEAD nonce of a routed frame. */
export function routedNonce(counter: U64): Bytes {
  return new ByteWriter(12).zeros(4).u64le(counter).finish()
}

function readNodes(reader: ByteReader): { src: NodeId; dst: NodeId } {
  const src = reader.u64le()
  const dst = reader.u64le()
  if (src === 0n || dst === 0n) reader.fail("zero node id")
  if (src === dst) reader.fail("source is destination")
  return { src: nodeIdFromU64(src), dst: nodeIdFromU64(dst) }
}

function readHelloBody(reader: ByteReader, step: number, envelope: RoutedEnvelope): RoutedHello {
  if (step === 1) return { step, ...envelope, ...readKeys(reader) }
  if (step === 2) return { step, ...envelope, ...readKeys(reader), signature: reader.bytes(64).slice() }
  if (step === 3) return { step, ...envelope, signature: reader.bytes(64).slice() }
  return reader.fail("step", { step })
}

function readKeys(reader: ByteReader): RoutedHelloKeys {
  return {
    entityId: reader.bytes(32).slice(),
    nonce: reader.bytes(32).slice(),
    ephemeral: reader.bytes(32).slice(),
    pqHash: reader.bytes(32).slice(),
  }
}

function withByte(payload: Bytes, offset: number, value: number): Bytes {
  if (payload.length < ROUTED_HEADER_LENGTH) {
    throw new AvError("RoutedInvalid", { why: "too short", got: payload.length, need: ROUTED_HEADER_LENGTH })
  }
  const copy = payload.slice()
  copy[offset] = value
  return copy
}
