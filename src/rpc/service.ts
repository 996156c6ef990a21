/** One registered service: its handler, its places, the queue of its answers (control-plane 4.7). */
import type { Bytes, NodeId } from "../wire/types.ts"
import { CallerLru } from "./caller-lru.ts"
import { ResponseDrainer } from "./drainer.ts"
import type { HandledCall } from "./handled-call.ts"
import type { ServiceMetrics } from "./metrics.ts"
import type { RpcShape } from "./shape.ts"
import type { ItemQueue, Producer } from "./stream.ts"
import type { RpcContext, RpcReplyInit } from "./types.ts"

const MAX_IN_FLIGHT = 1_024
const MAX_QUEUED = 1_024
/** Calls of one caller that may be unfinished. */
export const MAX_PER_CALLER = 128

/** Runs the application's handler; what it returns is the answer of calls without a download. */
export type RunHandler = (
  context: RpcContext,
  body: Bytes,
  items: ItemQueue,
  sink: Producer,
) => Promise<Bytes | RpcReplyInit | undefined>

interface ServiceSetup {
  name: string
  shape: RpcShape
  run: RunHandler
  concurrency: number
  uploadWindow: number
  metrics: ServiceMetrics
}

export class Service {
  readonly name: string
  readonly shape: RpcShape
  readonly run: RunHandler
  readonly uploadWindow: number
  readonly metrics: ServiceMetrics
  readonly drainer = new ResponseDrainer()
  readonly #concurrency: number
  /** Every admitted call until its handler has returned and its answer has left. */
  readonly #calls = new Set<HandledCall>()
  readonly #queued = new Set<HandledCall>()
  readonly #perCaller = new CallerLru<{ inFlight: number }>()
  #running = 0
  #closing: (() => void) | undefined

  constructor({ name, shape, run, concurrency, uploadWindow, metrics }: ServiceSetup) {
    this.name = name
    this.shape = shape
    this.run = run
    this.uploadWindow = uploadWindow
    this.metrics = metrics
    this.#concurrency = Math.min(MAX_IN_FLIGHT, Math.max(1, concurrency))
  }

  get hasRoom(): boolean {
    const mustWait = this.#running >= this.#concurrency
    return this.#calls.size < MAX_IN_FLIGHT && !(mustWait && this.#queued.size >= MAX_QUEUED)
  }

  /** Unfinished calls of a caller. Only for callers that passed the gate: the others must not fill the memory. */
  inFlightOf(caller: NodeId): number {
    return this.#record(caller).inFlight
  }

  /** Takes an admitted call: its handler starts now, or when it is its turn. */
  enter(call: HandledCall): void {
    this.#record(call.link.peer).inFlight += 1
    this.#calls.add(call)
    this.metrics.add("handler_in_flight")
    call.admit()
    if (call.over) return
    if (this.#running < this.#concurrency) this.#start(call)
    else this.#queued.add(call)
  }

  /** No new calls; `drained` is called when the last one has left. */
  close(drained: () => void): void {
    this.#closing = drained
    this.#finish()
  }

  /** The call is answered before its handler was started. */
  skip(call: HandledCall): void {
    this.#queued.delete(call)
  }

  /** Handler and answer are both through: the place is free. */
  leave(call: HandledCall): void {
    if (!this.#calls.delete(call)) return
    this.metrics.add("handler_in_flight", -1)
    const record = this.#perCaller.get(call.link.peer)
    if (record !== undefined) record.inFlight -= 1
    this.#finish()
  }

  #finish(): void {
    if (this.#calls.size === 0) this.#closing?.()
  }

  #record(caller: NodeId): { inFlight: number } {
    const known = this.#perCaller.get(caller)
    if (known !== undefined) return known
    const made = { inFlight: this.#count(caller) }
    this.#perCaller.set(caller, made)
    return made
  }

  #count(caller: NodeId): number {
    let count = 0
    for (const call of this.#calls) if (call.link.peer === caller) count += 1
    return count
  }

  #start(call: HandledCall): void {
    this.#running += 1
    call.start(() => {
      this.#running -= 1
      const [next] = this.#queued
      if (next === undefined) return
      this.#queued.delete(next)
      this.#start(next)
    })
  }
}
