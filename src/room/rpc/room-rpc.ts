/** `room.rpc`: services and calls as an application holds them. The work is done by the {@link ControlPlane}. */
import type { CallOptions, RpcContext, RpcSink, ServeHandle, ServiceCallOptions, ServiceMetrics } from "../../rpc/index.ts"
import { AvError } from "../../wire/errors.ts"
import { canonicalServiceName } from "../../wire/service-name.ts"
import type { Bytes, NodeId } from "../../wire/types.ts"
import { idOf } from "./allow-lists.ts"
import type { ControlPlane } from "./control-plane.ts"
import { type ServiceCodec, serviceCodec } from "./service-codec.ts"
import { feed, laterItems, readItems, readUpload } from "./streams.ts"
import type {
  CallTarget,
  Items,
  RoomRpc,
  RpcCall,
  RpcCallOptions,
  RpcServeOptions,
  RpcService,
  RpcServing,
  Who,
} from "./types.ts"

/** The overloads of {@link RoomRpc} tell applications which types go together; here every value is unknown. */
type Service = string | RpcService<unknown, unknown>

class RpcFace {
  readonly #plane: ControlPlane

  constructor(plane: ControlPlane) {
    this.#plane = plane
  }

  get metrics(): ReadonlyMap<string, ServiceMetrics> {
    return new Map(this.#plane.rpc.metrics.entries())
  }

  serve(service: Service, handler: (input: unknown, call: RpcCall) => unknown, options: RpcServeOptions = {}): RpcServing {
    const codec = serviceCodec(service)
    return this.#serving(options, () =>
      this.#rpc.serve(
        codec.name,
        async (context, body) => codec.writeOutput(await handler(await codec.readInput(body), this.#call(context))),
        options,
      ),
    )
  }

  serveStream(
    service: Service,
    handler: (input: unknown, call: RpcCall) => Items<unknown>,
    options: RpcServeOptions = {},
  ): RpcServing {
    const codec = serviceCodec(service)
    return this.#serving(options, () =>
      this.#rpc.serveStreaming(
        codec.name,
        async (context, body, sink) =>
          download(handler(await codec.readInput(body), this.#call(context)), codec, sink, context.signal),
        options,
      ),
    )
  }

  serveUpload(
    service: Service,
    handler: (items: AsyncIterable<unknown>, call: RpcCall) => unknown,
    options: RpcServeOptions = {},
  ): RpcServing {
    const codec = serviceCodec(service)
    return this.#serving(options, () =>
      this.#rpc.serveClientStream(
        codec.name,
        async (context, items) =>
          codec.writeOutput(
            await handler(
              readUpload(items, (item) => codec.readInput(item)),
              this.#call(context),
            ),
          ),
        options,
      ),
    )
  }

  serveDuplex(
    service: Service,
    handler: (items: AsyncIterable<unknown>, call: RpcCall) => Items<unknown>,
    options: RpcServeOptions = {},
  ): RpcServing {
    const codec = serviceCodec(service)
    return this.#serving(options, () =>
      this.#rpc.serveDuplex(
        codec.name,
        async (context, items, sink) => {
          const values = readUpload(items, (item) => codec.readInput(item))
          return download(handler(values, this.#call(context)), codec, sink, context.signal)
        },
        options,
      ),
    )
  }

  async call(target: CallTarget, service: Service, input: unknown, options: RpcCallOptions = {}): Promise<unknown> {
    const codec = serviceCodec(service)
    const body = codec.writeInput(input)
    const node = this.#target(target)
    await this.#reach(node, codec, options)
    const rpc = this.#rpc
    const reply = await (node === undefined
      ? rpc.callService(codec.name, body, options)
      : rpc.call(node, codec.name, body, options))
    return codec.readOutput(reply.body)
  }

  callStream(target: CallTarget, service: Service, input: unknown, options: RpcCallOptions = {}): AsyncIterableIterator<unknown> {
    const codec = serviceCodec(service)
    const body = codec.writeInput(input)
    const node = this.#target(target)
    const begin = () => this.#download(node, codec, body, options)
    if (this.#isNear(node, codec)) return begin()
    return laterItems(this.#reach(node, codec, options).then(begin))
  }

  #download(node: NodeId | undefined, codec: ServiceCodec, body: Bytes, options: RpcCallOptions): AsyncIterableIterator<unknown> {
    const rpc = this.#rpc
    const items =
      node === undefined
        ? rpc.callServiceStreaming(codec.name, body, options)
        : rpc.callStreaming(node, codec.name, body, options)
    return readItems(items, (item) => codec.readOutput(item))
  }

  async callUpload(target: CallTarget, service: Service, items: Items<unknown>, options: RpcCallOptions = {}): Promise<unknown> {
    const codec = serviceCodec(service)
    const node = this.#target(target)
    await this.#reach(node, codec, options)
    const own = cancellable(options)
    const rpc = this.#rpc
    const upload =
      node === undefined
        ? rpc.callServiceClientStream(codec.name, own.options)
        : rpc.callClientStream(node, codec.name, own.options)
    let answered = false
    upload.reply.then(
      () => (answered = true),
      () => (answered = true),
    )
    try {
      await feed(items, (item) => upload.write(codec.writeInput(item)), upload.reply)
    } catch (error) {
      // A write fails after the answer: then the answer says more. Otherwise it was the application's source.
      await Promise.resolve()
      if (!answered) {
        own.cancel()
        upload.reply.catch(() => undefined)
        throw error
      }
    }
    const { body } = await upload.finish()
    return codec.readOutput(body)
  }

  callDuplex(
    target: CallTarget,
    service: Service,
    items: Items<unknown>,
    options: RpcCallOptions = {},
  ): AsyncIterableIterator<unknown> {
    const codec = serviceCodec(service)
    const node = this.#target(target)
    const begin = () => this.#duplex(node, codec, items, options)
    if (this.#isNear(node, codec)) return begin()
    return laterItems(this.#reach(node, codec, options).then(begin))
  }

  #duplex(
    node: NodeId | undefined,
    codec: ServiceCodec,
    items: Items<unknown>,
    options: RpcCallOptions,
  ): AsyncIterableIterator<unknown> {
    const own = cancellable(options)
    const rpc = this.#rpc
    const { sink, stream } =
      node === undefined ? rpc.callServiceDuplex(codec.name, own.options) : rpc.callDuplex(node, codec.name, own.options)
    let stop: () => void = () => {}
    const over = new Promise<void>((resolve) => {
      stop = resolve
    })
    let broken: { error: unknown } | undefined
    feed(items, (item) => sink.write(codec.writeInput(item)), over).then(
      () => sink.end().catch(() => undefined),
      (error: unknown) => {
        // Either the call is over, and the reader hears why, or the source failed: then that is why.
        broken = { error }
        own.cancel()
      },
    )
    const downloaded = readItems(stream, (item) => codec.readOutput(item))
    const reading: AsyncIterableIterator<unknown> = {
      async next() {
        try {
          const step = await downloaded.next()
          if (step.done === true) stop()
          return step
        } catch (error) {
          stop()
          const cancelledByUs = own.cancelled && broken !== undefined
          throw cancelledByUs ? broken?.error : error
        }
      },
      async return() {
        // Before the upload stops: its end would look like success.
        own.cancel()
        stop()
        await downloaded.return?.()
        return { done: true, value: undefined }
      },
      [Symbol.asyncIterator]: () => reading,
    }
    return reading
  }

  /** True when the call needs to wait for nobody. */
  #isNear(node: NodeId | undefined, { name }: ServiceCodec): boolean {
    const plane = this.#plane
    if (node === undefined) return plane.isReachable(canonicalServiceName(name))
    return node === plane.host.signer.nodeId || plane.session(node) !== undefined
  }

  async #reach(node: NodeId | undefined, codec: ServiceCodec, { timeoutMs, signal }: RpcCallOptions): Promise<void> {
    if (this.#isNear(node, codec) || signal?.aborted === true) return
    const plane = this.#plane
    const reached =
      node === undefined ? plane.reachAny(canonicalServiceName(codec.name), timeoutMs) : plane.reach(node, timeoutMs)
    await new Promise<void>((resolve) => {
      const done = () => {
        signal?.removeEventListener("abort", done)
        resolve()
      }
      signal?.addEventListener("abort", done)
      reached.then(done, done)
    })
  }

  get #rpc() {
    if (this.#plane.closed) throw new AvError("RoomClosed")
    return this.#plane.rpc
  }

  #serving({ allow }: RpcServeOptions, register: () => ServeHandle): RpcServing {
    const { allowed, rpc } = this.#plane
    const handle = register()
    // Nothing can have arrived in between: requests come with later tasks.
    allowed.set(handle.service, allow)
    return {
      service: handle.service,
      drained: handle.drained,
      allow(list) {
        allowed.set(handle.service, list)
        rpc.policyChanged()
      },
      dispose: () => handle.dispose(),
      [Symbol.dispose]: () => handle.dispose(),
    }
  }

  #call(context: RpcContext): RpcCall {
    const { caller: node, callerEntity, headers, signal, deadlineMs, trace } = context
    const caller = this.#plane.participant(node)
    if (caller === undefined) throw new AvError("MemberNotFound", { node })
    return { caller, callerEntity, headers, signal, deadlineMs, ...(trace === undefined ? {} : { trace }) }
  }

  /** Undefined: any. */
  #target(target: CallTarget): NodeId | undefined {
    if (target === "any") return undefined
    return nodeOf(this.#plane, target)
  }
}

/** The node behind a participant, ourselves included. @throws AvError `MemberNotFound` */
export function nodeOf(plane: ControlPlane, who: Who): NodeId {
  const { signer } = plane.host
  const id = idOf(who)
  if (id === signer.keyId) return signer.nodeId
  const node = plane.host.participant(id) === undefined ? undefined : plane.host.nodeOf(id)
  if (node === undefined) throw new AvError("MemberNotFound", { key_id: id })
  return node
}

export function createRoomRpc(plane: ControlPlane): RoomRpc {
  return new RpcFace(plane) as RoomRpc
}

async function download(items: Items<unknown>, codec: ServiceCodec, sink: RpcSink, signal: AbortSignal): Promise<void> {
  const over = new Promise<void>((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener("abort", () => resolve(), { once: true })
  })
  await feed(items, (item) => sink.write(codec.writeOutput(item)), over)
}

/** Options with a signal of our own beside the application's. */
function cancellable(options: RpcCallOptions): {
  options: CallOptions & ServiceCallOptions
  cancelled: boolean
  cancel(): void
} {
  const controller = new AbortController()
  const signal = options.signal === undefined ? controller.signal : AbortSignal.any([controller.signal, options.signal])
  return {
    options: { ...options, signal },
    get cancelled() {
      return controller.signal.aborted
    },
    cancel: () => controller.abort(),
  }
}
