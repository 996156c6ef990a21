/** A call being made: finds a session, opens the call, carries out what its machine decides. */
import type { RpcFrame } from "../wire/rpc-frame.ts"
import type { RpcHeader } from "../wire/rpc-header.ts"
import type { Bytes, Milliseconds, NodeId, U64 } from "../wire/types.ts"
import { type ClientAction, ClientCall } from "./client-call.ts"
import type { RpcClock } from "./clock.ts"
import { deferred } from "./deferred.ts"
import type { RpcLink } from "./link.ts"
import type { RpcEvent, ServiceMetrics } from "./metrics.ts"
import type { RetrySchedule } from "./retry.ts"
import type { RpcShape } from "./shape.ts"
import { RPC_STATUS, RpcError, type RpcFailure } from "./status.ts"
import { ItemQueue, Producer } from "./stream.ts"
import type { RpcReply } from "./types.ts"

interface CallPlan {
  service: string
  shape: RpcShape
  body: Bytes
  /** `body` is the whole upload. */
  end: boolean
  headers: RpcHeader[]
  trace: boolean
  deadlineAt: Milliseconds
  window: number
  signal: AbortSignal | undefined
  /** The node to ask, chosen anew for every attempt. */
  pick(): NodeId | RpcFailure
  /** Attempts before the first frame was sent share it with those after. */
  schedule: RetrySchedule | undefined
}

export interface CallerHost {
  clock: RpcClock
  linkTo(node: NodeId): RpcLink | undefined
  newCallId(): U64
  register(call: OutgoingCall, callId: U64): void
  forget(callId: U64): void
  metricsOf(service: string): ServiceMetrics
  onCall?: ((event: RpcEvent) => void) | undefined
}

export class OutgoingCall {
  readonly items: ItemQueue
  readonly producer: Producer
  readonly reply: Promise<RpcReply>
  readonly #plan: CallPlan
  readonly #host: CallerHost
  readonly #metrics: ServiceMetrics
  readonly #startedAt: Milliseconds
  readonly #stopTimer: () => void
  readonly #settle: { resolve(reply: RpcReply): void; reject(error: RpcError): void }
  #call: ClientCall | undefined
  #link: RpcLink | undefined
  #wake: (() => void) | undefined
  #forgetSpace: (() => void) | undefined
  #over = false
  #bytesIn = 0
  #bytesOut = 0

  constructor(host: CallerHost, plan: CallPlan) {
    this.#host = host
    this.#plan = plan
    this.#metrics = host.metricsOf(plan.service)
    this.#startedAt = host.clock.now()
    const { promise, resolve, reject } = deferred<RpcReply>()
    promise.catch(() => {})
    this.reply = promise
    this.#settle = { resolve, reject }
    this.items = new ItemQueue({
      taken: () => this.#step((call) => call.consumed()),
      idle: () => this.#step((call) => call.idle()),
      left: () => this.#leave((call) => call.dropDownload()),
    })
    this.producer = new Producer({
      ready: () => this.#ready(),
      write: (item) => this.#step((call) => call.write(item)),
      end: (item) => this.#step((call) => call.end(item)),
    })
    this.#metrics.add("calls_total")
    this.#metrics.add("in_flight")
    plan.signal?.addEventListener("abort", this.cancel)
    this.#stopTimer = host.clock.after(plan.deadlineAt - this.#startedAt, () => this.#expire())
    if (plan.signal?.aborted === true) this.cancel()
    else void this.#run()
  }

  /** True once a frame went out: from then on another attempt may run the handler twice. */
  get sent(): boolean {
    return this.#call !== undefined
  }

  get service(): string {
    return this.#plan.service
  }

  get link(): RpcLink | undefined {
    return this.#link
  }

  readonly cancel = (): void => {
    if (this.#call === undefined) this.#finish({ kind: "cancelled" })
    else this.#step((call) => call.cancel())
  }

  /** The writer gives up without an end. */
  dropUpload(): void {
    this.#leave((call) => call.dropUpload())
  }

  receive(frame: RpcFrame, size: number): void {
    this.#bytesIn += size
    if (frame.kind === "response") this.#metrics.add("streaming_chunks_total", frame.flags === 0 ? 0 : 1)
    this.#step((call) => call.receive(frame, this.#host.clock.now()))
  }

  closed(message: string): void {
    this.#step((call) => call.closed(message))
  }

  async #run(): Promise<void> {
    while (!this.#over) {
      const failure = await this.#open()
      if (failure === undefined || this.#over) return
      const step = this.#plan.schedule?.next(failure, this.#host.clock.now()) ?? { retry: false, failure }
      if (!step.retry) return this.#finish(step.failure)
      await this.#sleep((wake) => this.#host.clock.after(step.afterMs, wake))
    }
  }

  /** Undefined once the REQUEST is sent, or the call is over anyway. No pause when the session has space. */
  async #open(): Promise<RpcFailure | undefined> {
    const { pick, schedule, service, shape, deadlineAt, window, headers, trace, body, end } = this.#plan
    const target = pick()
    if (typeof target !== "string") return target
    const link = this.#host.linkTo(target)
    if (link === undefined) return { kind: "no-route", target, reason: "no session" }
    while (!link.hasSpace) {
      if (!link.open) return { kind: "transport", message: "the session ended" }
      const { clock } = this.#host
      const saturatedAt = schedule?.deadlineAt ?? Number.POSITIVE_INFINITY
      await this.#sleep((wake) => {
        const stops = [link.whenSpace(wake), clock.after(saturatedAt - clock.now(), wake)]
        return () => {
          for (const stop of stops) stop()
        }
      })
      if (this.#over) return undefined
      if (schedule !== undefined && clock.now() >= saturatedAt) return schedule.saturated()
    }
    const callId = this.#host.newCallId()
    const startedAt = this.#startedAt
    const call = new ClientCall({ callId, target, service, shape, deadlineAt, startedAt, window, headers, trace })
    this.#call = call
    this.#link = link
    this.#host.register(this, callId)
    this.#step(() => call.open(body, end, this.#host.clock.now()))
    this.producer.pump()
    return undefined
  }

  /** Waits until what `arm` set up wakes it, or the call is over. */
  async #sleep(arm: (wake: () => void) => () => void): Promise<void> {
    let disarm = () => {}
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      disarm = arm(resolve)
    })
    this.#wake = undefined
    disarm()
  }

  #expire(): void {
    const now = this.#host.clock.now()
    if (this.#call === undefined) this.#finish({ kind: "timeout", elapsedMs: now - this.#startedAt })
    else this.#step((call) => call.expire(now))
  }

  /** Before the call is open, whoever leaves ends it all. */
  #leave(event: (call: ClientCall) => ClientAction[]): void {
    if (this.#call === undefined) this.cancel()
    else this.#step(event)
  }

  #step(event: (call: ClientCall) => readonly ClientAction[]): void {
    const call = this.#call
    if (call === undefined) return
    for (const action of event(call)) {
      switch (action.type) {
        case "send":
          if (action.frame.kind === "chunk") this.#metrics.add("streaming_chunks_total")
          this.#bytesOut += this.#link?.send(action.frame) ?? 0
          break
        case "item":
          this.items.push(action.body)
          break
        case "writable":
          this.producer.pump()
          break
        case "done":
          this.#finish(undefined, { headers: action.headers, body: action.body })
          break
        case "failed":
          this.#finish(action.failure)
          break
      }
    }
  }

  #ready(): boolean {
    if (this.#call?.canWrite !== true || this.#link === undefined) return false
    if (this.#link.hasSpace) return true
    this.#forgetSpace ??= this.#link.whenSpace(() => {
      this.#forgetSpace = undefined
      this.producer.pump()
    })
    return false
  }

  #finish(failure: RpcFailure | undefined, reply: RpcReply = { headers: [], body: new Uint8Array() }): void {
    if (this.#over) return
    this.#over = true
    this.#stopTimer()
    this.#forgetSpace?.()
    this.#plan.signal?.removeEventListener("abort", this.cancel)
    if (this.#call !== undefined) this.#host.forget(this.#call.setup.callId)
    const error = failure && new RpcError(failure)
    if (this.#plan.shape !== "unary") {
      this.producer.close(error ?? new RpcError({ kind: "cancelled" }))
      this.items.end(error)
    }
    if (error === undefined) this.#settle.resolve(reply)
    else this.#settle.reject(error)
    this.#wake?.()
    this.#count(failure)
  }

  #count(failure: RpcFailure | undefined): void {
    const durationMs = this.#host.clock.now() - this.#startedAt
    this.#metrics.add("in_flight", -1)
    this.#metrics.latency.observe(durationMs)
    if (failure !== undefined) this.#metrics.failed(failure)
    this.#host.onCall?.({
      direction: "out",
      peer: this.#link?.peer ?? "",
      service: this.#plan.service,
      status: failure === undefined ? RPC_STATUS.Ok : failure.kind === "server-error" ? failure.status : undefined,
      outcome: failure?.kind ?? "ok",
      durationMs,
      bytesIn: this.#bytesIn,
      bytesOut: this.#bytesOut,
    })
  }
}
