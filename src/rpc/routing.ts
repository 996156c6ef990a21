/** Which node a call by service name goes to, among those that the caller's gate left (control-plane 4.8). */
import { keyedBlake2s } from "../crypto/hash.ts"
import { ByteWriter } from "../wire/byte-writer.ts"
import { AvError } from "../wire/errors.ts"
import { nodeIdToU64 } from "../wire/node-id.ts"
import type { Bytes, NodeId, U64 } from "../wire/types.ts"

/** What the caller's gate says; `callerGate` of the capabilities answers so. */
export type RpcCandidates =
  /** Nobody who could be reached offers it. */
  | { kind: "no-route" }
  /** Everybody who offers it refuses us; `target` is the first of them in order. */
  | { kind: "capability-denied"; target: NodeId; capability: string }
  /** Not empty, ascending. */
  | { kind: "candidates"; nodes: readonly NodeId[] }

/** What routing must know and this folder does not: who offers a service and lets us call it. */
export interface RpcDirectory {
  /** The caller's gate. `filterUnhealthy`: leave out nodes known to be down; unknown ones stay. */
  candidates(service: string, filterUnhealthy: boolean): RpcCandidates
  /** Measured round trip, milliseconds. */
  rttMs?(node: NodeId): number | undefined
}

export type RoutingPolicy =
  | { kind: "round-robin" }
  | { kind: "random" }
  /** The same key meets the same node as long as it is there. */
  | { kind: "sticky"; key: U64 }
  | { kind: "lowest-latency" }

/** Chooses among candidates; holds the cursor that all calls of one node share. */
export class Router {
  readonly #random: () => number
  #cursor = 0

  /** @param random uniform, 0 ≤ x < 1 */
  constructor(random: () => number) {
    this.#random = random
  }

  /** One of `nodes`, which are sorted and not empty. */
  choose(policy: RoutingPolicy, nodes: readonly NodeId[], rttMs?: (node: NodeId) => number | undefined): NodeId {
    const index = this.#index(policy, nodes, rttMs)
    const chosen = nodes[index]
    if (chosen === undefined) throw new AvError("UsageError", { why: "no candidates" })
    return chosen
  }

  #index(policy: RoutingPolicy, nodes: readonly NodeId[], rttMs?: (node: NodeId) => number | undefined): number {
    switch (policy.kind) {
      case "round-robin": {
        const index = this.#cursor % nodes.length
        this.#cursor = (this.#cursor + 1) % Number.MAX_SAFE_INTEGER
        return index
      }
      case "random":
        return Math.min(nodes.length - 1, Math.floor(this.#random() * nodes.length))
      case "sticky":
        return nodes.indexOf(stickyChoice(policy.key, nodes) ?? "")
      case "lowest-latency": {
        const times = nodes.map((node) => rttMs?.(node) ?? Number.POSITIVE_INFINITY)
        return times.indexOf(Math.min(...times))
      }
    }
  }
}

/** Rendezvous hashing: when one of N nodes leaves, only its own keys move (D23). Undefined without nodes. */
export function stickyChoice(key: U64, nodes: readonly NodeId[]): NodeId | undefined {
  let best: { node: NodeId; weight: bigint } | undefined
  for (const node of nodes) {
    const weight = stickyWeight(key, node)
    const wins = best === undefined || weight > best.weight || (weight === best.weight && node < best.node)
    if (wins) best = { node, weight }
  }
  return best?.node
}

function stickyWeight(key: U64, node: NodeId): bigint {
  const input: Bytes = new ByteWriter(16).u64le(key).u64le(nodeIdToU64(node)).finish()
  const hash = keyedBlake2s("mesh-sticky-v1", input)
  return new DataView(hash.buffer, hash.byteOffset, 8).getBigUint64(0, true)
}
