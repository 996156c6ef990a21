/** The public shapes of calls, capabilities, tokens and channels between the members of a room. */
import type {
  HedgeOptions,
  RetryPolicy,
  RoutingPolicy,
  RpcFailure,
  RpcHeader,
  RpcTrace,
  ServiceMetrics,
  StandardSchema,
} from "../../rpc/index.ts"
import type { Participant } from "../types.ts"

export type { RetryPolicy, RoutingPolicy, RpcFailure, ServiceMetrics, StandardSchema }

/** Somebody in the room: the participant, or its id. */
export type Who = Participant | string

/**
 * A service with typed values. Share the object between those who serve it and those who call it. Values travel as JSON unless `codec`
 * says otherwise; where a schema is missing, anything passes.
 */
export interface RpcService<Input, Output> {
  /** At most 128 of `a-z 0-9 - _ . /`. */
  name: string
  /** What is sent to the service: the request, or each item of an upload. */
  input?: StandardSchema<Input>
  /** What comes back: the answer, or each item of a download. */
  output?: StandardSchema<Output>
  codec?: { encode(value: unknown): Uint8Array; decode(bytes: Uint8Array): unknown }
}

/** Who may use one service, beside what {@link CapabilityPolicy} says: these, or those for whom the function says true. */
export type RpcAllow = readonly Who[] | ((caller: Participant) => boolean)

export interface RpcServeOptions {
  /** Default: every member whom the policy of `room.capabilities` admits. Asked on this page; a refusal is `capability-denied`. */
  allow?: RpcAllow
  /** Handlers that run at once, up to 1 024, which is the default; more wait. */
  concurrency?: number
  /** Items of an upload that may wait unread. Default 32. */
  uploadWindow?: number
}

/** What a handler knows about its call. */
export interface RpcCall {
  /** Who calls: proven by the link, whatever the request says. */
  readonly caller: Participant
  /** Its Ed25519 key. */
  readonly callerEntity: Uint8Array
  readonly headers: readonly RpcHeader[]
  /** Fires when nobody wants the result any more. */
  readonly signal: AbortSignal
  /** When the caller's time is up, on the clock of `performance.now()`, ms; null when it set no limit. */
  readonly deadlineMs: number | null
  readonly trace?: RpcTrace
}

export interface RpcServing {
  /** The name in its canonical form. */
  readonly service: string
  /** Replaces the list of {@link RpcServeOptions.allow}; calls that run are judged again. */
  allow(allow: RpcAllow | undefined): void
  /** Takes the service back. Calls that run go on; their answers are still sent. */
  dispose(): void
  /** Resolves after {@link dispose}, when the last answer has left. */
  readonly drained: Promise<void>
  [Symbol.dispose](): void
}

export interface RpcCallOptions {
  /** Patience for all attempts together, ms. Without it the callee's limit of 5 minutes holds. */
  timeoutMs?: number
  /** Cancels the call, here and at the callee. */
  signal?: AbortSignal
  headers?: Readonly<Record<string, string | Uint8Array>>
  trace?: RpcTrace
  /** Tries again after some failures. The handler may run more than once: only for calls that bear it. */
  retry?: Partial<RetryPolicy>
  /** Items of a download that may wait unread. Default 32. */
  window?: number
  /** With the target `"any"`: which of those who offer the service and admit us. Default `round-robin`. */
  policy?: RoutingPolicy
  /** With `"any"` and {@link RoomRpc.call}: asks further members when the first takes long. Several handlers may run. */
  hedge?: boolean | Partial<HedgeOptions>
}

/** Items to send: whatever `for await` takes. */
export type Items<T> = AsyncIterable<T> | Iterable<T>
/** A member, or whoever offers the service and admits us. */
export type CallTarget = Who | "any"

/**
 * Calls between the members of a room. Every failure is an `RpcError`; its `failure.kind` says what happened. Bodies are bytes (up to
 * 4 MiB, items of streams up to 64 KiB), or values of a {@link RpcService}. A received `Uint8Array` is a view: copy what you keep.
 */
export interface RoomRpc {
  /** One request, one answer. Throws `AlreadyServing`, and the errors of names. */
  serve(name: string, handler: (body: Uint8Array, call: RpcCall) => Reply<Uint8Array>, options?: RpcServeOptions): RpcServing
  serve<I, O>(service: RpcService<I, O>, handler: (input: I, call: RpcCall) => Reply<O>, options?: RpcServeOptions): RpcServing
  /** One request, many items back: the handler is an async generator, or gives anything that can be iterated. */
  serveStream(
    name: string,
    handler: (body: Uint8Array, call: RpcCall) => Items<Uint8Array>,
    options?: RpcServeOptions,
  ): RpcServing
  serveStream<I, O>(
    service: RpcService<I, O>,
    handler: (input: I, call: RpcCall) => Items<O>,
    options?: RpcServeOptions,
  ): RpcServing
  /** Many items in, one answer. */
  serveUpload(
    name: string,
    handler: (items: AsyncIterable<Uint8Array>, call: RpcCall) => Reply<Uint8Array>,
    options?: RpcServeOptions,
  ): RpcServing
  serveUpload<I, O>(
    service: RpcService<I, O>,
    handler: (items: AsyncIterable<I>, call: RpcCall) => Reply<O>,
    options?: RpcServeOptions,
  ): RpcServing
  /** Items both ways. */
  serveDuplex(
    name: string,
    handler: (items: AsyncIterable<Uint8Array>, call: RpcCall) => Items<Uint8Array>,
    options?: RpcServeOptions,
  ): RpcServing
  serveDuplex<I, O>(
    service: RpcService<I, O>,
    handler: (items: AsyncIterable<I>, call: RpcCall) => Items<O>,
    options?: RpcServeOptions,
  ): RpcServing

  call(target: CallTarget, name: string, body: Uint8Array, options?: RpcCallOptions): Promise<Uint8Array>
  call<I, O>(target: CallTarget, service: RpcService<I, O>, input: I, options?: RpcCallOptions): Promise<O>
  /** The call begins at once. Leaving the loop early cancels it at the callee. */
  callStream(target: CallTarget, name: string, body: Uint8Array, options?: RpcCallOptions): AsyncIterableIterator<Uint8Array>
  callStream<I, O>(target: CallTarget, service: RpcService<I, O>, input: I, options?: RpcCallOptions): AsyncIterableIterator<O>
  callUpload(target: CallTarget, name: string, items: Items<Uint8Array>, options?: RpcCallOptions): Promise<Uint8Array>
  callUpload<I, O>(target: CallTarget, service: RpcService<I, O>, items: Items<I>, options?: RpcCallOptions): Promise<O>
  callDuplex(
    target: CallTarget,
    name: string,
    items: Items<Uint8Array>,
    options?: RpcCallOptions,
  ): AsyncIterableIterator<Uint8Array>
  callDuplex<I, O>(
    target: CallTarget,
    service: RpcService<I, O>,
    items: Items<I>,
    options?: RpcCallOptions,
  ): AsyncIterableIterator<O>

  /** Counters and times by service, of calls made and answered. */
  readonly metrics: ReadonlyMap<string, ServiceMetrics>
}

export type Reply<T> = T | Promise<T>

/** Who may use the services of this page at all. The lists add up; without any, every member may. */
export interface CapabilityPolicy {
  participants?: readonly Who[]
  /** 16 bytes each. */
  subnets?: readonly Uint8Array[]
  /** 32 bytes each. */
  groups?: readonly Uint8Array[]
  /** Subnets and groups count only for those who prove them by certificate. Default false. */
  strict?: boolean
}

/** What this page says about itself; a member that is missing stays as it is. */
export interface CapabilityChange {
  /** At most 256 in all, each 1..192 printable ASCII characters. `subnet:<hex>` and `group:<hex>` claim membership. */
  tags?: readonly string[]
  /** At most 64 entries, 8 KiB together. */
  metadata?: Readonly<Record<string, string>>
  policy?: CapabilityPolicy
  /** Membership certificates, at most eight. */
  certificates?: readonly Uint8Array[]
}

/** What a member said about itself, as signed and not expired. */
export interface PeerCapabilities {
  readonly node: string
  /** Its Ed25519 key. */
  readonly entity: Uint8Array
  readonly tags: readonly string[]
  readonly services: readonly string[]
  readonly metadata: ReadonlyMap<string, string>
  /** Unix ms. */
  readonly expiresAt: number
}

/** Signed statements of the members: what they offer and whom they admit. */
export interface RoomCapabilities {
  /** Node id of this page: 16 hex digits. */
  readonly node: string
  /** Its Ed25519 key; what tokens and certificates name. */
  readonly entity: Uint8Array
  /** Says it to every member, at most every two seconds; here it holds at once. Throws `BadField`, `ReservedPrefix`, `AllowListTooLong`, … */
  announce(change: CapabilityChange): void
  /** Undefined until the member's announcement came. Of the local participant: the own one. */
  of(who: Who): PeerCapabilities | undefined
  /** Members that can be reached and offer the service. */
  providers(service: string): readonly Participant[]
  /** Whether the member's policy, as far as it is known here, lets this page call the service. */
  mayCall(who: Who, service: string): boolean
  /** Calls back after each change of what is known here; returns how to stop. */
  onChange(listener: () => void): () => void
  /** A certificate that `who` is in the subnet or group whose authority is this page. Lives `ttlSeconds`. */
  certify(who: Who | Uint8Array, kind: "subnet" | "group", ttlSeconds: number): Promise<Uint8Array>
  /** The subnet or group that certificates of an authority prove; without a key, of this page. */
  certifiedId(kind: "subnet" | "group", authority?: Uint8Array): Uint8Array
}

export type TokenRight = "publish" | "subscribe" | "admin"

export interface TokenRequest {
  /** Who gets the right: a member, or its Ed25519 key. */
  to: Who | Uint8Array
  /** `"*"`: every channel. */
  channel: string
  rights: readonly TokenRight[]
  /** At most a year; of delegated ones 30 days. */
  ttlSeconds: number
  /** How often it may be passed on. Default 0. */
  delegations?: number
}

/** Signed rights on channels, as chains of bytes that can be handed over in any way. */
export interface RoomTokens {
  /** On this page's own authority: counts where its key is among the roots of the channel. */
  issue(request: TokenRequest): Promise<Uint8Array>
  /** Passes on part of a chain that ends with this page. Throws `DelegationExhausted`, `DelegationNotAllowed`, `NotAuthorized`, … */
  delegate(chain: Uint8Array, request: Omit<TokenRequest, "delegations">): Promise<Uint8Array>
  /** Keeps a chain made for this page; channels show it when they need one. Throws `InvalidFormat`, `NotAuthorized`. */
  add(chain: Uint8Array): void
  /** Kills every token this page has signed so far, in the whole room. Gives the new generation. */
  revokeAll(): Promise<number>
}

export interface ChannelOptions {
  /** Whose tokens count. Members, or Ed25519 keys. Default: no token is needed, every member may publish and subscribe. */
  roots?: readonly (Who | Uint8Array)[]
  /** Messages per second accepted from one publisher. */
  maxRate?: number
}

export interface ChannelMessage {
  readonly from: Participant
  readonly data: Uint8Array
  /** Counts the messages of this publisher to this page. */
  readonly seq: number
}

/** Messages from some members to those who subscribed. Both ends check the rights; each by its own {@link ChannelOptions}. */
export interface RoomChannel {
  /** Canonical: lower case. */
  readonly name: string
  /** Tells the members that this page publishes here; {@link publish} does it too. Throws `NotAuthorized`. */
  open(): Promise<void>
  /**
   * To everybody who has subscribed by now; at most 64 KiB. Resolves when it was handed to the links: await it. Throws `NotAuthorized`,
   * `MessageTooLarge`.
   */
  publish(data: Uint8Array): Promise<void>
  /** What members publish from now on. Unread messages wait, at most 1 024, then the oldest go. */
  subscribe(options?: { signal?: AbortSignal }): AsyncIterableIterator<ChannelMessage>
  /** Members that get what is published here. */
  readonly subscribers: readonly Participant[]
  /** Members that let this page subscribe. */
  readonly publishers: readonly Participant[]
  /** Members that refused, and why: `unauthorized`, `rate-limited`, `timeout` … */
  readonly refusals: ReadonlyMap<string, string>
  /** No more publishing and no more messages; the rules of the channel are forgotten. */
  close(): void
}

/** What was refused, dropped or denied on the way of announcements, calls and channels. */
export interface ControlStats {
  /** Announcements known. */
  announcements: number
  /** Announcements and floors refused, by error. */
  rejected: Record<string, number>
  deniedByCallersGate: number
  subnetsCollapsed: number
  tokensDroppedByGeneration: number
  /** By service: requests refused here. */
  deniedByCalleesGate: Record<string, number>
  /** Frames of peers that are no members, and channel frames, dropped, by reason. */
  dropped: Record<string, number>
}
