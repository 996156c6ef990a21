/** What one session has to do with channels, in both directions. */
import type { Bytes, Milliseconds, U64 } from "../wire/types.ts"
import type { Grant, Peer } from "./channel-access.ts"
import { FailureThrottle } from "./failure-throttle.ts"

/** Channels a peer may be subscribed to, and handles it may hold open, each way. */
export const MAX_CHANNELS_PER_PEER = 1_024

/** The peer listens to a channel of ours. */
interface Subscriber {
  grant: Grant
  /** Queue group, empty for none. */
  group: string
}

/** We listen to a channel of the peer. */
interface OwnSubscription {
  state: "asked" | "active"
}

/** The peer publishes to us. */
interface InboundHandle {
  channel: string
  grant: Grant
  /** Messages left this second, where the channel has a limit. */
  allowance: number
  allowanceAt: Milliseconds
}

/** We publish to the peer. */
interface OutboundHandle {
  handle: number
  nextSeq: number
  /** `new`: the peer has to be shown our chain (again) before the next message. */
  state: "new" | "open" | "refused"
  /** Of the latest opening; answers to earlier ones no longer matter. */
  openNonce?: U64
}

/** A request that waits for its ACK. */
export interface Pending {
  kind: "subscribe" | "unsubscribe" | "publish"
  channel: string
  deadline: Milliseconds
}

export class ChannelSession {
  readonly peer: Peer
  readonly throttle: FailureThrottle
  readonly subscribers = new Map<string, Subscriber>()
  readonly own = new Map<string, OwnSubscription>()
  readonly inbound = new Map<number, InboundHandle>()
  readonly outbound = new Map<string, OutboundHandle>()
  readonly pending = new Map<U64, Pending>()
  closed = false
  #nextHandle = 1
  /** Frames of one session are handled one after the other, however long a signature takes. */
  #queue: Promise<unknown> = Promise.resolve()
  #waiting = 0

  /** @param throttle of the peer's session before this one: a new session must not be a way around it. */
  constructor(peer: Peer, throttle: FailureThrottle = new FailureThrottle()) {
    this.peer = peer
    this.throttle = throttle
  }

  /** Frames not handled yet. */
  get waiting(): number {
    return this.#waiting
  }

  newHandle(): number {
    const handle = this.#nextHandle
    this.#nextHandle = handle === 0xffffffff ? 1 : handle + 1
    return handle
  }

  inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.#waiting++
    const turn = this.#queue.then(work).finally(() => {
      this.#waiting--
    })
    this.#queue = turn.catch(() => undefined)
    return turn
  }
}

/** Bytes of a chain that was not given. */
export const NO_CHAIN: Bytes = new Uint8Array(0)
