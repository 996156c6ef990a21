/** Node ids: a u64 on the wire, 16 lower-case hex digits in memory (control-plane 0.1). */
import { AvError } from "./errors.ts"
import type { NodeId, U64 } from "./types.ts"

/** In-memory form of a node id. Zero gives sixteen zeros, which {@link isNodeId} refuses. */
export function nodeIdFromU64(value: U64): NodeId {
  return value.toString(16).padStart(16, "0")
}

/** @throws AvError `UsageError` on anything but 16 lower-case hex digits. */
export function nodeIdToU64(id: NodeId): U64 {
  if (!/^[0-9a-f]{16}$/.test(id)) throw new AvError("UsageError", { why: "node id" })
  return BigInt(`0x${id}`)
}

/** True for 16 lower-case hex digits that are not all zero. */
export function isNodeId(value: unknown): value is NodeId {
  return typeof value === "string" && /^[0-9a-f]{16}$/.test(value) && value !== "0000000000000000"
}

/**
 * A node id as people and operator files write it: 16 hex digits, `0x` with hex digits, or decimal (control-plane 1.2).
 * Undefined for anything else, zero included.
 */
export function parseNodeId(text: string): NodeId | undefined {
  const hex = /^(?:0[xX])([0-9a-fA-F]{1,16})$|^([0-9a-fA-F]{16})$/.exec(text)
  let value: U64 | undefined
  if (hex !== null) value = BigInt(`0x${hex[1] ?? hex[2]}`)
  else if (/^(?:0|[1-9][0-9]{0,19})$/.test(text)) value = BigInt(text)
  if (value === undefined || value === 0n || value > 0xffffffffffffffffn) return undefined
  return nodeIdFromU64(value)
}
