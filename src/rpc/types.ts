/** What an application sees of calls: options, contexts, handlers, replies (control-plane 4.9). */
import type { RpcHeader, RpcHeaders } from "../wire/rpc-header.ts"
import type { Bytes, Milliseconds, NodeId, RandomBytes, U64 } from "../wire/types.ts"
import type { RpcClock } from "./clock.ts"
import type { HedgeOptions } from "./hedge.ts"
import type { RpcEvent } from "./metrics.ts"
import type { RetryPolicy } from "./retry.ts"
import type { RoutingPolicy, RpcDirectory } from "./routing.ts"
import type { RpcSink } from "./stream.ts"

/** Trace context of W3C, carried and never read. */
export interface RpcTrace {
  traceparent: string
  tracestate?: string
}

export interface RpcReply {
  headers: RpcHeader[]
  body: Bytes
}

/** What a handler knows about its call. */
export interface RpcContext {
  /** The node that the session proved, whatever any frame says. */
  caller: NodeId
  /** Its Ed25519 key. */
  callerEntity: Bytes
  callId: U64
  headers: readonly RpcHeader[]
  /** Fires when nobody wants the result any more. */
  signal: AbortSignal
  /** When the caller's time is up, on the clock of this node, milliseconds; null when it set no limit. */
  deadlineMs: Milliseconds | null
  trace?: RpcTrace
}

export type UnaryHandler = (context: RpcContext, body: Bytes) => Promise<Bytes | RpcReplyInit>
export type ServerStreamHandler = (context: RpcContext, body: Bytes, sink: RpcSink) => Promise<void>
export type ClientStreamHandler = (context: RpcContext, items: AsyncIterable<Bytes>) => Promise<Bytes | RpcReplyInit>
export type DuplexHandler = (context: RpcContext, items: AsyncIterable<Bytes>, sink: RpcSink) => Promise<void>

/** An answer with headers. */
export interface RpcReplyInit {
  headers?: RpcHeaders
  body: Bytes
}

export interface ServeOptions {
  /** Handlers that run at once; further calls wait in a queue. Up to 1 024, which is the default. */
  concurrency?: number
  /** Items of an upload that may wait unread. Default 32. */
  uploadWindow?: number
}

export interface ServeHandle {
  /** The name in canonical form. */
  readonly service: string
  /** Takes the service back. Calls that run go on; their answers are still sent. */
  dispose(): void
  /** Resolves after {@link dispose}, when the last answer has left. */
  readonly drained: Promise<void>
  [Symbol.dispose](): void
}

export interface CallOptions {
  /** The caller's patience, for all attempts together, milliseconds. Without it the callee's limit of 5 minutes holds. */
  timeoutMs?: Milliseconds
  /** Cancels the call, here and at the callee. */
  signal?: AbortSignal
  headers?: RpcHeaders
  trace?: RpcTrace
  /** Tries again after some failures. The handler may run more than once: only for calls that bear it. */
  retry?: Partial<RetryPolicy>
  /** Items of a download that may wait unread. Default 32. */
  window?: number
}

export interface ServiceCallOptions extends CallOptions {
  /** Default `round-robin`. */
  policy?: RoutingPolicy
  /** Leaves out nodes known to be down. Default true. */
  filterUnhealthy?: boolean
  /** Asks further nodes when the first takes long; unary calls only. Several handlers may run. `true` for the defaults. */
  hedge?: boolean | Partial<HedgeOptions>
}

export interface RpcUpload {
  /** The answer, or why there is none; it may come before the upload has ended. */
  readonly reply: Promise<RpcReply>
  /** Resolves when the item was handed to the session. */
  write(item: Bytes): Promise<void>
  /** Ends the upload and gives the answer. */
  finish(): Promise<RpcReply>
}

export interface RpcDuplex {
  readonly sink: RpcSink & {
    /** No more items will come from here. */
    end(): Promise<void>
    /** Gives up writing without an end. */
    abort(): void
  }
  readonly stream: AsyncIterableIterator<Bytes>
}

export interface RpcNodeOptions {
  self: { node: NodeId; entity: Bytes }
  /** The callee's gate: may this caller use this service of ours? Asked for every REQUEST of every shape. */
  admits: (service: string, caller: NodeId) => boolean
  /** Who offers what; without it only calls to a named node are possible. */
  directory?: RpcDirectory
  /** A service was registered and is not yet reachable: announce it. Throwing refuses the registration. */
  onServe?: (service: string) => void
  onUnserve?: (service: string) => void
  /** One event per finished call. */
  onCall?: (event: RpcEvent) => void
  clock?: RpcClock
  random?: RandomBytes
  /** Longest run of a handler whose caller set no limit. Default 300 000 ms. */
  maxCallMs?: Milliseconds
}
