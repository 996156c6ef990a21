/** Counters of calls per service (control-plane 4.10). */
import type { Milliseconds } from "../wire/types.ts"
import type { RpcFailure } from "./status.ts"

/** Upper bounds of the latency buckets, seconds; the last bucket has none. */
const LATENCY_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const
/** Services after this many share one label: names come from the network. */
const MAX_SERVICE_LABELS = 4_096
export const OVERFLOW_LABEL = "__overflow__"

const COUNTERS = [
  "calls_total",
  "errors_no_route",
  "errors_timeout",
  "errors_server",
  "errors_transport",
  "errors_capability_denied",
  "in_flight",
  "handler_invocations_total",
  "handler_errors_total",
  "handler_in_flight",
  "streaming_chunks_total",
  "rpc_responses_dropped_total",
  "rpc_response_wrong_peer_total",
  "capability_denied_total",
  "capability_denied_caller_side",
  "capability_denied_callee_side",
  "frames_ignored_total",
  "refusals_dropped_total",
] as const
type RpcCounter = (typeof COUNTERS)[number]

/** A histogram of seconds; `buckets` counts each observation once, sums are made when it is read. */
class Histogram {
  readonly buckets: number[] = new Array<number>(LATENCY_BOUNDS.length + 1).fill(0)
  sum = 0
  count = 0

  observe(ms: Milliseconds): void {
    const seconds = ms / 1_000
    const bound = LATENCY_BOUNDS.findIndex((limit) => seconds <= limit)
    const index = bound === -1 ? LATENCY_BOUNDS.length : bound
    this.buckets[index] = (this.buckets[index] ?? 0) + 1
    this.sum += seconds
    this.count += 1
  }

  /** How many observations lie below each bound; the last is the count. */
  cumulated(): number[] {
    let below = 0
    return this.buckets.map((count) => (below += count))
  }
}

export class ServiceMetrics {
  readonly counters = Object.fromEntries(COUNTERS.map((name) => [name, 0])) as Record<RpcCounter, number>
  /** Of calls this node made. */
  readonly latency = new Histogram()
  /** Of handlers this node ran. */
  readonly handling = new Histogram()

  add(counter: RpcCounter, by = 1): void {
    this.counters[counter] += by
  }

  /** Counts a failed call of this node. */
  failed(failure: RpcFailure): void {
    const counter = FAILURE_COUNTERS[failure.kind]
    if (counter !== undefined) this.add(counter)
    if (failure.kind === "capability-denied") this.add("capability_denied_total")
  }
}

const FAILURE_COUNTERS: Record<RpcFailure["kind"], RpcCounter | undefined> = {
  "no-route": "errors_no_route",
  timeout: "errors_timeout",
  transport: "errors_transport",
  "capability-denied": "errors_capability_denied",
  "server-error": "errors_server",
  codec: undefined,
  cancelled: undefined,
}

export class RpcMetrics {
  readonly #services = new Map<string, ServiceMetrics>()
  readonly #cap: number

  constructor(cap = MAX_SERVICE_LABELS) {
    this.#cap = cap
  }

  /** The counters of a service, made on first use; those of `__overflow__` when there are too many names. */
  of(service: string): ServiceMetrics {
    const known = this.#services.get(service)
    if (known !== undefined) return known
    if (service !== OVERFLOW_LABEL && this.#services.size >= this.#cap) return this.of(OVERFLOW_LABEL)
    const made = new ServiceMetrics()
    this.#services.set(service, made)
    return made
  }

  /** The labels in use and their counters. */
  entries(): IterableIterator<[string, ServiceMetrics]> {
    return this.#services.entries()
  }
}

/** One finished call, as either side saw it. */
export interface RpcEvent {
  direction: "out" | "in"
  peer: string
  service: string
  /** The status sent or received; undefined where no RESPONSE was involved. */
  status: number | undefined
  outcome: "ok" | RpcFailure["kind"]
  durationMs: Milliseconds
  bytesIn: number
  bytesOut: number
}
