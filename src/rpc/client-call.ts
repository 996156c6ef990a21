/** The caller's half of one call, all four shapes (control-plane 4.4, 4.5, 4.7). Sans-I/O: events in, actions out. */
import { utf8Decode } from "../wire/bytes.ts"
import { isAvError } from "../wire/errors.ts"
import {
  RPC_FLAGS,
  type RpcChunk,
  type RpcFrame,
  type RpcGrant,
  type RpcRequest,
  type RpcResponse,
  type RpcSignal,
} from "../wire/rpc-frame.ts"
import type { RpcHeader } from "../wire/rpc-header.ts"
import type { Bytes, Milliseconds, NodeId, U64 } from "../wire/types.ts"
import { clampCallMs } from "./clock.ts"
import { DEFAULT_WINDOW, ReceiveWindow, SendCredit, UPLOAD_CREDIT } from "./credit.ts"
import { downloads, flagsOfShape, type RpcShape, uploads } from "./shape.ts"
import { failureOfStatus, RPC_STATUS, type RpcFailure } from "./status.ts"

interface ClientCallSetup {
  callId: U64
  target: NodeId
  service: string
  shape: RpcShape
  /** When the caller's patience ends; infinite for none. */
  deadlineAt: Milliseconds
  startedAt: Milliseconds
  /** Items of a download that may wait unread; 0 for the default. */
  window: number
  headers: RpcHeader[]
  /** The headers carry `traceparent`. */
  trace: boolean
}

export type ClientAction =
  | { type: "send"; frame: RpcFrame }
  | { type: "item"; body: Bytes }
  /** Credit came: a waiting write may go on. */
  | { type: "writable" }
  /** The end that is a success; after it and after `failed` nothing more comes. */
  | { type: "done"; headers: RpcHeader[]; body: Bytes }
  | { type: "failed"; failure: RpcFailure }

const EMPTY = new Uint8Array()

/** Every method gives the actions that follow from it; exactly one of them in a call's life is `done` or `failed`. */
export class ClientCall {
  readonly setup: ClientCallSetup
  readonly #credit = new SendCredit(UPLOAD_CREDIT)
  readonly #window: ReceiveWindow
  #upload: "none" | "open" | "ended" | "dropped"
  #download: "none" | "open" | "dropped"
  #sent = 0
  #received = 0
  #over = false

  constructor(setup: ClientCallSetup) {
    this.setup = setup
    const window = setup.window || DEFAULT_WINDOW
    this.#window = new ReceiveWindow(window, window)
    this.#upload = uploads(setup.shape) ? "open" : "none"
    this.#download = downloads(setup.shape) ? "open" : "none"
  }

  /** True once `done` or `failed` was given. */
  get over(): boolean {
    return this.#over
  }

  /** True while a non-final item may be sent. */
  get canWrite(): boolean {
    return !this.#over && this.#upload === "open" && this.#credit.left > 0
  }

  /** The REQUEST. `end` says that `body` is all there is to upload; without it a non-empty body is the first item. */
  open(body: Bytes, end: boolean, now: Milliseconds): ClientAction[] {
    const { callId, service, shape, deadlineAt, window, headers, trace } = this.setup
    const left = deadlineAt - now
    if (left <= 0) return this.#fail({ kind: "timeout", elapsedMs: now - this.setup.startedAt })
    const last = end && this.#upload === "open"
    if (last) this.#upload = "ended"
    const flags = flagsOfShape(shape) | (trace ? RPC_FLAGS.propagateTrace : 0) | (last ? RPC_FLAGS.requestEnd : 0)
    const timeoutMs = Number.isFinite(left) ? clampCallMs(left) : 0
    const responseWindow = this.#download === "none" ? 0 : window
    const frame: RpcRequest = { kind: "request", flags, seq: 0, callId, service, timeoutMs, responseWindow, headers, body }
    return [{ type: "send", frame }]
  }

  /** Sends one item; only while {@link canWrite}. */
  write(body: Bytes): ClientAction[] {
    if (!this.canWrite || !this.#credit.spend()) return []
    return [{ type: "send", frame: this.#chunk(body, 0) }]
  }

  /** Ends the upload; a non-empty body is its last item and needs no credit. */
  end(body: Bytes = EMPTY): ClientAction[] {
    if (this.#over || this.#upload !== "open") return []
    this.#upload = "ended"
    return [{ type: "send", frame: this.#chunk(body, RPC_FLAGS.requestEnd) }]
  }

  /** A frame of this call from the right peer. Frames of the other direction are ignored. */
  receive(frame: RpcFrame, now: Milliseconds): ClientAction[] {
    if (this.#over) return []
    if (frame.kind === "response") return this.#response(frame)
    if (frame.kind === "deadline-exceeded") {
      return this.#fail({ kind: "timeout", elapsedMs: now - this.setup.startedAt })
    }
    if (frame.kind === "request-grant" && this.#upload === "open") {
      return this.#credit.add(frame.credits) ? [{ type: "writable" }] : this.#broken("credit overflow")
    }
    return []
  }

  /** The consumer took an item. */
  consumed(): ClientAction[] {
    return this.#over ? [] : this.#grant(this.#window.consume())
  }

  /** The consumer waits for the next item. */
  idle(): ClientAction[] {
    return this.#over ? [] : this.#grant(this.#window.idle())
  }

  /** The application's signal fired, or another attempt won. */
  cancel(): ClientAction[] {
    return this.#stop({ kind: "cancelled" })
  }

  /** The time is up. */
  expire(now: Milliseconds): ClientAction[] {
    return this.#stop({ kind: "timeout", elapsedMs: now - this.setup.startedAt })
  }

  /** The session is gone: there is nobody left to tell. */
  closed(message: string): ClientAction[] {
    return this.#over ? [] : this.#fail({ kind: "transport", message })
  }

  /** The consumer left before the end. The call goes on only for an upload that is still under way. */
  dropDownload(): ClientAction[] {
    if (this.#over || this.#download !== "open") return []
    this.#download = "dropped"
    return this.#upload === "open" ? [] : this.cancel()
  }

  /** The producer left without ending the upload. */
  dropUpload(): ClientAction[] {
    if (this.#over || this.#upload !== "open") return []
    this.#upload = "dropped"
    return this.#download === "open" ? [] : this.cancel()
  }

  #response(frame: RpcResponse): ClientAction[] {
    if (frame.seq !== this.#received) return this.#broken("sequence gap")
    this.#received += 1
    const more = (frame.flags & RPC_FLAGS.responseContinue) !== 0
    const end = (frame.flags & RPC_FLAGS.responseEnd) !== 0
    if (more && end) return this.#broken("contradicting response flags")
    if (frame.status !== RPC_STATUS.Ok) {
      const { target, service } = this.setup
      return this.#fail(failureOfStatus(frame.status, textOf(frame.body), target, service))
    }
    if (this.#download === "none") {
      return more || end ? this.#broken("stream flags on a single response") : this.#finish(frame)
    }
    if (!more && !end) return this.#broken("a stream's response without flags")
    if (end) {
      const item = frame.body.length > 0 ? this.#item(frame.body) : []
      return [...item, ...this.#finish(frame)]
    }
    if (!this.#window.receive()) return this.#broken("item without credit", RPC_STATUS.Backpressure)
    return this.#item(frame.body)
  }

  /** Items that nobody waits for any more count as read: the callee must not stand still over them. */
  #item(body: Bytes): ClientAction[] {
    return this.#download === "dropped" ? this.#grant(this.#window.consume()) : [{ type: "item", body }]
  }

  #finish({ headers, body }: RpcResponse): ClientAction[] {
    this.#over = true
    return [{ type: "done", headers, body }]
  }

  #fail(failure: RpcFailure): ClientAction[] {
    this.#over = true
    return [{ type: "failed", failure }]
  }

  #stop(failure: RpcFailure): ClientAction[] {
    return this.#over ? [] : [{ type: "send", frame: this.#signal("cancel") }, ...this.#fail(failure)]
  }

  /** The callee broke the protocol: it is told to stop, since it does not know. */
  #broken(message: string, status: number = RPC_STATUS.Internal): ClientAction[] {
    return this.#stop({ kind: "server-error", status, message })
  }

  #grant(credits: number): ClientAction[] {
    if (credits === 0) return []
    const frame: RpcGrant = { kind: "grant", flags: 0, seq: 0, callId: this.setup.callId, credits }
    return [{ type: "send", frame }]
  }

  #chunk(body: Bytes, flags: number): RpcChunk {
    this.#sent += 1
    return { kind: "chunk", flags, seq: this.#sent, callId: this.setup.callId, body }
  }

  #signal(kind: RpcSignal["kind"]): RpcSignal {
    return { kind, flags: 0, seq: 0, callId: this.setup.callId }
  }
}

/** A diagnostic of the other side: for people, so a fault in it costs nothing but itself. */
function textOf(body: Bytes): string {
  try {
    return utf8Decode(body.subarray(0, 1_024))
  } catch (error) {
    if (isAvError(error)) return ""
    throw error
  }
}
