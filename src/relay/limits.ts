/** What a relay has promised to carry, and what it has taken on (av-mesh 8.1, D-19.5). Rates in Mbit/s, like the advertisements. */
import { equalBytes } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, PeerKeyId } from "../wire/types.ts"

interface SubStreamLimit {
  /** One byte per binary choice (av-mesh 8.1). */
  path: Bytes
  uplinkMbps: number
  maxSubscribers: number
}

/** The limits of a relay's own advertisement. */
export interface RelayLimits {
  maxStreams: number
  maxSubscribersPerStream: number
  /** Over all streams. Default: no limit of its own. */
  maxSubscribers?: number
  /** For everything that is handed on. Default: unlimited. */
  uplinkMbps?: number
  /** Where it is not empty, exactly these parts of a stream are handed on. */
  subStreams?: readonly SubStreamLimit[]
}

/** Name of the limit that was reached, in the words of the advertisement; `limit` of a `CapacityExceeded`. */
type RelayLimitName =
  | "max_streams"
  | "max_subscribers_per_stream"
  | "max_subscribers"
  | "uplink_mbps"
  | "sub_stream"
  | "sub_stream_max_subscribers"
  | "sub_stream_uplink_mbps"

interface RelayLoad {
  /** What the subscription is expected to take. */
  mbps: number
  /** Default: the whole stream. */
  path?: Bytes
}

const WHOLE: Bytes = new Uint8Array(0)

/** Books what was granted; refuses what would go beyond the promise. */
export class RelayLedger {
  #limits: RelayLimits
  readonly #streams = new Map<string, Map<PeerKeyId, RelayLoad>>()

  constructor(limits: RelayLimits) {
    this.#limits = limits
  }

  get limits(): RelayLimits {
    return this.#limits
  }

  /** Another bound for everything handed on; what is granted stays granted. */
  limitUplink(mbps: number): void {
    this.#limits = { ...this.#limits, uplinkMbps: mbps }
  }

  get streams(): number {
    return this.#streams.size
  }

  get subscribers(): number {
    return sum(this.#streams.values(), (peers) => peers.size)
  }

  /** What all subscriptions together are expected to take. */
  get mbps(): number {
    return sum(this.#streams.values(), (peers) => sum(peers.values(), ({ mbps }) => mbps))
  }

  /** The first limit this subscription would go beyond. What the same peer has of the stream already does not count twice. */
  exceeded(stream: string, peer: PeerKeyId, { mbps, path = WHOLE }: RelayLoad): RelayLimitName | undefined {
    const { maxStreams, maxSubscribersPerStream, maxSubscribers = Infinity, uplinkMbps = Infinity } = this.#limits
    const peers = this.#streams.get(stream)
    const own = peers?.get(peer)
    if (peers === undefined && this.#streams.size >= maxStreams) return "max_streams"
    if (own === undefined && (peers?.size ?? 0) >= maxSubscribersPerStream) return "max_subscribers_per_stream"
    if (own === undefined && this.subscribers >= maxSubscribers) return "max_subscribers"
    if (this.mbps - (own?.mbps ?? 0) + mbps > uplinkMbps) return "uplink_mbps"
    return this.#subStreamExceeded(path, mbps, own)
  }

  /** @throws AvError `CapacityExceeded` with `limit` */
  admit(stream: string, peer: PeerKeyId, load: RelayLoad): void {
    const limit = this.exceeded(stream, peer, load)
    if (limit !== undefined) throw new AvError("CapacityExceeded", { limit })
    const peers = this.#streams.get(stream) ?? new Map<PeerKeyId, RelayLoad>()
    peers.set(peer, load)
    this.#streams.set(stream, peers)
  }

  /** What was measured: every subscription of the stream takes this much. */
  measured(stream: string, mbps: number): void {
    for (const load of this.#streams.get(stream)?.values() ?? []) load.mbps = mbps
  }

  release(stream: string, peer: PeerKeyId): void {
    const peers = this.#streams.get(stream)
    if (peers?.delete(peer) && peers.size === 0) this.#streams.delete(stream)
  }

  #subStreamExceeded(path: Bytes, mbps: number, own: RelayLoad | undefined): RelayLimitName | undefined {
    const { subStreams = [] } = this.#limits
    if (subStreams.length === 0) return undefined
    const promise = subStreams.find((each) => equalBytes(each.path, path))
    if (promise === undefined) return "sub_stream"
    const loads = [...this.#streams.values()].flatMap((peers) => [...peers.values()])
    const same = loads.filter((load) => load !== own && equalBytes(load.path ?? WHOLE, path))
    if (same.length >= promise.maxSubscribers) return "sub_stream_max_subscribers"
    return sum(same, (load) => load.mbps) + mbps > promise.uplinkMbps ? "sub_stream_uplink_mbps" : undefined
  }
}

function sum<T>(values: Iterable<T>, of: (value: T) => number): number {
  let total = 0
  for (const value of values) total += of(value)
  return total
}
