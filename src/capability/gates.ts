/** The caller's gate: which nodes that offer a service would admit us (control-plane 3.2). The callee asks `mayExecute` itself. */
import type { Milliseconds, NodeId } from "../wire/types.ts"
import { mayExecuteBatch, type PolicyIndex } from "./authorize.ts"
import type { CapabilityCounters } from "./counters.ts"
import { serviceTag } from "./tags.ts"

/** Where services are looked up; a `CapabilityIndex` is one. */
export interface ServiceIndex extends PolicyIndex {
  findServiceNodes(service: string, now: Milliseconds, options?: { self?: NodeId; includeSelf?: boolean }): NodeId[]
}

interface CallerGateOptions {
  /** Our own node id. */
  self: NodeId
  /** Also consider ourselves. */
  includeSelf?: boolean
  /** Nodes known to be unavailable. */
  isUnhealthy?: (node: NodeId) => boolean
  /** `false` keeps unavailable nodes. */
  filterUnhealthy?: boolean
}

/** `candidates` are ascending by node id; the routing policy chooses among them and nowhere else. */
type CallerVerdict =
  | { kind: "no-route" }
  | { kind: "capability-denied"; target: NodeId; capability: string }
  | { kind: "candidates"; nodes: NodeId[] }

/** Who among the nodes that offer `service` would admit us. Nobody offers it: `no-route`; all refuse us: `capability-denied`. */
export function callerGate(
  index: ServiceIndex,
  service: string,
  options: CallerGateOptions,
  now: Milliseconds,
  counters?: CapabilityCounters,
): CallerVerdict {
  const offering = index.findServiceNodes(service, now, { self: options.self, includeSelf: options.includeSelf === true })
  const healthy = options.filterUnhealthy === false ? offering : offering.filter((node) => options.isUnhealthy?.(node) !== true)
  const [representative] = healthy
  if (representative === undefined) return { kind: "no-route" }
  const verdicts = mayExecuteBatch(index, healthy, serviceTag(service), options.self, now)
  const nodes = healthy.filter((_, i) => verdicts[i])
  if (nodes.length > 0) return { kind: "candidates", nodes }
  if (counters !== undefined) counters.deniedCallerSide++
  return { kind: "capability-denied", target: representative, capability: service }
}
