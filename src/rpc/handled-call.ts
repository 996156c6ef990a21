/** A call being answered: carries out what its machine decides and runs the handler. */
import { encodeRpc, type RpcFrame, type RpcResponse } from "../wire/rpc-frame.ts"
import { toRpcHeaders } from "../wire/rpc-header.ts"
import type { Bytes } from "../wire/types.ts"
import type { RpcClock } from "./clock.ts"
import type { RpcLink } from "./link.ts"
import type { RpcEvent } from "./metrics.ts"
import type { AbortReason, ServerAction, ServerCall } from "./server-call.ts"
import type { Service } from "./service.ts"
import { downloads, uploads } from "./shape.ts"
import {
  FIRST_APP_STATUS,
  failureOfStatus,
  RPC_STATUS,
  RpcAppError,
  RpcError,
  type RpcFailure,
  RpcProtocolError,
} from "./status.ts"
import { ItemQueue, Producer } from "./stream.ts"
import type { RpcContext, RpcReplyInit } from "./types.ts"

interface HandledCallHost {
  clock: RpcClock
  context(signal: AbortSignal): RpcContext
  /** The call has its outcome; its id is free again. */
  over(event: RpcEvent): void
}

const EMPTY = new Uint8Array()

export class HandledCall {
  readonly service: Service
  readonly link: RpcLink
  readonly #machine: ServerCall
  readonly #host: HandledCallHost
  readonly #abort = new AbortController()
  readonly #items: ItemQueue
  readonly #sink: Producer
  readonly #stopTimer: () => void
  #forgetSpace: (() => void) | undefined
  #handling = false
  #answering = false
  #bytesIn: number
  #bytesOut = 0

  constructor(machine: ServerCall, service: Service, link: RpcLink, size: number, host: HandledCallHost) {
    this.#machine = machine
    this.service = service
    this.link = link
    this.#bytesIn = size
    this.#host = host
    this.#items = new ItemQueue({
      taken: () => this.#perform(machine.consumed()),
      idle: () => this.#perform(machine.idle()),
      // A handler that stops reading early takes no more credit: the caller's upload comes to rest by itself.
      left: () => {},
    })
    this.#sink = new Producer({
      ready: () => this.#ready(),
      write: (item) => this.#perform(machine.write(item)),
      end: (item) => this.#perform(machine.succeed(item)),
    })
    this.#stopTimer = host.clock.after(machine.deadlineAt - machine.startedAt, () => this.#perform(machine.expire()))
  }

  get over(): boolean {
    return this.#machine.over
  }

  admit(): void {
    this.#perform(this.#machine.admit())
  }

  receive(frame: RpcFrame, size: number): void {
    this.#bytesIn += size
    if (frame.kind === "chunk") this.service.metrics.add("streaming_chunks_total")
    this.#perform(this.#machine.receive(frame))
  }

  revoke(): void {
    this.#perform(this.#machine.revoke(`capability denied: nrpc:${this.service.name}`))
  }

  closed(): void {
    this.#perform(this.#machine.closed())
  }

  /** Runs the handler; `settled` is called when it has returned, also long after the call is over. */
  start(settled: () => void): void {
    if (!this.#machine.start()) {
      settled()
      return
    }
    this.#handling = true
    const { metrics } = this.service
    const startedAt = this.#host.clock.now()
    metrics.add("handler_invocations_total")
    void this.#run().finally(() => {
      metrics.handling.observe(this.#host.clock.now() - startedAt)
      this.#handling = false
      this.#leave()
      settled()
    })
  }

  async #run(): Promise<void> {
    const { shape, request } = this.#machine
    try {
      const body = uploads(shape) ? EMPTY : request.body
      const result = await this.service.run(this.#host.context(this.#abort.signal), body, this.#items, this.#sink)
      if (downloads(shape)) await this.#sink.end()
      else this.#answer(result ?? EMPTY)
    } catch (error) {
      // A handler may well fail over its own abort: the outcome is decided by then.
      if (this.over) return
      this.service.metrics.add("handler_errors_total")
      this.#perform(this.#machine.fail(...statusOf(error)))
    }
  }

  #answer(result: Bytes | RpcReplyInit): void {
    const { body, headers = {} } = result instanceof Uint8Array ? { body: result } : result
    this.#perform(this.#machine.succeed(body, toRpcHeaders(headers)))
  }

  #perform(actions: readonly ServerAction[]): void {
    for (const action of actions) {
      switch (action.type) {
        case "send":
          if (action.frame.kind === "response") this.service.metrics.add("streaming_chunks_total")
          this.#bytesOut += this.link.send(action.frame)
          break
        case "reply":
          this.#reply(action.frame)
          break
        case "item":
          this.#items.push(action.body)
          break
        case "upload-end":
          this.#items.end()
          break
        case "writable":
          this.#sink.pump()
          break
        case "abort":
          this.#stop(action.reason)
          break
        case "finished":
          this.#finished(action.status)
          break
      }
    }
  }

  /** Encoded at once, sent by the service's one loop. */
  #reply(frame: RpcResponse): void {
    const bytes = encodeRpc(frame)
    this.#bytesOut += bytes.length
    this.#answering = true
    const queued = this.service.drainer.push(this.link, bytes, () => {
      this.#answering = false
      this.#leave()
    })
    if (!queued) this.service.metrics.add("rpc_responses_dropped_total")
  }

  #ready(): boolean {
    if (!this.#machine.canWrite) return false
    if (this.link.hasSpace) return true
    this.#forgetSpace ??= this.link.whenSpace(() => {
      this.#forgetSpace = undefined
      this.#sink.pump()
    })
    return false
  }

  #stop(reason: AbortReason): void {
    const error = new RpcError(failureOfAbort(reason, this.link.peer, this.service.name))
    this.#abort.abort(error)
    this.#items.end(error)
    this.#sink.close(error)
  }

  #finished(status: number): void {
    this.#stopTimer()
    this.#forgetSpace?.()
    this.service.skip(this)
    const { service, peer } = { service: this.service.name, peer: this.link.peer }
    // An error costs a stack trace: none for calls that have nothing to wake.
    if (this.#machine.shape !== "unary") {
      const cancelled = new RpcError({ kind: "cancelled" })
      this.#items.end(cancelled)
      this.#sink.close(cancelled)
    }
    const outcome = status === RPC_STATUS.Ok ? "ok" : failureOfStatus(status, "", peer, service).kind
    const durationMs = this.#host.clock.now() - this.#machine.startedAt
    this.#host.over({
      direction: "in",
      peer,
      service,
      status,
      outcome,
      durationMs,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
    })
    this.#leave()
  }

  #leave(): void {
    if (this.over && !this.#handling && !this.#answering) this.service.leave(this)
  }
}

function statusOf(error: unknown): [number, string] {
  const message = error instanceof Error ? error.message : String(error)
  if (error instanceof RpcProtocolError) return [error.status, message]
  if (!(error instanceof RpcAppError)) return [RPC_STATUS.Internal, message]
  const valid = Number.isInteger(error.status) && error.status >= FIRST_APP_STATUS && error.status <= 0xffff
  return valid ? [error.status, message] : [RPC_STATUS.Internal, `no application status: ${error.status}`]
}

function failureOfAbort(reason: AbortReason, peer: string, service: string): RpcFailure {
  switch (reason) {
    case "cancelled":
      return { kind: "cancelled" }
    case "deadline":
      return { kind: "timeout", elapsedMs: 0 }
    case "transport":
      return { kind: "transport", message: "the session ended" }
    case "denied":
      return { kind: "capability-denied", target: peer, capability: service }
    case "protocol":
      return { kind: "transport", message: "the caller broke the protocol" }
  }
}
