/** Answers calls: the gate, the limits, the handlers (control-plane 3.3, 4.4, 4.7). */
import { AvError } from "../wire/errors.ts"
import { encodeRpc, type RpcFrame, type RpcRequest } from "../wire/rpc-frame.ts"
import { rpcHeaderText } from "../wire/rpc-header.ts"
import type { Milliseconds, NodeId, U64 } from "../wire/types.ts"
import type { RpcClock } from "./clock.ts"
import { HandledCall } from "./handled-call.ts"
import type { RpcLink } from "./link.ts"
import type { RpcEvent, RpcMetrics } from "./metrics.ts"
import { diagnostic, ServerCall } from "./server-call.ts"
import { MAX_PER_CALLER, type Service } from "./service.ts"
import { shapeOfFlags } from "./shape.ts"
import { RPC_STATUS } from "./status.ts"

/** Refusals of one peer that are answered within the window; more are dropped without a word. */
const MAX_DENIALS = 64
const DENIAL_WINDOW_MS = 10_000

interface ServerHost {
  admits(service: string, caller: NodeId): boolean
  clock: RpcClock
  metrics: RpcMetrics
  maxCallMs: Milliseconds
  onCall?: ((event: RpcEvent) => void) | undefined
}

interface Caller {
  calls: Map<U64, HandledCall>
  denials: number
  denialsSince: Milliseconds
}

export class RpcServer {
  readonly #host: ServerHost
  readonly #services = new Map<string, Service>()
  /** Callers with a live session: state is found by who the session says they are, and by call id. */
  readonly #callers = new Map<NodeId, Caller>()

  constructor(host: ServerHost) {
    this.#host = host
  }

  has(service: string): boolean {
    return this.#services.has(service)
  }

  add(service: Service): void {
    if (this.has(service.name)) throw new AvError("AlreadyServing", { service: service.name })
    this.#services.set(service.name, service)
  }

  remove(service: Service): void {
    if (this.#services.get(service.name) === service) this.#services.delete(service.name)
  }

  /** A frame of a caller. `size` is its length on the wire, bytes. */
  receive(link: RpcLink, frame: RpcFrame, size: number): void {
    if (frame.kind === "request") {
      this.#request(link, frame, size)
      return
    }
    const call = this.#callers.get(link.peer)?.calls.get(frame.callId)
    // An id of a call that runs on another session of this peer is not this session's business.
    if (call === undefined || call.link !== link) this.#host.metrics.of("").add("frames_ignored_total")
    else call.receive(frame, size)
  }

  /** A REQUEST that does not decode, but whose header does. */
  undecodable(link: RpcLink, callId: U64, why: string): void {
    this.#refuse(link, callId, "", RPC_STATUS.UnknownVersion, why)
  }

  /** The policy changed: calls that would no longer be admitted end now. */
  review(): void {
    for (const [peer, { calls }] of this.#callers) {
      for (const call of [...calls.values()]) {
        if (!this.#host.admits(call.service.name, peer)) call.revoke()
      }
    }
  }

  /** Whose calls run here. */
  get callers(): NodeId[] {
    return [...this.#callers].flatMap(([peer, { calls }]) => (calls.size > 0 ? [peer] : []))
  }

  /** A session ended: its calls have nobody to answer to. `last` says that the peer has no other. */
  closed(link: RpcLink, last: boolean): void {
    const caller = this.#callers.get(link.peer)
    if (caller === undefined) return
    for (const call of [...caller.calls.values()]) if (call.link === link) call.closed()
    if (last) this.#callers.delete(link.peer)
  }

  #request(link: RpcLink, request: RpcRequest, size: number): void {
    const service = this.#services.get(request.service)
    const caller = this.#caller(link.peer)
    if (service !== undefined && !this.#host.admits(service.name, link.peer)) {
      this.#deny(link, caller, request.callId, service.name)
      return
    }
    const fault = faultOf(service, caller, link.peer, request)
    if (service === undefined || fault !== undefined) {
      this.#refuse(link, request.callId, request.service, ...(fault ?? NOT_FOUND))
      return
    }
    this.#take(link, caller, service, request, size)
  }

  #take(link: RpcLink, caller: Caller, service: Service, request: RpcRequest, size: number): void {
    const { clock, maxCallMs } = this.#host
    const settings = { maxCallMs, uploadWindow: service.uploadWindow }
    const machine = new ServerCall(request, service.shape, settings, clock.now())
    const call = new HandledCall(machine, service, link, size, {
      clock,
      context: (signal) => contextOf(link, request, machine, signal),
      over: (event) => {
        if (caller.calls.get(request.callId) === call) caller.calls.delete(request.callId)
        this.#host.onCall?.(event)
      },
    })
    caller.calls.set(request.callId, call)
    service.enter(call)
  }

  #caller(peer: NodeId): Caller {
    const known = this.#callers.get(peer)
    if (known !== undefined) return known
    const made: Caller = { calls: new Map(), denials: 0, denialsSince: this.#host.clock.now() }
    this.#callers.set(peer, made)
    return made
  }

  #deny(link: RpcLink, caller: Caller, callId: U64, service: string): void {
    const metrics = this.#host.metrics.of(service)
    metrics.add("capability_denied_callee_side")
    metrics.add("capability_denied_total")
    const now = this.#host.clock.now()
    if (now - caller.denialsSince >= DENIAL_WINDOW_MS) {
      caller.denials = 0
      caller.denialsSince = now
    }
    caller.denials += 1
    if (caller.denials > MAX_DENIALS) metrics.add("refusals_dropped_total")
    else this.#refuse(link, callId, service, RPC_STATUS.CapabilityDenied, `capability denied: nrpc:${service}`)
  }

  /** Answers without creating a call. Who floods and does not read gets no answer, so refusals cannot pile up here. */
  #refuse(link: RpcLink, callId: U64, service: string, status: number, why: string): void {
    // The name of an unknown service comes from the caller: it must not use up the labels.
    const metrics = this.#host.metrics.of(this.#services.has(service) ? service : "")
    if (!link.hasSpace) {
      metrics.add("refusals_dropped_total")
      return
    }
    const body = diagnostic(why)
    link.sendBytes(encodeRpc({ kind: "response", flags: 0, seq: 0, callId, status, headers: [], body }))
  }
}

const NOT_FOUND: [number, string] = [RPC_STATUS.NotFound, "no such service"]

/** What an admitted caller's REQUEST is refused for; undefined when nothing speaks against it. */
function faultOf(service: Service | undefined, caller: Caller, peer: NodeId, request: RpcRequest): [number, string] | undefined {
  if (service === undefined) return NOT_FOUND
  if (shapeOfFlags(request.flags) !== service.shape) return [RPC_STATUS.Internal, "shape mismatch"]
  if (request.seq !== 0) return [RPC_STATUS.Internal, "sequence gap"]
  if (caller.calls.has(request.callId)) return [RPC_STATUS.Internal, "duplicate call"]
  const full = !service.hasRoom || service.inFlightOf(peer) >= MAX_PER_CALLER
  return full ? [RPC_STATUS.Backpressure, "too many calls"] : undefined
}

function contextOf(link: RpcLink, request: RpcRequest, machine: ServerCall, signal: AbortSignal) {
  const { headers, callId } = request
  const traceparent = rpcHeaderText(headers, "traceparent")
  const tracestate = rpcHeaderText(headers, "tracestate")
  return {
    caller: link.peer,
    callerEntity: link.session.entity,
    callId,
    headers,
    signal,
    deadlineMs: request.timeoutMs === 0 ? null : machine.deadlineAt,
    ...(traceparent !== undefined && { trace: { traceparent, ...(tracestate !== undefined && { tracestate }) } }),
  }
}
