/** Remote procedure calls of one node: serving, calling, and the sessions they run on (control-plane 4.9). */
import { secureRandom } from "../crypto/random.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import { decodeRpc, readRpcHead } from "../wire/rpc-frame.ts"
import { toRpcHeaders } from "../wire/rpc-header.ts"
import { canonicalServiceName } from "../wire/service-name.ts"
import type { Bytes, NodeId, RandomBytes, U64 } from "../wire/types.ts"
import { MAX_CALL_MS, type RpcClock, systemClock } from "./clock.ts"
import { deferred } from "./deferred.ts"
import { DEFAULT_HEDGE, type HedgeOptions, hedged } from "./hedge.ts"
import { RpcLink, type RpcSession } from "./link.ts"
import { RpcMetrics } from "./metrics.ts"
import { type CallerHost, OutgoingCall } from "./outgoing-call.ts"
import { RetrySchedule } from "./retry.ts"
import { Router } from "./routing.ts"
import { RpcServer } from "./server.ts"
import { type RunHandler, Service } from "./service.ts"
import { type RpcShape, uploads } from "./shape.ts"
import { RpcError, type RpcFailure } from "./status.ts"
import type {
  CallOptions,
  ClientStreamHandler,
  DuplexHandler,
  RpcDuplex,
  RpcNodeOptions,
  RpcReply,
  RpcUpload,
  ServeHandle,
  ServeOptions,
  ServerStreamHandler,
  ServiceCallOptions,
  UnaryHandler,
} from "./types.ts"

/** What the owner of a session tells the calls on it. */
export interface RpcInlet {
  /** The payload of one control frame of type 0x20; calls keep views of it, so it must not change afterwards. */
  receive(payload: Bytes): void
  /** The session's buffer fell to 256 KiB or less. */
  drained(): void
  /** The session ended. Its calls fail with `transport`, its handlers are aborted. */
  close(): void
}

const DEFAULT_MAX_CALL_MS = 300_000
const EMPTY = new Uint8Array()

type Pick = () => NodeId | RpcFailure

export class RpcNode {
  readonly metrics = new RpcMetrics()
  readonly #options: RpcNodeOptions
  readonly #clock: RpcClock
  readonly #randomBytes: RandomBytes
  readonly #server: RpcServer
  readonly #router: Router
  readonly #calls = new Map<U64, OutgoingCall>()
  /** Per node, the latest session last: new calls go there, calls that run stay where they are. */
  readonly #links = new Map<NodeId, RpcLink[]>()
  readonly #host: CallerHost
  #idBytes: Bytes = EMPTY

  constructor(options: RpcNodeOptions) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#randomBytes = options.random ?? secureRandom
    this.#router = new Router(() => this.#random())
    const { onCall } = options
    this.#server = new RpcServer({
      admits: options.admits,
      clock: this.#clock,
      metrics: this.metrics,
      maxCallMs: Math.min(MAX_CALL_MS, options.maxCallMs ?? DEFAULT_MAX_CALL_MS),
      onCall,
    })
    this.#host = {
      clock: this.#clock,
      linkTo: (node) => this.#linkTo(node),
      newCallId: () => this.#newCallId(),
      register: (call, callId) => this.#calls.set(callId, call),
      forget: (callId) => this.#calls.delete(callId),
      metricsOf: (service) => this.metrics.of(service),
      onCall,
    }
  }

  /** Lets calls run over a session. Several sessions with one node are fine. */
  attach(session: RpcSession): RpcInlet {
    const link: RpcLink = new RpcLink(session, () => this.#close(link))
    const links = this.#links.get(session.peer)
    if (links === undefined) this.#links.set(session.peer, [link])
    else links.push(link)
    return {
      receive: (payload) => this.#receive(link, payload),
      drained: () => link.drained(),
      close: () => this.#close(link),
    }
  }

  serve(service: string, handler: UnaryHandler, options?: ServeOptions): ServeHandle {
    return this.#serve(service, "unary", (context, body) => handler(context, body), options)
  }

  serveStreaming(service: string, handler: ServerStreamHandler, options?: ServeOptions): ServeHandle {
    return this.#serve(
      service,
      "server-stream",
      async (context, body, _items, sink) => {
        await handler(context, body, sink)
        return undefined
      },
      options,
    )
  }

  serveClientStream(service: string, handler: ClientStreamHandler, options?: ServeOptions): ServeHandle {
    return this.#serve(service, "client-stream", (context, _body, items) => handler(context, items), options)
  }

  serveDuplex(service: string, handler: DuplexHandler, options?: ServeOptions): ServeHandle {
    return this.#serve(
      service,
      "duplex",
      async (context, _body, items, sink) => {
        await handler(context, items, sink)
        return undefined
      },
      options,
    )
  }

  /** Calls a service of a node. Whether this node may is for the callee to say. */
  call(target: NodeId, service: string, body: Bytes, options: CallOptions = {}): Promise<RpcReply> {
    return this.#unary(() => target, service, body, options)
  }

  /** Calls a service of whichever node offers it and lets this node in. */
  callService(service: string, body: Bytes, options: ServiceCallOptions = {}): Promise<RpcReply> {
    const { hedge } = options
    if (hedge === undefined || hedge === false) return this.#unary(this.#picker(service, options), service, body, options)
    return this.#hedged(service, body, options, { ...DEFAULT_HEDGE, ...(hedge === true ? {} : hedge) })
  }

  callStreaming(target: NodeId, service: string, body: Bytes, options: CallOptions = {}): AsyncIterableIterator<Bytes> {
    return this.#start(() => target, service, "server-stream", body, options).items
  }

  callServiceStreaming(service: string, body: Bytes, options: ServiceCallOptions = {}): AsyncIterableIterator<Bytes> {
    return this.#start(this.#picker(service, options), service, "server-stream", body, options).items
  }

  callClientStream(target: NodeId, service: string, options: CallOptions = {}): RpcUpload {
    return upload(this.#start(() => target, service, "client-stream", EMPTY, options))
  }

  callServiceClientStream(service: string, options: ServiceCallOptions = {}): RpcUpload {
    return upload(this.#start(this.#picker(service, options), service, "client-stream", EMPTY, options))
  }

  callDuplex(target: NodeId, service: string, options: CallOptions = {}): RpcDuplex {
    return duplex(this.#start(() => target, service, "duplex", EMPTY, options))
  }

  callServiceDuplex(service: string, options: ServiceCallOptions = {}): RpcDuplex {
    return duplex(this.#start(this.#picker(service, options), service, "duplex", EMPTY, options))
  }

  /** Nodes that a call runs with, in either direction: their sessions are in use. */
  get partners(): Set<NodeId> {
    const called = [...this.#calls.values()].flatMap(({ link }) => (link === undefined ? [] : [link.peer]))
    return new Set([...called, ...this.#server.callers])
  }

  /** What this node lets others do has changed: calls that run are judged again. */
  policyChanged(): void {
    this.#server.review()
  }

  #serve(input: string, shape: RpcShape, run: RunHandler, options: ServeOptions = {}): ServeHandle {
    const name = canonicalServiceName(input)
    if (this.#server.has(name)) throw new AvError("AlreadyServing", { service: name })
    const { concurrency = 1_024, uploadWindow = 32 } = options
    const service = new Service({ name, shape, run, concurrency, uploadWindow, metrics: this.metrics.of(name) })
    // Announced before it can be reached: the gate has a policy for the first call.
    this.#options.onServe?.(name)
    this.#server.add(service)
    const { promise: drained, resolve } = deferred<void>()
    let disposed = false
    const dispose = () => {
      if (disposed) return
      disposed = true
      this.#server.remove(service)
      service.close(resolve)
      this.#options.onUnserve?.(name)
    }
    return { service: name, dispose, drained, [Symbol.dispose]: dispose }
  }

  async #unary(pick: Pick, service: string, body: Bytes, options: CallOptions): Promise<RpcReply> {
    const schedule = this.#schedule(options)
    const deadlineAt = this.#deadline(options)
    for (;;) {
      const call = this.#begin(pick, service, "unary", body, options, deadlineAt, schedule)
      try {
        return await call.reply
      } catch (error) {
        if (!(error instanceof RpcError)) throw error
        // Until something was sent, the call has retried by itself.
        if (!call.sent || schedule === undefined) throw error
        const now = this.#clock.now()
        const step = schedule.next(error.failure, now)
        if (!step.retry) throw step.failure === error.failure ? error : new RpcError(step.failure)
        if (now + step.afterMs >= deadlineAt) throw error
        await this.#pause(step.afterMs, options.signal)
      }
    }
  }

  /** Attempts at different nodes, all of which passed the caller's gate (D21). */
  #hedged(service: string, body: Bytes, options: ServiceCallOptions, { delayMs, hedges }: HedgeOptions): Promise<RpcReply> {
    const asked = new Set<NodeId>()
    const pick = this.#picker(service, options, asked)
    const attempts = Array.from({ length: 1 + hedges }, (_, index) => async (signal: AbortSignal) => {
      const target = pick()
      if (typeof target !== "string") throw new RpcError(target)
      // Fewer nodes than attempts: asking one of them twice helps nobody.
      if (index > 0 && asked.has(target)) throw new RpcError({ kind: "no-route", target, reason: "asked already" })
      asked.add(target)
      const either = options.signal === undefined ? signal : AbortSignal.any([signal, options.signal])
      return this.#unary(() => target, service, body, { ...options, signal: either })
    })
    return hedged(attempts, delayMs, this.#clock)
  }

  #start(pick: Pick, service: string, shape: RpcShape, body: Bytes, options: CallOptions): OutgoingCall {
    return this.#begin(pick, service, shape, body, options, this.#deadline(options), this.#schedule(options))
  }

  #begin(
    pick: Pick,
    input: string,
    shape: RpcShape,
    body: Bytes,
    options: CallOptions,
    deadlineAt: number,
    schedule: RetrySchedule | undefined,
  ): OutgoingCall {
    const { trace } = options
    const headers = toRpcHeaders({ ...options.headers, ...trace })
    return new OutgoingCall(this.#host, {
      service: canonicalServiceName(input),
      shape,
      body,
      end: !uploads(shape),
      headers,
      trace: trace !== undefined,
      deadlineAt,
      window: options.window ?? 0,
      signal: options.signal,
      pick,
      schedule,
    })
  }

  #picker(
    input: string,
    { policy = { kind: "round-robin" }, filterUnhealthy = true }: ServiceCallOptions,
    avoid?: Set<NodeId>,
  ): Pick {
    const { directory } = this.#options
    const service = canonicalServiceName(input)
    return () => {
      if (directory === undefined) return { kind: "no-route", target: null, reason: "no directory of services" }
      const result = directory.candidates(service, filterUnhealthy)
      if (result.kind === "no-route") return { kind: "no-route", target: null, reason: `nobody here offers ${service}` }
      if (result.kind === "capability-denied") {
        this.metrics.of(service).add("capability_denied_caller_side")
        return result
      }
      const fresh = result.nodes.filter((node) => avoid?.has(node) !== true)
      return this.#router.choose(policy, fresh.length > 0 ? fresh : result.nodes, (node) => directory.rttMs?.(node))
    }
  }

  #schedule({ retry }: CallOptions): RetrySchedule | undefined {
    return retry && new RetrySchedule(retry, this.#clock.now(), () => this.#random())
  }

  #deadline({ timeoutMs }: CallOptions): number {
    return timeoutMs === undefined ? Number.POSITIVE_INFINITY : this.#clock.now() + Math.min(MAX_CALL_MS, Math.max(0, timeoutMs))
  }

  #pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        stop()
        signal?.removeEventListener("abort", done)
        resolve()
      }
      const stop = this.#clock.after(ms, done)
      signal?.addEventListener("abort", done)
      if (signal?.aborted === true) done()
    })
  }

  #receive(link: RpcLink, payload: Bytes): void {
    if (!link.open) return
    let frame: ReturnType<typeof decodeRpc>
    try {
      frame = decodeRpc(payload)
    } catch (error) {
      if (!isAvError(error)) throw error
      const head = readRpcHead(payload)
      if (head?.kind === "request") this.#server.undecodable(link, head.callId, error.message)
      else this.metrics.of("").add("frames_ignored_total")
      return
    }
    if (frame.kind !== "response" && frame.kind !== "request-grant" && frame.kind !== "deadline-exceeded") {
      this.#server.receive(link, frame, payload.length)
      return
    }
    const call = this.#calls.get(frame.callId)
    if (call === undefined) this.metrics.of("").add("frames_ignored_total")
    else if (call.link !== link) this.metrics.of(call.service).add("rpc_response_wrong_peer_total")
    else call.receive(frame, payload.length)
  }

  #close(link: RpcLink): void {
    if (!link.open) return
    const left = (this.#links.get(link.peer) ?? []).filter((other) => other !== link)
    if (left.length === 0) this.#links.delete(link.peer)
    else this.#links.set(link.peer, left)
    link.close()
    for (const call of [...this.#calls.values()]) if (call.link === link) call.closed("the session ended")
    this.#server.closed(link, left.length === 0)
  }

  #linkTo(node: NodeId): RpcLink | undefined {
    const links = this.#links.get(node)
    const known = links?.findLast(({ session }) => session.direct === true) ?? links?.at(-1)
    return known ?? (node === this.#options.self.node ? this.#loopback() : undefined)
  }

  /** A session with oneself: the same path, gates included. */
  #loopback(): RpcLink {
    const { node, entity } = this.#options.self
    const send = (payload: Bytes) => queueMicrotask(() => this.#receive(link, payload))
    const link = new RpcLink({ peer: node, entity, send, bufferedAmount: () => 0 })
    this.#links.set(node, [link])
    return link
  }

  #newCallId(): U64 {
    for (;;) {
      // Drawn in stock: asking the system for eight bytes costs as much as the rest of a small call.
      if (this.#idBytes.length < 8) this.#idBytes = this.#randomBytes(512)
      const id = new DataView(this.#idBytes.buffer, this.#idBytes.byteOffset, 8).getBigUint64(0, true)
      this.#idBytes = this.#idBytes.subarray(8)
      if (id !== 0n && !this.#calls.has(id)) return id
    }
  }

  #random(): number {
    const bytes = this.#randomBytes(4)
    return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true) / 2 ** 32
  }
}

function upload(call: OutgoingCall): RpcUpload {
  return {
    reply: call.reply,
    write: (item) => call.producer.write(item),
    async finish() {
      // The callee may answer before it has read everything: then the answer counts, not the end that found no reader.
      call.producer.end().catch(() => {})
      return call.reply
    },
  }
}

function duplex(call: OutgoingCall): RpcDuplex {
  return {
    sink: {
      write: (item) => call.producer.write(item),
      end: () => call.producer.end(),
      abort() {
        call.producer.close(new RpcError({ kind: "cancelled" }))
        call.dropUpload()
      },
    },
    stream: call.items,
  }
}
