/** The two gates of a call: the caller's choice of nodes that would admit it, and the callee's own check (control-plane 3.2, 3.3). */
import { LruMap } from "../identity/index.ts"
import { utf8Encode } from "../wire/bytes.ts"
import type { Bytes, Milliseconds, NodeId } from "../wire/types.ts"
import { mayExecute, mayExecuteBatch, type PolicyIndex } from "./authorize.ts"
import type { CapabilityCounters } from "./counters.ts"
import { serviceTag } from "./tags.ts"

/** The RPC status of a refusal by policy. */
export const STATUS_CAPABILITY_DENIED = 0x0008
/** Refusals answered per peer within the window; later requests get no answer. */
export const MAX_DENIALS = 64
const DENIAL_WINDOW_MS = 10_000
const MAX_PEERS = 4_096

/** Where services are looked up; a `CapabilityIndex` is one. */
export interface ServiceIndex extends PolicyIndex {
  findServiceNodes(service: string, now: Milliseconds, options?: { self?: NodeId; includeSelf?: boolean }): NodeId[]
}

export interface CallerGateOptions {
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
export type CallerVerdict =
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

/** `drop`: the peer was refused too often to be answered again. */
export type CalleeVerdict =
  | { kind: "admitted" }
  | { kind: "not-found" }
  | { kind: "denied"; status: typeof STATUS_CAPABILITY_DENIED; body: Bytes }
  | { kind: "drop" }

export interface CalleeGateOptions {
  index: PolicyIndex
  self: NodeId
  /** True while a handler is registered under the name. */
  serves: (service: string) => boolean
  counters: CapabilityCounters
}

/** Stands in front of every request of every shape. Frames of calls in flight are the call machine's, keyed by peer and call. */
export class CalleeGate {
  readonly #options: CalleeGateOptions
  readonly #denials = new LruMap<NodeId, { endsAt: Milliseconds; used: number }>(MAX_PEERS)

  constructor(options: CalleeGateOptions) {
    this.#options = options
  }

  /** A request of `service` on the session with `caller`, whose name is the session's and not the frame's. */
  admit(caller: NodeId, service: string, now: Milliseconds): CalleeVerdict {
    if (!this.#options.serves(service)) return { kind: "not-found" }
    if (this.isAdmitted(caller, service, now)) return { kind: "admitted" }
    this.#options.counters.deniedCalleeSide.add(service)
    if (!this.#mayAnswer(caller, now)) return { kind: "drop" }
    const body = utf8Encode(`capability denied: ${serviceTag(service)}`)
    return { kind: "denied", status: STATUS_CAPABILITY_DENIED, body }
  }

  /** The bare verdict, to judge calls in flight again after the policy changed. Counts nothing. */
  isAdmitted(caller: NodeId, service: string, now: Milliseconds): boolean {
    const { index, self } = this.#options
    return mayExecute(index, self, serviceTag(service), caller, now)
  }

  #mayAnswer(caller: NodeId, now: Milliseconds): boolean {
    let window = this.#denials.get(caller)
    if (window === undefined || now >= window.endsAt) window = { endsAt: now + DENIAL_WINDOW_MS, used: 0 }
    window.used++
    this.#denials.set(caller, window)
    return window.used <= MAX_DENIALS
  }
}
