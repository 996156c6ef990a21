/** RENDEZVOUS messages, kinds 1-13: finding peers through a server or a member (control-plane 6.2). */
import { type AddressBlock, encodeAddressBlock } from "./address.ts"
import { decodeDcbor, encodeDcbor } from "./dcbor.ts"
import { AvError } from "./errors.ts"
import { nodeIdToU64 } from "./node-id.ts"
import { type IceServer, KeyReader, REJECT_REASONS, type RejectReason, type RendezvousKeys } from "./rendezvous-keys.ts"
import type { Bytes, NodeId, U64 } from "./types.ts"

export { type IceServer, REJECT_REASONS, type RejectReason }

/** Largest RENDEZVOUS payload, bytes. */
const MAX_RENDEZVOUS_LENGTH = 8_192

export interface ReflexReplyEntry {
  address: AddressBlock
  observerIndex: number
}
/** What CONNECT, INTRODUCE and ANSWER carry; the bytes are passed on unread. */
export interface Introduction {
  /** Signed description, see description.ts. */
  description: Bytes
  attestation?: Bytes
  /** Key 8: lane blocks and their signature, see lane-block.ts. */
  lanes?: Bytes
}

export type RendezvousMessage =
  | { kind: "register"; namespace: string }
  | { kind: "attest"; attestation: Bytes }
  | { kind: "reflex-query"; addresses: AddressBlock[]; queryId: U64 }
  | { kind: "reflex-reply"; queryId: U64; entries: ReflexReplyEntry[] }
  | ({ kind: "connect"; targetNode: NodeId } & Introduction)
  | ({ kind: "introduce"; fromNode: NodeId; ttlMs: number } & Introduction)
  | ({ kind: "answer"; toNode: NodeId } & Introduction)
  /** `targetNode` is null and `attemptId` 0 in the answer to a REGISTER. `retryAfterMs` 0 means none was given. */
  | { kind: "reject"; targetNode: NodeId | null; attemptId: U64; reason: RejectReason; retryAfterMs: number }
  | { kind: "candidates"; toNode: NodeId; description: Bytes }
  | { kind: "roster"; namespace: string; nodes: NodeId[]; registered: number }
  | { kind: "roster-delta"; namespace: string; joined: NodeId[]; left: NodeId[] }
  | { kind: "unregister"; namespace: string }
  | { kind: "ice"; servers: IceServer[]; relayAddresses: AddressBlock[]; ttlS: number }
type RendezvousKind = RendezvousMessage["kind"]

/** In the order of their numbers 1..13. */
const KINDS: readonly RendezvousKind[] = [
  "register",
  "attest",
  "reflex-query",
  "reflex-reply",
  "connect",
  "introduce",
  "answer",
  "reject",
  "candidates",
  "roster",
  "roster-delta",
  "unregister",
  "ice",
]

/** INTRODUCE: how long the attempt may live, milliseconds after clamping (control-plane 6.8). */
const TTL_RANGE = [1_000, 10_000] as const
/** REJECT: how long to wait, milliseconds after clamping. */
const RETRY_RANGE = [0, 60_000] as const
const MAX_ROSTER = 256
/** What fits into 8 KiB anyway. */
const MAX_DELTA = 910
const MAX_RELAY_ADDRESSES = 64

/**
 * The payload of a RENDEZVOUS frame.
 * @throws AvError `UsageError` when a value is out of range or the payload would be longer than 8 KiB.
 */
export function encodeRendezvousMessage(message: RendezvousMessage): Bytes {
  const keys: RendezvousKeys = new Map([[0, KINDS.indexOf(message.kind) + 1]])
  for (const [key, value] of entriesOf(message)) if (value !== undefined) keys.set(key, value)
  const bytes = encodeDcbor(keys)
  if (bytes.length > MAX_RENDEZVOUS_LENGTH) {
    throw new AvError("UsageError", { why: "rendezvous message too long", got: bytes.length, max: MAX_RENDEZVOUS_LENGTH })
  }
  return bytes
}

/**
 * Reads the payload of a RENDEZVOUS frame. Times come back clamped as control-plane 6.8 says.
 * @throws AvError `RendezvousMalformed` on another length, kind, member or type; `NonCanonical` and `Malformed` as dCBOR does.
 */
export function decodeRendezvousMessage(bytes: Bytes): RendezvousMessage {
  if (bytes.length > MAX_RENDEZVOUS_LENGTH) {
    throw new AvError("RendezvousMalformed", { why: "too long", got: bytes.length, max: MAX_RENDEZVOUS_LENGTH })
  }
  const reader = new KeyReader(decodeDcbor(bytes))
  const kind = KINDS[reader.int(0, 255) - 1]
  if (kind === undefined) throw new AvError("RendezvousMalformed", { why: "kind" })
  const message = read(kind, reader)
  reader.end()
  return message
}

type Entries = [key: number, value: number | bigint | string | Bytes | RendezvousList | undefined][]
type RendezvousList = (number | bigint | Bytes | (Bytes | number)[] | Map<number, string>)[]

function entriesOf(m: RendezvousMessage): Entries {
  switch (m.kind) {
    case "register":
    case "unregister":
      return [[1, m.namespace]]
    case "attest":
      return [[1, m.attestation]]
    case "reflex-query":
      return [
        [1, m.addresses.map(encodeAddressBlock)],
        [2, m.queryId],
      ]
    case "reflex-reply":
      return [
        [2, m.queryId],
        [3, m.entries.map((entry) => [encodeAddressBlock(entry.address), entry.observerIndex])],
      ]
    case "connect":
      return [[1, nodeIdToU64(m.targetNode)], ...introductionEntries(m)]
    case "introduce":
      return [[1, nodeIdToU64(m.fromNode)], ...introductionEntries(m), [4, m.ttlMs]]
    case "answer":
      return [[1, nodeIdToU64(m.toNode)], ...introductionEntries(m)]
    case "reject":
      return [
        [1, m.targetNode === null ? 0n : nodeIdToU64(m.targetNode)],
        [2, m.attemptId],
        [3, REJECT_REASONS.get(m.reason)],
        [4, m.retryAfterMs === 0 ? undefined : m.retryAfterMs],
      ]
    case "candidates":
      return [
        [1, nodeIdToU64(m.toNode)],
        [2, m.description],
      ]
    case "roster":
      return [
        [1, m.namespace],
        [3, m.nodes.map(nodeIdToU64)],
        [4, m.registered],
      ]
    case "roster-delta":
      return [
        [1, m.namespace],
        [3, m.joined.length === 0 ? undefined : m.joined.map(nodeIdToU64)],
        [4, m.left.length === 0 ? undefined : m.left.map(nodeIdToU64)],
      ]
    case "ice":
      return [
        [3, m.servers.map(iceServerMap)],
        [4, m.relayAddresses.map(encodeAddressBlock)],
        [5, m.ttlS],
      ]
  }
}

function introductionEntries(introduction: Introduction): Entries {
  return [
    [2, introduction.description],
    [3, introduction.attestation],
    [8, introduction.lanes],
  ]
}

function iceServerMap(server: IceServer): Map<number, string> {
  const map = new Map([[1, server.url]])
  if (server.username !== undefined) map.set(2, server.username)
  if (server.credential !== undefined) map.set(3, server.credential)
  return map
}

function read(kind: RendezvousKind, r: KeyReader): RendezvousMessage {
  switch (kind) {
    case "register":
    case "unregister":
      return { kind, namespace: r.namespace(1) }
    case "attest":
      return { kind, attestation: r.bytes(1) }
    case "reflex-query":
      return { kind, addresses: r.addresses(1, 8), queryId: r.u64(2) }
    case "reflex-reply":
      return { kind, queryId: r.u64(2), entries: r.reflexEntries(3) }
    case "connect":
      return { kind, targetNode: r.node(1), ...readIntroduction(r) }
    case "introduce":
      return { kind, fromNode: r.node(1), ...readIntroduction(r), ttlMs: r.time(4, TTL_RANGE) }
    case "answer":
      return { kind, toNode: r.node(1), ...readIntroduction(r) }
    case "reject":
      return {
        kind,
        targetNode: r.nodeOrNull(1),
        attemptId: r.u64(2),
        reason: r.reason(3),
        retryAfterMs: r.has(4) ? r.time(4, RETRY_RANGE) : 0,
      }
    case "candidates":
      return { kind, toNode: r.node(1), description: r.bytes(2) }
    case "roster":
      return { kind, namespace: r.namespace(1), nodes: r.nodes(3, MAX_ROSTER), registered: r.int(4, 0xffffffff) }
    case "roster-delta":
      return {
        kind,
        namespace: r.namespace(1),
        joined: r.has(3) ? r.nodes(3, MAX_DELTA) : [],
        left: r.has(4) ? r.nodes(4, MAX_DELTA) : [],
      }
    case "ice":
      return { kind, servers: r.iceServers(3), relayAddresses: r.addresses(4, MAX_RELAY_ADDRESSES), ttlS: r.int(5, 0xffffffff) }
  }
}

function readIntroduction(r: KeyReader): Introduction {
  return {
    description: r.bytes(2),
    ...(r.has(3) ? { attestation: r.bytes(3) } : {}),
    ...(r.has(8) ? { lanes: r.bytes(8) } : {}),
  }
}
