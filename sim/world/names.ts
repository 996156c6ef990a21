/** Ids of simulated peers: as long and as random as real ones, from the seed. */
import { nodeIdFromU64 } from "../../src/wire/node-id.ts"
import type { NodeId, PeerKeyId } from "../../src/wire/types.ts"
import type { Random } from "../engine/random.ts"

export function newNodeId(random: Random): NodeId {
  return nodeIdFromU64((BigInt(random.uint32()) << 32n) | BigInt(random.uint32()) | 1n)
}

export function newKeyId(random: Random): PeerKeyId {
  return Array.from({ length: 8 }, () => random.uint32().toString(16).padStart(8, "0")).join("")
}
